"""A page whose form asks a signed-in user for the second factor."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor.forms import ProofForm, SecondFactorForm, method_of
from twofactor.htmx import render_page
from twofactor.models import SecondFactor
from twofactor.views.common import post_data


def proof_form(request: HttpRequest, second_factor: SecondFactor | None) -> ProofForm:
    """Return the step-up form: the password and, where 2FA is on, a code. It is bound if the request is a POST."""
    return ProofForm(post_data(request), request=request, second_factor=second_factor, method=method_of(request))


def show_form(request: HttpRequest, page: str, form: SecondFactorForm, **context: Any) -> HttpResponse:
    """Render the page with this form, empty or with errors.

    Sign the user out after five wrong codes in a row on a form without a password. Otherwise a stolen session could
    keep the account throttled.
    """
    if form.owner_notified and form.after_sign_in:
        logout(request)
        messages.error(request, _("Too many wrong codes. Please sign in again."))
        return redirect(settings.LOGIN_URL)
    return render_page(request, page, {"form": form, "method": form.method, **context})
