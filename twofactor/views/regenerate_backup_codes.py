"""New backup codes; the old ones are dead."""

from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect

from twofactor import events, sessions
from twofactor.models import Authenticator, ChangedMeanwhile
from twofactor.views._backup_codes import remind_of_codes, show_codes
from twofactor.views._changes import OwnRequest, changed_meanwhile, own_page, proof
from twofactor.views._refusal import refuse


@own_page("GET", "HEAD", "POST")
def regenerate_backup_codes(request: OwnRequest, authenticator: Authenticator | None) -> HttpResponse:
    if authenticator is None:
        return redirect("twofactor:settings")
    form = proof(request, authenticator)
    if not form.is_valid():
        if remind_of_codes(request, authenticator):  # Back, or the same form sent again by a reload
            return redirect("twofactor:settings")
        return refuse(request, "regenerate_backup_codes", form, codes_left=authenticator.codes_left)
    try:
        with transaction.atomic():
            codes = authenticator.regenerate_backup_codes()
            sessions.renew(request, authenticator, form.method)
    except ChangedMeanwhile:
        return changed_meanwhile(request)
    events.codes_regenerated(request, request.user)
    return show_codes(request, codes, in_setup=False)
