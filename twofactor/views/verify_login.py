"""The sign-in stage: a code from the app, or a backup code."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from twofactor import conf, events, sessions, trust
from twofactor.forms import VerifyLoginForm, method_of
from twofactor.reauthentication import record_code
from twofactor.stages import Ending, VerifyStage, verify_stage_required
from twofactor.views.common import post_data


@sensitive_post_parameters("code", "backup_code")
@require_http_methods(["GET", "HEAD", "POST"])
@transaction.non_atomic_requests  # an error must not roll back a charged attempt
@verify_stage_required
def verify_login(request: HttpRequest, stage: VerifyStage) -> HttpResponse:
    form = stage.form(post_data(request), method=method_of(request))
    if form.is_valid():
        return sign_in(request, stage, form)
    if not form.is_bound or stage.tries.left():
        return stage.show(form)
    if not stage.tries.end():
        return stage.leave_to_another_request()
    if form.is_wrong and not form.owner_notified:
        events.wrong_codes(request, stage.second_factor)
    return stage.end(Ending.WRONG_CODES)


def sign_in(request: HttpRequest, stage: VerifyStage, form: VerifyLoginForm) -> HttpResponse:
    second_factor, user = stage.second_factor, stage.login.user
    sessions.mark(request, second_factor, form.method)
    record_code(request, user, form.method)
    response = stage.exit()
    if form.method == "backup":
        left = form.codes_left
        if left:
            text = ngettext("You used a backup code. %d is left.", "You used a backup code. %d are left.", left) % left
        else:
            text = _("You used your last backup code. Make new ones now.")
        messages.add_message(request, messages.WARNING if left <= conf.CODES_LOW else messages.INFO, text)
    if form.cleaned_data.get("trust"):
        trust.trust(request, response, user, second_factor)
        events.browser_trusted(request, user)
    return response


@require_http_methods(["POST"])
@verify_stage_required
def cancel_login(request: HttpRequest, stage: VerifyStage) -> HttpResponse:
    return stage.cancel()
