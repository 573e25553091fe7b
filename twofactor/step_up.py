"""What the pages for a step-up have in common: a form that had to wait is dropped, and they say so before the proof."""

from urllib.parse import urlsplit, urlunsplit

from django.contrib import messages
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from twofactor import htmx

SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")


def query_for(request: HttpRequest) -> dict[str, str]:
    """Return what the step-up page has to know: where to lead back to, and whether something was sent there."""
    if request.method in SAFE:
        return {"next": request.get_full_path()}
    return {"next": _page_of_the_form(request) or request.get_full_path(), "unsent": "1"}


def _page_of_the_form(request: HttpRequest) -> str:
    """Return the page of this host that the form was on; empty if unknown. Its own address may take a POST alone."""
    page = htmx.return_path(request)
    if not url_has_allowed_host_and_scheme(page, {request.get_host()}):
        return ""
    parts = urlsplit(page)
    return urlunsplit(("", "", parts.path, parts.query, ""))


def is_unsent(request: HttpRequest) -> bool:
    """True if the request that had to wait was a form. It is not kept."""
    return "unsent" in request.GET or "unsent" in request.POST


def ask_to_send_again(request: HttpRequest) -> None:
    """Repeat, after the proof, that the form has to be sent again."""
    if is_unsent(request):
        messages.info(request, _("Thank you. What you sent before was not kept: please send it again."))
