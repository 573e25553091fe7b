"""What every answer of this site carries, and what it does with a body that has no end."""

import re
import secrets
import time
from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import SESSION_KEY, logout
from django.core.exceptions import BadRequest
from django.core.handlers.wsgi import LimitedStream
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.translation import gettext as _

from config import logs
from config.health import healthz

GetResponse = Callable[[HttpRequest], HttpResponse]

PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen", "geolocation",
        "gyroscope", "magnetometer", "microphone", "midi", "payment", "picture-in-picture", "screen-wake-lock",
        "usb", "xr-spatial-tracking",
    )
)  # fmt: skip
SIGNED_IN_AT = "signed_in_at"
SESSION_LIFETIME = 30 * 24 * 60 * 60  # seconds
SIGN_OUT = ("/accounts/logout/", "/admin/logout/")
# These carry a token in their address or a secret on their page: no path goes with a request from them. It is not
# no-referrer, with which a browser also says `Origin: null` of a plain form, and Django refuses that.
SECRETIVE = ("/accounts/confirm-email/", "/accounts/password/reset/key/", "/accounts/2fa/")


# What nginx, HAProxy and the cloud's balancers make of an id, and nothing that a stranger could hide words in.
REQUEST_ID = re.compile(r"[0-9A-Za-z._=-]{8,64}")


def request_id(get_response: GetResponse) -> GetResponse:
    """Give each request an id, for the log and for whoever asks about an answer; a proxy of our own may choose it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        told = request.headers.get("X-Request-ID", "") if settings.TRUSTED_PROXY_COUNT > 0 else ""
        own = told if REQUEST_ID.fullmatch(told) else secrets.token_hex(16)
        request.id = own  # type: ignore[attr-defined] # Django's request is where middleware puts things
        token = logs.current_request.set(request)
        try:
            response = get_response(request)
        finally:
            logs.current_request.reset(token)
        response.headers["X-Request-ID"] = own
        return response

    return middleware


def security_headers(get_response: GetResponse) -> GetResponse:
    """Around all that answers, so that error pages carry them too."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        if request.path.startswith(SECRETIVE):
            response.headers["Referrer-Policy"] = "strict-origin"
        user = getattr(request, "user", None)
        if request.path.startswith(("/accounts/", "/admin/")) or (user is not None and user.is_authenticated):
            if "no-store" not in response.headers.get("Cache-Control", ""):  # as most of these views said already
                add_never_cache_headers(response)
            patch_vary_headers(response, ["Cookie"])
        if request.method == "POST" and request.path in SIGN_OUT and response.status_code < 400:
            response.headers["Clear-Site-Data"] = '"storage"'
        return response

    return middleware


def health_check(get_response: GetResponse) -> GetResponse:
    """Answer /healthz before Django checks the Host header: load balancers ask by IP address."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return healthz(request) if request.path_info == "/healthz" else get_response(request)

    return middleware


def refuse_nul(get_response: GetResponse) -> GetResponse:
    """No address of ours has a NUL, and PostgreSQL takes none in a question."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("NUL in the address")
        return get_response(request)

    return middleware


def cut_oversized_body(get_response: GetResponse) -> GetResponse:
    """Cut a form's body at the limit, so that the field that made it so long gets its message.

    Django would answer 400 for the whole page, and the person would lose the form. The CSRF token
    stands first in every form of this site and so outlives the cut. Nothing here takes a file: a long
    body of another kind is refused before Django writes it to the disk.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if content_length(request) <= limit:
            return get_response(request)
        rest: Any = request._stream
        if request.content_type == "application/x-www-form-urlencoded":
            request._stream = cast(Any, LimitedStream(rest, limit))
            request.META["CONTENT_LENGTH"] = str(limit)
            response = get_response(request)
        else:
            response = render(request, "413.html", status=413)
        # A server that closes on unread input resets the connection before the answer is read.
        drain(rest, at_most=8 * 1024 * 1024)
        return response

    return middleware


def content_length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0


def drain(stream: Any, *, at_most: int) -> None:
    while at_most > 0 and (chunk := stream.read(min(at_most, 64 * 1024))):
        at_most -= len(chunk)


def note_sign_in(request: HttpRequest, **kwargs: Any) -> None:
    """Receive Django's `user_logged_in`: a session knows when it began."""
    request.session[SIGNED_IN_AT] = int(time.time())


def end_old_sessions(get_response: GetResponse) -> GetResponse:
    """Sign users out 30 days after they signed in, whatever they did since.

    A session that does not know when it began, from before this rule, gets 30 days from its next request.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if SESSION_KEY in request.session:
            now = int(time.time())
            if now - request.session.setdefault(SIGNED_IN_AT, now) >= SESSION_LIFETIME:
                logout(request)
                messages.info(request, _("You signed in 30 days ago. Please sign in again."))
        return get_response(request)

    return middleware
