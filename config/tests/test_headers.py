"""Security headers of pages, panels, error pages and the admin."""

from runpy import run_path

import pytest
from django.test import Client

from config import messages
from twofactor.tests.constants import LOGIN, LOGOUT, PASSWORD, SETTINGS, SETUP, VERIFY_LOGIN
from twofactor.tests.helpers import code_now, give_password, new_client, sign_in

SELF = ["script-src", "style-src", "img-src", "font-src", "connect-src", "form-action"]
CSP = [*(f"{name} 'self'" for name in SELF), "base-uri 'none'", "default-src 'none'", "frame-ancestors 'none'"]
# Under no-referrer a browser posts a form with `Origin: null`, which Django refuses. Forms need strict-origin.
WITHOUT_A_PATH = ("strict-origin", "no-referrer")
pytestmark = pytest.mark.django_db


def assert_security_headers(response):
    assert sorted(response["Content-Security-Policy"].split("; ")) == sorted(CSP)
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] in ("same-origin", *WITHOUT_A_PATH)
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"
    policy = dict(part.strip().split("=") for part in response["Permissions-Policy"].split(","))
    assert set(policy) >= {"camera", "microphone", "geolocation", "payment", "usb", "display-capture"}
    assert set(policy.values()) == {"()"}
    assert "Content-Security-Policy-Report-Only" not in response


@pytest.fixture
def staff(make_user, settings):
    settings.TWOFACTOR_REQUIRED = "none"
    return sign_in(new_client(), make_user("root@example.com", is_staff=True, is_superuser=True))


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize("path", ["/", LOGIN, "/accounts/signup/", "/admin/login/", "/healthz", SETTINGS])
def test_every_public_page_has_the_security_headers(path, htmx):
    assert_security_headers(new_client(htmx=htmx).get(path))


@pytest.mark.parametrize("path", ["/", SETTINGS, SETUP, "/accounts/email/", "/accounts/sessions/", "/admin/",
                                  "/admin/accounts/user/"])  # fmt: skip
def test_every_page_that_needs_sign_in_has_the_security_headers_and_is_not_stored(staff, path):
    response = staff.get(path)
    assert response.status_code == 200
    assert response["X-Frame-Options"] == "DENY"
    assert_security_headers(response)
    assert "no-store" in response["Cache-Control"]
    assert {"Cookie", "HX-Request"} <= {name.strip() for name in response["Vary"].split(",")}


def test_error_pages_have_the_security_headers(user, settings, monkeypatch):
    settings.ACCOUNT_RATE_LIMITS = {"login": "1/m/ip"}
    signed_in = sign_in(new_client(), user)
    answers = {
        404: signed_in.get("/nowhere/"),
        405: signed_in.post(SETTINGS),
        403: Client(enforce_csrf_checks=True).post(LOGIN, {"login": "x"}),
        400: Client().get("/", headers={"Host": "evil.example"}),
        413: Client().post("/", {"x": "y" * 70_000}),
        429: give_password(new_client(), user, password="wrong"),
    }
    monkeypatch.setattr("config.views.render", lambda *args, **kwargs: 1 / 0)
    answers[500] = Client(raise_request_exception=False).get("/")
    for status, response in answers.items():
        assert response.status_code == status
        assert_security_headers(response)
    assert "no-store" in answers[404]["Cache-Control"]
    assert answers[429]["Retry-After"]
    assert "ZeroDivision" not in answers[500].content.decode()


@pytest.mark.parametrize("path", ["/", LOGIN, "/nowhere/", "/accounts/logout/", "/language/"])
def test_no_page_is_stored_unless_its_view_says_so(path):
    assert "no-store" in new_client().get(path)["Cache-Control"]


@pytest.mark.parametrize("htmx", [False, True])
def test_the_code_form_and_the_answer_to_the_password_are_not_stored(user, second_factor, htmx):
    client = new_client(htmx=htmx)
    assert "no-store" in give_password(client, user)["Cache-Control"]
    assert "no-store" in client.get(VERIFY_LOGIN)["Cache-Control"]


def test_pages_with_a_token_or_secret_send_no_path_as_referrer(user):
    """Nor does a page that has no view: its URL may be a mistyped link with a token."""
    pages = ["/accounts/confirm-email/some-key/", "/accounts/confirm-email/some-key/not-me/", VERIFY_LOGIN]
    for path in (*pages, "/accounts/password/reset/key/1-set-password/", "/accounts/password/reset/key/nowhere"):
        assert new_client().get(path)["Referrer-Policy"] in WITHOUT_A_PATH, path
    assert new_client().get("/")["Referrer-Policy"] == "same-origin"
    response = sign_in(new_client(), user).post(SETUP, {"password": PASSWORD})
    assert response.context["key"]
    assert response["Referrer-Policy"] in WITHOUT_A_PATH


def test_sign_out_clears_web_storage(user, staff):
    """Not "cache": clearing it takes Chromium long if it is full of other sites, and the site's pages are not in it."""
    for htmx in (False, True):
        client = sign_in(new_client(htmx=htmx), user)
        assert "Clear-Site-Data" not in client.get(LOGOUT)
        assert client.post(LOGOUT)["Clear-Site-Data"] == '"storage"'
    assert staff.post("/admin/logout/")["Clear-Site-Data"] == '"storage"'
    assert "Clear-Site-Data" not in Client(enforce_csrf_checks=True).post(LOGOUT)


def test_https_sets_hsts_and_secure_host_only_cookies(settings, user, second_factor, secret):
    settings.SECURE_SSL_REDIRECT = settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    settings.SECURE_HSTS_SECONDS = 31536000
    client = new_client()
    assert client.get(LOGIN)["Location"] == f"https://testserver{LOGIN}"
    hsts = client.get(LOGIN, secure=True)["Strict-Transport-Security"]
    assert hsts == "max-age=31536000; includeSubDomains"
    client.post(LOGIN, {"login": user.email, "password": PASSWORD}, secure=True)
    client.post(VERIFY_LOGIN, {"code": code_now(secret)}, secure=True)
    assert run_path(messages.__file__)["CookieStorage"].cookie_name == "__Host-messages"
    for name in ("__Host-sessionid", "__Host-csrftoken", "__Host-known"):
        cookie = client.cookies[name]
        assert (bool(cookie["secure"]), bool(cookie["httponly"]), cookie["samesite"]) == (True, True, "Lax")
        assert (cookie["path"], cookie["domain"]) == ("/", "")
