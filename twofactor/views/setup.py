"""Steps 1 and 2 of the setup: the step-up, then the QR code and the key. A new setup can also replace the phone."""

from django.http import HttpResponse
from django.utils.translation import gettext as _

from twofactor import adapter, enrolment, passkey_setup, passkeys, qr, totp
from twofactor.htmx import render_page
from twofactor.models import SecondFactor
from twofactor.views._ready import redirect_if_not_ready
from twofactor.views.common import AuthenticatedRequest, next_url, second_factor_page
from twofactor.views.form_page import proof_form, show_form
from twofactor.views.settings import back_to_settings


@second_factor_page("GET", "HEAD", "POST")
def setup(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    if enrolment.resume(request, second_factor):
        return show_key(request, second_factor)
    return redirect_if_not_ready(request, second_factor) or ask_for_proof(request, second_factor)


def ask_for_proof(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    form = proof_form(request, second_factor)
    if form.is_valid():
        return show_key(request, second_factor)
    context = {
        "title": title_of(second_factor),
        "second_factor": second_factor,
        **passkeys.offer(request),
        "redirect_field_value": next_url(request),
    }
    return show_form(request, "setup", form, **context)


def show_key(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    """Show the QR code and the key of the setup in progress. Begin one if there is none."""
    secret = enrolment.begin(request, second_factor, destination=next_url(request)).secret
    site_adapter = adapter.current()
    uri = totp.provisioning_uri(secret, account=site_adapter.label(request.user), issuer=site_adapter.issuer(request))
    context = {
        "title": title_of(second_factor),
        "second_factor": second_factor,
        "uri": uri,
        "qr": qr.svg(uri),
        "key": totp.in_groups(secret),
    }
    return render_page(request, "setup", context)


def title_of(second_factor: SecondFactor | None) -> str:
    if second_factor is None:
        return _("Turn on two-factor authentication")
    return _("Set up a new phone") if second_factor.has_app else _("Add an authenticator app")


@second_factor_page("POST")
def cancel_setup(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    enrolment.forget(request)
    passkey_setup.forget(request)
    return back_to_settings(request, second_factor)
