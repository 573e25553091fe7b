"""Delete the account, with the password and the second factor."""

from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts import deletion
from twofactor import known_browsers, mail, trust
from twofactor.htmx import render_page
from twofactor.models import SecondFactor
from twofactor.views.common import AuthenticatedRequest, second_factor_page
from twofactor.views.form_page import has_proof, proof_form, show_form

TEMPLATE = "account/delete.html"


@second_factor_page("GET", "HEAD", "POST")
def delete_account(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    return refuse_if_not_ready(request, second_factor) or ask_for_proof(request, second_factor)


def refuse_if_not_ready(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse | None:
    """Return a refusal if this account cannot be deleted now."""
    if deletion.leaves_no_superuser([request.user.pk]):
        return keep_last_superuser(request)
    if not has_proof(request, second_factor):
        messages.error(
            request,
            _(
                "Your account has no password, so we can't confirm it's you. "
                "Sign out, sign back in, and delete the account right away."
            ),
        )
        return redirect("account_logout")
    return None


def ask_for_proof(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    form = proof_form(request, second_factor)
    if form.is_valid():
        return delete(request, second_factor)
    context = {"title": title(), "addresses": mail.addresses_of(request.user)}
    return show_form(request, TEMPLATE, form, **context)


def delete(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    try:
        deletion.delete(request.user, second_factor)
    except deletion.LastSuperuser:  # another one was deleted at the same time
        return keep_last_superuser(request)
    return sign_out(request)


def title() -> str:
    return _("Delete your account")


def keep_last_superuser(request: AuthenticatedRequest) -> HttpResponse:
    """Say that the last superuser cannot be deleted."""
    response = render_page(request, TEMPLATE, {"title": title(), "is_last_superuser": True})
    response.status_code = 403 if request.method == "POST" else 200
    return response


def sign_out(request: AuthenticatedRequest) -> HttpResponse:
    """End the session, and remove the account from the cookies of this browser."""
    response = redirect("home")
    known_browsers.forget(request, response, request.user)
    trust.forget(request, response, request.user)
    logout(request)
    messages.success(request, _("Your account was deleted. We've emailed you about it."))
    return response
