"""Page or panel, and HX-Redirect. No other module asks whether a request comes from htmx."""

from collections.abc import Callable, Mapping
from functools import wraps
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from allauth.core.exceptions import ImmediateHttpResponse
from django.conf import settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

from twofactor import adapter
from twofactor.base_forms import LimitedForm

PANEL = "panel"  # the id of the element that htmx swaps, in every template

View = Callable[..., HttpResponse]


def _details(request: HttpRequest) -> HtmxDetails | None:
    """Return what HtmxMiddleware reads from the headers. It is false if the request does not come from htmx."""
    details: HtmxDetails | None = getattr(request, "htmx", None)
    return details


def wants_panel(request: HttpRequest) -> bool:
    """Return whether htmx swaps the response into a page that is already there.

    htmx wants a whole page when it restores its history, and when a host boosts links into an element of its own.
    """
    htmx = _details(request)
    if not htmx or htmx.history_restore_request:
        return False
    return not htmx.boosted or htmx.target == PANEL


def panel(request: HttpRequest) -> dict[str, object]:
    """Context processor: `wants_panel`, `site_name`, and `base_template`, which the site's pages extend."""
    is_panel = wants_panel(request)
    return {
        "wants_panel": is_panel,
        "base_template": "_panel_base.html" if is_panel else "base.html",
        "site_name": adapter.current().issuer(request),
    }


def render_page(
    request: HttpRequest, page: str, context: Mapping[str, object], *, at: str | None = None
) -> HttpResponse:
    """Render the panel `<page>.html` for htmx, and otherwise `page.html`, which includes it.

    A host's own panel is given by the name of its template, `shop/panel.html`. The context has the page's `title`. A
    `form` in it sets the status and headers of the response. `at` is the address that the browser shows afterwards, if
    it is not the requested one.
    """
    is_panel = wants_panel(request)
    panel_template = page if page.endswith(".html") else f"twofactor/{page}.html"
    template = panel_template if is_panel else "twofactor/page.html"
    site_name = adapter.current().issuer(request)
    response = render(request, template, {"site_name": site_name, "panel_template": panel_template, **context})
    form = context.get("form")
    if isinstance(form, LimitedForm):
        response.status_code = form.status
        for header, value in form.headers.items():
            response[header] = value
    if is_panel and at and at != request.get_full_path():
        response["HX-Replace-Url"] = at
    return response


# --- Redirects ------------------------------------------------------------------------------------


def hx_redirect(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Turn a redirect into HX-Redirect if htmx wants a panel. htmx would follow a 302 and swap in a whole page.

    Change the response in place, so that it keeps its cookies. A response that is not a redirect gets `Vary` alone.
    """
    patch_vary_headers(response, ["HX-Request"])
    if wants_panel(request) and 300 <= response.status_code < 400 and "Location" in response:
        response["HX-Redirect"] = _with_page_as_next(request, response["Location"])
        del response["Location"]
        response.status_code = 204
        response.content = b""
    return response


def with_hx_redirect(view: View) -> View:
    """Decorate a view of the app: its redirects reach htmx as HX-Redirect, also those raised by allauth."""

    @wraps(view)
    def answer(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except ImmediateHttpResponse as immediate:
            response = immediate.response
        return hx_redirect(request, response)

    return answer


class HtmxRedirectMiddleware:
    """Send the redirects of all views to htmx as HX-Redirect. The app's own views need no middleware for this.

    List it after HtmxMiddleware and before allauth's AccountMiddleware.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return hx_redirect(request, self.get_response(request))


def _with_page_as_next(request: HttpRequest, location: str) -> str:
    """Return this redirect target. If it is sign-in, `next` becomes the page that htmx is on, not the panel's URL."""
    parts = urlsplit(location)
    query = parse_qs(parts.query)
    panel_urls = (request.get_full_path(), request.build_absolute_uri())
    if parts.path != resolve_url(settings.LOGIN_URL) or query.get(REDIRECT_FIELD_NAME, [""])[0] not in panel_urls:
        return location
    page = _current_page(request)
    if not page:
        return location
    query[REDIRECT_FIELD_NAME] = [page]
    return urlunsplit(parts._replace(query=urlencode(query, doseq=True)))


# --- The client and its page ----------------------------------------------------------------------


def targets_panel(request: HttpRequest) -> bool:
    """Return whether htmx replaces the page's `#panel` with the response, so that it can be a page of the app."""
    htmx = _details(request)
    return htmx is not None and wants_panel(request) and htmx.target == PANEL


def is_scripted(request: HttpRequest) -> bool:
    """Return whether the client shows no page, such as `fetch()` or a client that does not accept HTML."""
    if _details(request):
        return False
    return request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate" or not request.accepts("text/html")


def return_path(request: HttpRequest) -> str:
    """Return the page that the user is on: this one after a GET, else the one with the form or button.

    It is empty if unknown. The client chooses it: check its host before you redirect there.
    """
    htmx = _details(request) if wants_panel(request) else None
    if request.method in ("GET", "HEAD") and (htmx is None or htmx.boosted):
        return request.get_full_path()
    if htmx:
        return _current_page(request) or ""
    return request.headers.get("Referer", "")


def _current_page(request: HttpRequest) -> str | None:
    """Return the page that htmx reports in HX-Current-URL, as a path of this host."""
    htmx = _details(request)
    try:
        page = htmx.current_url_abs_path if htmx else None
    except ValueError:  # for example "http://[", which no browser sends
        return None
    # django-htmx can return `//evil.example/`, which browsers treat as another host.
    return page if page and url_has_allowed_host_and_scheme(page, allowed_hosts=None) else None
