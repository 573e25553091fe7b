"""Middleware of the site: request IDs, security headers, health check, limits of requests, lifetime of sessions."""

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
# These pages have a token in their URL or a secret on them, so their Referer has no path. With `no-referrer` browsers
# would also send `Origin: null` with forms, which Django's CSRF check rejects.
WITHOUT_REFERRER_PATH = ("/accounts/confirm-email/", "/accounts/password/reset/key/", "/accounts/2fa/")
# The IDs of nginx, HAProxy and cloud load balancers. Longer or other values could inject text into the log.
REQUEST_ID = re.compile(r"[0-9A-Za-z._=-]{8,64}")


def request_id(get_response: GetResponse) -> GetResponse:
    """Give each request an ID, for the log and the X-Request-ID header. A trusted proxy may choose it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        sent_id = request.headers.get("X-Request-ID", "") if settings.TRUSTED_PROXY_COUNT > 0 else ""
        new_id = sent_id if REQUEST_ID.fullmatch(sent_id) else secrets.token_hex(16)
        request.id = new_id  # type: ignore[attr-defined]
        token = logs.current_request.set(request)
        try:
            response = get_response(request)
        finally:
            logs.current_request.reset(token)
        response.headers["X-Request-ID"] = new_id
        return response

    return middleware


def security_headers(get_response: GetResponse) -> GetResponse:
    """Set security headers on every response, including error pages."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        if request.path.startswith(WITHOUT_REFERRER_PATH):
            response.headers["Referrer-Policy"] = "strict-origin"
        user = getattr(request, "user", None)
        if request.path.startswith(("/accounts/", "/admin/")) or (user is not None and user.is_authenticated):
            if "no-store" not in response.headers.get("Cache-Control", ""):
                add_never_cache_headers(response)
            patch_vary_headers(response, ["Cookie"])
        if request.method == "POST" and request.path in SIGN_OUT and response.status_code < 400:
            response.headers["Clear-Site-Data"] = '"storage"'
        return response

    return middleware


def health_check(get_response: GetResponse) -> GetResponse:
    """Answer /healthz before Django checks the Host header, because load balancers use IP addresses."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return healthz(request) if request.path_info == "/healthz" else get_response(request)

    return middleware


def refuse_nul(get_response: GetResponse) -> GetResponse:
    """Reject NUL in the path and query string. No URL of the site has it, and PostgreSQL rejects it in queries."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("NUL in the URL")
        return get_response(request)

    return middleware


def cut_oversized_body(get_response: GetResponse) -> GetResponse:
    """Cut a form's body at the limit, so that the field that is too long gets an error message.

    Django would answer 400, and the user would lose the form. The CSRF token is the first field of every form, so it is
    never cut off. No page accepts files: a long body of another type is rejected before Django writes it to disk.
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
        # If input is unread when the server closes, the connection is reset before the client reads the response.
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


def record_sign_in_time(request: HttpRequest, **kwargs: Any) -> None:
    """Store the time of sign-in in the session. Receives Django's `user_logged_in`."""
    request.session[SIGNED_IN_AT] = int(time.time())


def end_old_sessions(get_response: GetResponse) -> GetResponse:
    """Sign users out 30 days after they signed in.

    A session without the time of sign-in, from before this rule, ends 30 days after its next request.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if SESSION_KEY in request.session:
            now = int(time.time())
            if now - request.session.setdefault(SIGNED_IN_AT, now) >= SESSION_LIFETIME:
                logout(request)
                messages.info(request, _("You signed in 30 days ago. Please sign in again."))
        return get_response(request)

    return middleware
