"""Ask for the second factor again, for a host's view that requires a recent one (`twofactor.decorators`).

A code or backup code is enough, because signing in proved the password. Changes of 2FA and of the account ask
for both.
"""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, resolve_url

from twofactor import sessions
from twofactor.forms import ConfirmForm, method_of
from twofactor.models import SecondFactor
from twofactor.step_up import MIN_MAX_AGE, ask_to_send_again, confirm_context, is_unsent
from twofactor.views.common import AuthenticatedRequest, next_url, post_data, second_factor_page
from twofactor.views.form_page import show_form


@second_factor_page("GET", "HEAD", "POST")
def confirm(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    if second_factor is None:
        return redirect("twofactor:setup")
    # Do not ask twice after a double click, in a second tab, or after the Back button.
    if sessions.used_recently(request, second_factor, within=MIN_MAX_AGE):
        return HttpResponseRedirect(destination(request))
    form = ConfirmForm(post_data(request), request=request, second_factor=second_factor, method=method_of(request))
    if form.is_valid():
        sessions.record_use(request, second_factor, form.method)
        ask_to_send_again(request)
        return HttpResponseRedirect(destination(request))
    context = confirm_context(form, next=request.GET.get("next", ""), unsent=is_unsent(request))
    return show_form(request, "confirm", form, **context)


def destination(request: HttpRequest) -> str:
    """Return `next` if it is another page of this host, and otherwise LOGIN_REDIRECT_URL."""
    url = next_url(request)
    return url if url and urlsplit(url).path != request.path else resolve_url(settings.LOGIN_REDIRECT_URL)
