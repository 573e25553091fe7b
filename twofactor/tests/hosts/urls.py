from django.urls import include, path

urlpatterns = [
    path("accounts/2fa/", include("twofactor.urls")),
    path("accounts/", include("allauth.urls")),
]
