"""The URLs of the minimal site: the app's, allauth's, Django's admin, and pages of its own."""

from django.contrib import admin
from django.urls import include, path

from twofactor.tests.hosts import pages

urlpatterns = [
    path("", pages.index, name="home"),
    path("accounts/2fa/", include("twofactor.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    *pages.urlpatterns,
]
