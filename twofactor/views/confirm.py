"""The second factor once more, for a page of the host's that asks for one used lately (`twofactor.decorators`).

Password and code together are for changes of 2FA and of the account. Here the code or backup code alone is enough:
the session stands for the password.
"""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, resolve_url
from django.urls import reverse
from django.utils.translation import gettext as _

from twofactor import sessions
from twofactor.forms import ConfirmForm, method_of
from twofactor.models import Authenticator
from twofactor.step_up import ask_to_send_again, is_unsent
from twofactor.views.common import AuthenticatedRequest, next_url, second_factor_page
from twofactor.views.form_page import show_form

JUST_NOW = 60  # seconds; no page may ask for less, and nobody is asked twice within them


@second_factor_page("GET", "HEAD", "POST")
def confirm(request: AuthenticatedRequest, authenticator: Authenticator | None) -> HttpResponse:
    if authenticator is None:
        return redirect("twofactor:setup")
    # A second tab, a double click, the back button: what was proved is not asked for again.
    if sessions.used_recently(request, authenticator, within=JUST_NOW):
        return HttpResponseRedirect(destination(request))
    data = request.POST if request.method == "POST" else None
    form = ConfirmForm(data, request=request, authenticator=authenticator, method=method_of(request))
    if form.is_valid():
        return go_on(request, authenticator, form)
    return show(request, form, next=request.GET.get("next", ""), unsent=is_unsent(request))


def go_on(request: AuthenticatedRequest, authenticator: Authenticator, form: ConfirmForm) -> HttpResponse:
    sessions.record_use(request, authenticator, form.method)
    ask_to_send_again(request)
    return HttpResponseRedirect(destination(request))


def show(request: HttpRequest, form: ConfirmForm, **query: Any) -> HttpResponse:
    other = "code" if form.method == "backup" else "backup"
    context = {
        "title": _("Confirm that it is you"),
        "url": address(**query),
        "unsent": query.get("unsent"),
        "toggle_url": address(method=other, **query),
        "cancel_url": resolve_url(settings.LOGIN_REDIRECT_URL),
    }
    return show_form(request, "confirm", form, **context)


def address(*, unsent: bool = False, **query: str) -> str:
    """The page's own: `next` is where it leads, `unsent` says that something was sent which has to be sent again."""
    known = {name: value for name, value in query.items() if value} | ({"unsent": "1"} if unsent else {})
    return reverse("twofactor:confirm", query=known)


def destination(request: HttpRequest) -> str:
    """Where the person was, on this host alone, and never this page."""
    url = next_url(request)
    return url if url and urlsplit(url).path != request.path else resolve_url(settings.LOGIN_REDIRECT_URL)
