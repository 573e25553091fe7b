from django.contrib.auth.views import LoginView
from django.http import HttpResponse
from django.urls import include, path

urlpatterns = [
    path("login/", LoginView.as_view(template_name="base.html")),
    path("mfa/", include("django_mfa.urls")),
    path("", lambda request: HttpResponse("home")),
]
