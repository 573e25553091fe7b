"""The one middleware of a site. Its second wall is tried in config/tests, on a site that is up."""

import pytest
from django.contrib.admin import AdminSite
from django.urls import include, path

from conftest import PASSWORD
from twofactor.tests.helpers import LOGIN, SETTINGS, is_signed_in, new_client, redirect_target, sign_in

BARE = AdminSite("bare")
urlpatterns = [
    path("bare/", BARE.urls),
    path("", include("config.urls")),
]


@pytest.fixture(autouse=True)
def bare_admin(settings):
    settings.ROOT_URLCONF = __name__


def test_an_admin_with_a_sign_in_of_its_own_leads_to_the_one_that_asks_for_a_code(make_user):
    boss = make_user(is_staff=True, is_superuser=True)
    client = new_client()
    assert redirect_target(client.get("/bare/login/")).startswith(LOGIN)
    assert redirect_target(client.get("/bare/login/?next=/bare/")) == f"{LOGIN}?next=%2Fbare%2F"
    answer = client.post("/bare/login/", {"username": boss.email, "password": PASSWORD, "next": "/bare/"})
    assert redirect_target(answer).startswith(LOGIN)
    assert not is_signed_in(client)


def test_it_is_no_way_to_become_somebody_else(user):
    assert sign_in(new_client(), user).get("/bare/login/").status_code == 403


def test_a_site_that_boosts_its_links_into_a_place_of_its_own_gets_whole_pages(client_with_2fa):
    boosted = {"HX-Request": "true", "HX-Boosted": "true"}
    assert b"<html" in client_with_2fa.get(SETTINGS, headers=boosted).content
    assert b"<html" not in client_with_2fa.get(SETTINGS, headers={**boosted, "HX-Target": "panel"}).content
