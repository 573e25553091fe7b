"""Page or panel: the only place that asks whether a request comes from htmx."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme

from twofactor import adapter

PANEL = "panel"  # the id of what is swapped, in every template


def wants_panel(request: HttpRequest) -> bool:
    """True if the answer is swapped into a page that is there already.

    When htmx restores a page from its history, or a host boosts its links into a place of its own, it wants a
    whole one.
    """
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx) and not htmx.history_restore_request and (not htmx.boosted or htmx.target == PANEL)


def panel(request: HttpRequest) -> dict[str, Any]:
    """Context processor: what the site's templates extend, `base.html` or `_panel_base.html`."""
    alone = wants_panel(request)
    return {
        "wants_panel": alone,
        "base_template": "_panel_base.html" if alone else "base.html",
        "site_name": adapter.current().issuer(request),
    }


def render_page(request: HttpRequest, page: str, context: dict[str, Any], *, at: str | None = None) -> HttpResponse:
    """Render the panel `<page>.html` for htmx, and otherwise `page.html`, which includes it.

    The context has the page's `title`. A `form` in it sets the status and headers of the response. `at` is the
    address that the browser shows afterwards, if it is not the requested one.
    """
    is_panel = wants_panel(request)
    panel_template = f"twofactor/{page}.html"
    template = panel_template if is_panel else "twofactor/page.html"
    form = context.get("form")
    context = {"site_name": adapter.current().issuer(request), "panel_template": panel_template, **context}
    response = render(request, template, context, status=form.status if form else 200)
    for header, value in (form.headers if form else {}).items():
        response[header] = value
    if is_panel and at and at != request.get_full_path():
        response["HX-Replace-Url"] = at
    return response


class RedirectMiddleware:
    """Turn a redirect into HX-Redirect for htmx, which would follow a 302 itself and swap a page into a panel.

    In place, so that cookies survive. Stands right after HtmxMiddleware.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        patch_vary_headers(response, ["HX-Request"])
        if wants_panel(request) and 300 <= response.status_code < 400 and "Location" in response:
            response["HX-Redirect"] = _back_to_the_page(request, response["Location"])
            del response["Location"]
            response.status_code, response.content = 204, b""
        return response


def targets_panel(request: HttpRequest) -> bool:
    """True if htmx is about to swap the answer for the page's `#panel`: a panel stands there as well as on a page."""
    return wants_panel(request) and request.htmx.target == "panel"  # type: ignore[attr-defined]


def is_scripted(request: HttpRequest) -> bool:
    """True if this is asked by a program of its own, `fetch()` or a client that takes no HTML: it shows no page."""
    if getattr(request, "htmx", None):
        return False
    return request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate" or not request.accepts("text/html")


def way_back(request: HttpRequest) -> str:
    """Return where a GET leads the person back to: this page, or the one that asked for something of it.

    Empty if that is not known. It is the client's word: whoever follows it looks at the host first.
    """
    htmx: Any = getattr(request, "htmx", None)
    if request.method in ("GET", "HEAD") and (not wants_panel(request) or htmx.boosted):
        return request.get_full_path()
    return (_current_page(request) or "") if wants_panel(request) else request.headers.get("Referer", "")


def _current_page(request: HttpRequest) -> str | None:
    """Return the page that htmx says it is on, as a path of this host."""
    try:
        here = request.htmx.current_url_abs_path  # type: ignore[attr-defined]
    except ValueError:  # such as "http://[", which no browser sends
        return None
    # `//evil` has no scheme and no host of another page, as far as django-htmx can tell.
    return here if here and url_has_allowed_host_and_scheme(here, allowed_hosts=None) else None


def _back_to_the_page(request: HttpRequest, location: str) -> str:
    """Sign-in must lead back to the page that the person was on, not to the fragment that it asked for."""
    parts = urlsplit(location)
    query = parse_qs(parts.query)
    fragment = (request.get_full_path(), request.build_absolute_uri())
    if parts.path != resolve_url(settings.LOGIN_URL) or query.get(REDIRECT_FIELD_NAME, [""])[0] not in fragment:
        return location
    if not (here := _current_page(request)):
        return location
    query[REDIRECT_FIELD_NAME] = [here]
    return urlunsplit(parts._replace(query=urlencode(query, doseq=True)))
