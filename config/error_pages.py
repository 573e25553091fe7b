"""Error views, in place of Django's for 400, 403, 404 and 500.

Django's views use requires_csrf_token, which reads the request body in the error handler. An unreadable body then turns
the error into a 500. The forms on these pages work without it, because CsrfViewMiddleware reads the cookie earlier.
"""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string


def bad_request(request: HttpRequest, exception: BaseException | None = None) -> HttpResponse:
    """Render the page without the request, so that it does not reflect a refused host."""
    if is_database_down(exception):
        return unavailable()
    return HttpResponse(render_to_string("400.html"), status=400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "403.html", status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render(request, "403_csrf.html", status=403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "404.html", status=404)


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """Answer a request over one of allauth's rate limits, which count per minute."""
    response = render(request, "429.html", {"retry_after": 60}, status=429)
    response["Retry-After"] = "60"
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Render the page without the request, because the request may cause the error."""
    if is_database_down(sys.exception()):
        return unavailable()
    return HttpResponse(render_to_string("500.html"), status=500)


def is_database_down(error: BaseException | None) -> bool:
    """Return whether the database was unreachable or locked.

    Look at the context too: if a session cannot be saved, Django raises SessionInterrupted, which is a bad request.
    """
    while error and not isinstance(error, OperationalError | InterfaceError):
        error = error.__context__
    return error is not None


def unavailable() -> HttpResponse:
    return HttpResponse(render_to_string("500.html"), status=503, headers={"Retry-After": "5"})
