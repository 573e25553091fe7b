"""The error pages, in place of Django's own for 400, 403, 404 and 500.

Those are decorated with requires_csrf_token, which reads the body inside the error handler: a body that cannot be read
turns the error into a 500. CsrfViewMiddleware has read the cookie before any view, so the forms on these pages work.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Render the page without the request, so that a refused host is never reflected."""
    return HttpResponse(render_to_string("400.html"), status=400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "403.html", status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render(request, "403_csrf.html", status=403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "404.html", status=404)


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """allauth's limits end here; their windows are minutes, and one is a fair time to come back."""
    response = render(request, "429.html", {"retry_after": 60}, status=429)
    response["Retry-After"] = "60"
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Render the page without the request, which may be the cause of the error."""
    return HttpResponse(render_to_string("500.html"), status=500)
