"""A page whose form asks a signed-in user for a proof."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor.attempts import Attempt
from twofactor.forms import PasswordForm
from twofactor.htmx import render_page
from twofactor.methods import form_for
from twofactor.models import SecondFactor
from twofactor.reauthentication import signed_in_recently
from twofactor.views.common import AuthenticatedRequest, post_data


def proof_form(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> PasswordForm:
    """Return the step-up form: the password and, where 2FA is on, the second factor. A POST binds it.

    A user who signs in through another site has no password. Then the second factor, or a recent sign-in, is the proof.
    """
    asks_password = request.user.has_usable_password()
    if second_factor is None:
        return PasswordForm(post_data(request), request=request, asks_password=asks_password)
    form = form_for(request, Attempt(request, second_factor, asks_password=asks_password))
    if "method" in request.GET:  # the user just switched the method
        form.focus(form.field_name)
    return form


def has_proof(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> bool:
    """Return whether `proof_form` asks for anything, or the sign-in was recent."""
    return second_factor is not None or request.user.has_usable_password() or signed_in_recently(request)


def show_form(request: HttpRequest, page: str, form: PasswordForm, **context: object) -> HttpResponse:
    """Render the page with this form, empty or with errors. Sign the user out if too many codes were wrong."""
    if form.is_refused("signed_out"):
        logout(request)
        messages.error(request, _("Too many wrong codes. Please sign in again."))
        return redirect(settings.LOGIN_URL)
    return render_page(request, page, {"form": form, **context})
