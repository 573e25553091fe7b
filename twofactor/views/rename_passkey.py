"""Give a passkey another name. It opens nothing, so it needs no proof."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from twofactor.htmx import render_page
from twofactor.models import SecondFactor
from twofactor.passkey_form import RenamePasskeyForm
from twofactor.views.common import AuthenticatedRequest, post_data, second_factor_page
from twofactor.views.settings import back_to_settings


@second_factor_page("GET", "HEAD", "POST", without_2fa="twofactor:settings")
def rename_passkey(request: AuthenticatedRequest, second_factor: SecondFactor, pk: int) -> HttpResponse:
    passkey = get_object_or_404(second_factor.passkeys, pk=pk)
    form = RenamePasskeyForm(post_data(request), initial={"name": passkey.name})
    if not form.is_valid():
        context = {"title": _("Rename your passkey"), "form": form, "passkey": passkey}
        response = render_page(request, "rename_passkey", context)
        response.status_code = 422 if form.is_bound else 200
        return response
    passkey.rename(form.cleaned_data["name"])
    messages.success(request, _("Your passkey was renamed."))
    return back_to_settings(request, second_factor)
