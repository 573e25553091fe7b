"""Ask for the second factor again, for a host's view that requires a recent one (`twofactor.decorators`).

The second factor is enough, because signing in proved the password. Changes of 2FA and of the account ask for both.
"""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, resolve_url

from twofactor import sessions
from twofactor.attempts import Attempt
from twofactor.methods import METHODS, form_for, only_form
from twofactor.models import SecondFactor
from twofactor.step_up import MIN_MAX_AGE, ask_to_send_again, confirm_context, is_unsent
from twofactor.views.common import AuthenticatedRequest, next_url, post_data, second_factor_page
from twofactor.views.form_page import show_form


@second_factor_page("GET", "HEAD", "POST", without_2fa="twofactor:setup")
def confirm(request: AuthenticatedRequest, second_factor: SecondFactor) -> HttpResponse:
    only = METHODS.get(request.GET.get("only", ""))
    key = only.key if only else ""
    # Do not ask twice after a double click, in a second tab, or after the Back button.
    if not sessions.used_recently(request, second_factor, within=MIN_MAX_AGE, only=key):
        attempt = Attempt(request, second_factor)
        form = only_form(only, attempt, post_data(request)) if only else form_for(request, attempt)
        if form is None:  # the account does not have the method
            return redirect("twofactor:settings")
        form.use_alone()
        if not form.is_valid():
            context = confirm_context(request.GET.get("next", ""), unsent=is_unsent(request), only=key)
            return show_form(request, "confirm", form, **context)
        sessions.record_use(request, second_factor, form.key)
        ask_to_send_again(request)
    return HttpResponseRedirect(destination(request))


def destination(request: AuthenticatedRequest) -> str:
    """Return `next` if it is another page of this host, and otherwise LOGIN_REDIRECT_URL."""
    url = next_url(request)
    return url if url and urlsplit(url).path != request.path else resolve_url(settings.LOGIN_REDIRECT_URL)
