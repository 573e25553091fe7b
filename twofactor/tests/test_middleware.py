"""The middleware: login pages of the admin, and boosted links. Its session check is tested in test_settings.py."""

import pytest
from django.contrib.admin import AdminSite
from django.urls import include, path

from twofactor.tests.helpers import LOGIN, PASSWORD, SETTINGS, is_signed_in, new_client, redirect_target, sign_in

DEFAULT_ADMIN = AdminSite("bare")
urlpatterns = [
    path("bare/", DEFAULT_ADMIN.urls),
    path("", include("twofactor.tests.urls")),
]


@pytest.fixture(autouse=True)
def urls_with_default_admin(settings):
    settings.ROOT_URLCONF = __name__


def test_the_login_page_of_another_admin_redirects_to_the_login_with_a_code(make_user):
    superuser = make_user(is_staff=True, is_superuser=True)
    client = new_client()
    assert redirect_target(client.get("/bare/login/")).startswith(LOGIN)
    assert redirect_target(client.get("/bare/login/?next=/bare/")) == f"{LOGIN}?next=%2Fbare%2F"
    response = client.post("/bare/login/", {"username": superuser.email, "password": PASSWORD, "next": "/bare/"})
    assert redirect_target(response).startswith(LOGIN)
    assert not is_signed_in(client)


def test_a_signed_in_user_gets_403_from_the_login_page_of_another_admin(user):
    assert sign_in(new_client(), user).get("/bare/login/").status_code == 403


def test_a_boosted_link_that_does_not_target_the_panel_gets_a_full_page(client_with_2fa):
    boosted = {"HX-Request": "true", "HX-Boosted": "true"}
    assert b"<html" in client_with_2fa.get(SETTINGS, headers=boosted).content
    assert b"<html" not in client_with_2fa.get(SETTINGS, headers={**boosted, "HX-Target": "panel"}).content
