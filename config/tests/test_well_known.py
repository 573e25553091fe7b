"""Files and addresses that programs look up: no cookie, no session and no statement, also with a session's cookie."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from twofactor.tests.helpers import new_client, sign_in

SECURITY_TXT = "/.well-known/security.txt"
CHANGE_PASSWORD = "/.well-known/change-password"
PATHS = {"/robots.txt": 200, "/favicon.ico": 200, SECURITY_TXT: 200, CHANGE_PASSWORD: 302}
pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", PATHS)
def test_it_costs_no_statement_and_sets_no_cookie(path, make_user, django_assert_num_queries):
    signed_in = sign_in(new_client(), make_user(is_staff=True))
    for client in (new_client(), signed_in):
        before = {name: cookie.value for name, cookie in client.cookies.items()}
        with django_assert_num_queries(0):
            found, head, posted = client.get(path), client.head(path), client.post(path)
        assert (found.status_code, head.status_code, posted.status_code) == (PATHS[path], PATHS[path], 405)
        assert not found.cookies
        found.close()  # a file
        assert {name: cookie.value for name, cookie in client.cookies.items()} == before


def fields():
    response = Client().get(SECURITY_TXT)
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    return dict(line.split(": ", 1) for line in response.content.decode().splitlines())


def test_security_txt_has_the_fields_of_rfc_9116(settings):
    settings.SITE_URL = "https://2fa.example"
    assert fields() == {
        "Contact": "mailto:no-reply@testserver",
        "Expires": fields()["Expires"],
        "Preferred-Languages": "en",
        "Canonical": f"https://2fa.example{SECURITY_TXT}",
        "Policy": "https://2fa.example/security/",
    }
    remaining = datetime.fromisoformat(fields()["Expires"]) - datetime.now(UTC)
    assert timedelta(days=30) < remaining < timedelta(days=365)


@pytest.mark.parametrize("contact, expected", [
    ("security@example.com", "mailto:security@example.com"),
    ("mailto:security@example.com", "mailto:security@example.com"),
    ("https://example.com/report", "https://example.com/report"),
])  # fmt: skip
def test_the_contact_is_an_address_or_a_url(settings, contact, expected):
    settings.SECURITY_CONTACT = contact
    assert fields()["Contact"] == expected
    assert f'href="{expected}"' in Client().get("/security/").content.decode()


@pytest.mark.parametrize("expires", ["2999-06-30", "2999-06-30T02:00:00+02:00"])
def test_the_expiry_is_a_date_or_a_time(settings, expires):
    settings.SECURITY_EXPIRES = expires
    assert fields()["Expires"] == "2999-06-30T00:00:00Z"


@pytest.mark.parametrize("wrong", ["soon", "9999-12-31T23:00:00-02:00"])
def test_an_expiry_that_is_not_a_date_is_replaced_by_the_default(settings, wrong):
    default = fields()["Expires"]
    settings.SECURITY_EXPIRES = wrong
    assert fields()["Expires"] == default


def test_password_managers_are_led_to_the_form(client):
    assert client.get(CHANGE_PASSWORD)["Location"] == "/accounts/password/change/"


def test_search_engines_may_list_the_public_pages_and_no_others():
    with closing(Client().get("/robots.txt")) as response:
        rules = b"".join(response).decode()
    assert "Disallow: /admin/\n" in rules
    assert "Disallow: /\n" not in rules
    assert "Disallow: /accounts/\n" not in rules
