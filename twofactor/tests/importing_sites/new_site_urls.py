from django.http import HttpResponse
from django.urls import include, path

urlpatterns = [
    path("2fa/", include("twofactor.urls")),
    path("", include("allauth.urls")),
    path("", lambda request: HttpResponse("home")),
]
