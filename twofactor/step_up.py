"""What the app's two step-up pages share: their URLs, and the notice that a form was not kept."""

from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from twofactor import htmx

SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
MIN_MAX_AGE = 60  # seconds: the least max_age of a view, and how long confirm/ does not ask again


def step_up_query(request: HttpRequest) -> dict[str, str]:
    """Return the query string of the step-up page: `next`, and `unsent` if this request posted a form."""
    if request.method in SAFE:
        return {"next": request.get_full_path()}
    return {"next": _page_of_form(request) or request.get_full_path(), "unsent": "1"}


def _page_of_form(request: HttpRequest) -> str:
    """Return the page of this host that the form was on, or "" if unknown. The form's own URL may accept POST only."""
    page = htmx.return_path(request)
    if not url_has_allowed_host_and_scheme(page, {request.get_host()}):
        return ""
    parts = urlsplit(page)
    return urlunsplit(("", "", parts.path, parts.query, ""))


def confirm_url(next_url: str = "", *, unsent: bool = False, only: str = "") -> str:
    """Return the URL of confirm/. `unsent` says that the user posted a form, which is not kept.

    `only`: the key of the one method that counts.
    """
    query = {"next": next_url, "unsent": "1" if unsent else "", "only": only}
    return reverse("twofactor:confirm", query={name: value for name, value in query.items() if value})


def confirm_context(next_url: str, *, unsent: bool, only: str = "") -> dict[str, object]:
    """Return the template context of confirm/ without its form."""
    return {
        "title": _("Confirm it's you"),
        "url": confirm_url(next_url, unsent=unsent, only=only),
        "method_url": confirm_url(),
        "redirect_field_value": next_url,
        "unsent": unsent,
        "cancel_url": resolve_url(settings.LOGIN_REDIRECT_URL),
    }


def is_unsent(request: HttpRequest) -> bool:
    """Return whether the request that needed the step-up posted a form. The form is not kept."""
    return "unsent" in request.GET or "unsent" in request.POST


def ask_to_send_again(request: HttpRequest) -> None:
    """After the step-up, add a message that the form has to be sent again."""
    if is_unsent(request):
        messages.info(request, _("Thanks. What you changed or selected wasn't saved, so please do it again."))
