"""The health check for load balancers and monitoring. The `health_check` middleware calls it, not urls.py."""

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import get_random_string
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Return 200 if the database and the cache work, else 503. Use neither a session nor a cookie."""
    value = get_random_string(12)
    cache.set(f"healthz:{value}", value, 10)
    healthy = cache.get(f"healthz:{value}") == value
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        healthy = False
    return HttpResponse("ok\n" if healthy else "not ready\n", status=200 if healthy else 503, content_type="text/plain")
