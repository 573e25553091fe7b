"""Middleware of the site: request IDs, security headers, well-known URLs, limits of requests, sessions."""

import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import SESSION_KEY, logout
from django.core.exceptions import BadRequest, RequestDataTooBig
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _

from config import error_pages, logs, well_known
from config.health import healthz
from twofactor import times
from twofactor.htmx import wants_panel

GetResponse = Callable[[HttpRequest], HttpResponse]

PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen", "geolocation",
        "gyroscope", "magnetometer", "microphone", "midi", "payment", "picture-in-picture", "screen-wake-lock",
        "usb", "xr-spatial-tracking",
    )
)  # fmt: skip
# A static file that no browser shows as a document does not need these. On a first visit they were 3 KB.
DOCUMENTS = ("text/html", "application/xhtml+xml", "image/svg+xml")
ONLY_FOR_DOCUMENTS = ("Content-Security-Policy", "Cross-Origin-Opener-Policy", "Permissions-Policy")
WITHOUT_SESSION = {
    "/healthz": healthz,
    "/.well-known/security.txt": well_known.security_txt,
    "/.well-known/change-password": well_known.change_password,
}
SIGNED_IN_AT = "signed_in_at"
ACTIVE_AT = "active_at"
ACTIVITY_SECONDS = 60 * 60
SESSION_LIFETIME = 30 * 24 * 60 * 60  # seconds
SIGN_OUT = {"account_logout", "admin:logout", "delete_account"}
# These pages have a token in their URL, and pages of the app may have a secret on them, so their Referer has no path.
# With `no-referrer` browsers would also send `Origin: null` with forms, which Django's CSRF check rejects.
WITH_TOKEN = {"account_confirm_email", "account_reset_password_from_key", "reject_email"}
# The IDs of nginx, HAProxy and cloud load balancers. Longer or other values could inject text into the log.
REQUEST_ID = re.compile(r"[0-9A-Za-z._=-]{8,64}")


def request_id(get_response: GetResponse) -> GetResponse:
    """Give each request an ID, for the log and the X-Request-ID header. A trusted proxy may choose it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        sent_id = request.headers.get("X-Request-ID", "") if settings.TRUSTED_PROXY_COUNT > 0 else ""
        new_id = sent_id if REQUEST_ID.fullmatch(sent_id) else secrets.token_hex(16)
        request.META["REQUEST_ID"] = new_id  # no header of a client can set this name
        token = logs.current_request.set(request)
        try:
            response = get_response(request)
        finally:
            logs.current_request.reset(token)
        response.headers["X-Request-ID"] = new_id
        return response

    return middleware


def security_headers(get_response: GetResponse) -> GetResponse:
    """Set security headers on every response, including error pages. Static files need fewer."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        match = request.resolver_match  # None if no URL was looked up
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        if response.streaming and not response.headers.get("Content-Type", DOCUMENTS[0]).startswith(DOCUMENTS):
            for name in ONLY_FOR_DOCUMENTS:
                response.headers.pop(name, None)
        if match is None or match.view_name in WITH_TOKEN or "twofactor" in match.app_names:
            response.headers["Referrer-Policy"] = "strict-origin"
        if "Cache-Control" not in response.headers:
            add_never_cache_headers(response)
        if match and match.view_name in SIGN_OUT and request.method == "POST" and response.status_code < 400:
            response.headers["Clear-Site-Data"] = '"storage"'
        return response

    return middleware


def without_session(get_response: GetResponse) -> GetResponse:
    """Answer the requests of programs before the session is read.

    Django has not checked the Host header yet: load balancers use IP addresses.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        return WITHOUT_SESSION.get(request.path_info, get_response)(request)

    return middleware


def refuse_nul(get_response: GetResponse) -> GetResponse:
    """Reject NUL in the path and query string. No URL of the site has it, and PostgreSQL rejects it in queries."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("NUL in the URL")
        return get_response(request)

    return middleware


def read_body(get_response: GetResponse) -> GetResponse:
    """Read the request body before anything uses the database, so that a slow client holds no database connection.

    Answer 413 to a body over DATA_UPLOAD_MAX_MEMORY_SIZE, and 400 to one that ends early.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        try:
            is_complete = len(request.body) >= int(request.META.get("CONTENT_LENGTH") or 0)
        except RequestDataTooBig:
            # Neither the session nor the user is known yet, so the page has no frame that shows them.
            base_template = "_panel_base.html" if wants_panel(request) else "_plain.html"
            return render(request, "413.html", {"base_template": base_template}, status=413)
        except (UnreadablePostError, ValueError):  # ValueError: Content-Length is not a number
            is_complete = False
        return get_response(request) if is_complete else error_pages.bad_request(request)

    return middleware


def record_sign_in_time(request: HttpRequest, **kwargs: Any) -> None:
    """Store the time of sign-in in the session. Receives Django's `user_logged_in`."""
    request.session[SIGNED_IN_AT] = request.session[ACTIVE_AT] = int(time.time())


def end_old_sessions(get_response: GetResponse) -> GetResponse:
    """Sign users out 30 days after they signed in.

    A session without the time of sign-in, from before this rule, ends 30 days after its next request.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if SESSION_KEY in request.session:
            now = int(time.time())
            if now - request.session.setdefault(SIGNED_IN_AT, now) >= SESSION_LIFETIME:
                logout(request)
                messages.info(request, _("It's been 30 days since you signed in. Please sign in again."))
        return get_response(request)

    return middleware


def record_activity(get_response: GetResponse) -> GetResponse:
    """Record once an hour that a session was active, for the list of sessions.

    The session keeps the time of the last record, so that other requests cost no statement. allauth's own middleware
    reads and writes a row in every request.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if SESSION_KEY in request.session:
            now = int(time.time())
            if now - request.session.get(ACTIVE_AT, 0) >= ACTIVITY_SECONDS:
                request.session[ACTIVE_AT] = now
                row = UserSession.objects.filter(session_key=request.session.session_key)
                row.update(last_seen_at=times.at(now))
        return get_response(request)

    return middleware
