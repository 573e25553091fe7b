from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The page after sign-in, as small as possible."""
    return HttpResponse(f"Signed in as {request.user.get_username()}.")


urlpatterns = [path("", home), path("accounts/", include("allauth.urls"))]
