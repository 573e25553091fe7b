"""Attempts to bypass the code at the site: spoofed headers, spellings of paths, other hosts, forged sessions."""

import json
import re
from urllib.parse import urljoin, urlsplit

import pytest
from django.contrib.sessions.models import Session

from config.wsgi import application
from twofactor.models import AuthenticatorApp, SecondFactor
from twofactor.tests.constants import (
    DISABLE,
    LOGIN,
    LOGOUT,
    PASSWORD,
    REAUTHENTICATE,
    REGENERATE,
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
)
from twofactor.tests.helpers import code_now, give_password, is_signed_in, new_client, wrong_code
from twofactor.tests.responses import redirect_target

pytestmark = pytest.mark.django_db


@pytest.fixture
def client_with_2fa(user, second_factor, secret):
    """Signed in with a code; every code is unused again."""
    give_password(client := new_client(), user)
    client.post(VERIFY_LOGIN, {"code": code_now(secret)})
    AuthenticatorApp.objects.update(last_time_step=-1)
    return client


@pytest.fixture
def pending(user, second_factor):
    client = new_client(raise_request_exception=False)
    give_password(client, user)
    return client


def throttle():
    return list(SecondFactor.objects.order_by("pk").values())


# --- Without the code -----------------------------------------------------------------------------


def test_a_code_posted_with_the_password_does_not_skip_the_stage(user, backup_codes, secret):
    client = new_client()
    give_password(client, user, code=code_now(secret), backup_code=backup_codes[0])
    assert client.get(VERIFY_LOGIN).status_code == 200
    assert not is_signed_in(client)
    assert SecondFactor.objects.get().codes_left == 10


@pytest.mark.parametrize("planted", ["a" * 32, "attackers-own-key", "../../etc/passwd"])
def test_a_session_key_fixed_before_the_password_is_not_signed_in(user, second_factor, secret, planted):
    victim = new_client()
    victim.cookies["sessionid"] = planted
    give_password(victim, user)
    pending_key = victim.cookies["sessionid"].value
    victim.post(VERIFY_LOGIN, {"code": code_now(secret)})
    assert is_signed_in(victim)
    for key in (planted, pending_key):
        thief = new_client()
        thief.cookies["sessionid"] = key
        assert redirect_target(thief.get(SETTINGS)).startswith(LOGIN)
        assert redirect_target(thief.get(VERIFY_LOGIN)) == LOGIN


def test_signed_out_requests_create_no_session():
    client = new_client()
    fields = {"login": "nobody@example.com", "password": "x", "email": "nobody", "code": "123456"}
    for path in ("/", LOGIN, "/accounts/signup/", "/accounts/password/reset/", SETTINGS, VERIFY_LOGIN, "/admin/"):
        client.get(path)
        client.post(path, fields)
    assert not Session.objects.exists()
    assert "sessionid" not in client.cookies


# --- Without the password -------------------------------------------------------------------------


def test_the_second_factors_counters_do_not_change_without_the_password(user, second_factor, secret, make_user):
    before = throttle()
    attacker, other = new_client(), new_client()
    other.force_login(make_user("eve@example.com"))
    wrong = {"login": user.email, "user": str(user.pk), "password": "not-the-password", "code": wrong_code(secret)}
    for client in (attacker, other):
        for path in (LOGIN, VERIFY_LOGIN, SETUP, f"{SETTINGS}verify-setup/", DISABLE, REGENERATE, REAUTHENTICATE):
            client.post(path, wrong)
            client.post(path, {**wrong, "password": PASSWORD} if path != LOGIN else wrong)
    assert throttle() == before


def test_sign_in_step_up_and_changes_share_the_delay(client_with_2fa, user, secret):
    for path in (DISABLE, REGENERATE, SETUP, REAUTHENTICATE, DISABLE):
        client_with_2fa.post(path, {"password": PASSWORD, "code": wrong_code(secret)})
    give_password(other := new_client(), user)
    assert other.post(VERIFY_LOGIN, {"code": code_now(secret)}).status_code == 429
    for path in (DISABLE, REGENERATE, SETUP, REAUTHENTICATE):
        response = client_with_2fa.post(path, {"password": PASSWORD, "code": code_now(secret)})
        assert (response.status_code, int(response["Retry-After"]) <= 30) == (429, True)


# --- Headers, methods and content types -----------------------------------------------------------


@pytest.mark.parametrize("headers", [
    {"X-Requested-With": "XMLHttpRequest", "Accept": "application/json"},
    {"HX-Request": "true", "Accept": "application/json, text/html;q=0.1"},
    {"HX-Request": "true", "HX-History-Restore-Request": "true"}, {"HX-Request": "TRUE"},
    {"HX-Boosted": "true", "HX-Target": "body", "HX-Trigger": "x", "HX-Prompt": PASSWORD},
], ids=str)  # fmt: skip
def test_no_header_turns_a_page_into_json_echoes_a_secret_or_opens_a_page(client_with_2fa, pending, user, headers):
    secret = "a-Password-nobody-has-9"
    fields = {"login": user.email, "email": "new@example.com", "code": "111 222", "backup_code": "SECR-ETSE-CRET-SECR"}
    fields |= dict.fromkeys(["password", "password1", "oldpassword"], secret)
    pages = [new_client().post(path, fields, headers=headers) for path in (LOGIN, "/accounts/signup/")]
    pages += [pending.post(VERIFY_LOGIN, fields, headers=headers)]
    for path in (REAUTHENTICATE, DISABLE, SETUP, REGENERATE, "/accounts/password/change/", "/accounts/email/"):
        assert redirect_target(pending.get(path, headers=headers)).startswith(LOGIN)
        pages.append(client_with_2fa.post(path, fields, headers=headers))
    for page in pages:
        assert page.status_code < 500
        assert "json" not in page.get("Content-Type", "")
        for typed in (secret, "111 222", "SECR-ETSE-CRET-SECR"):
            assert typed not in page.content.decode()


def test_a_json_body_is_not_read_as_a_form(user):
    client = new_client()
    client.post(LOGIN, json.dumps({"login": user.email, "password": PASSWORD}), content_type="application/json")
    assert not is_signed_in(client)


def test_no_header_or_field_overrides_the_method(client_with_2fa, secret):
    names = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"]
    fields = {"_method": "POST", "method": "POST", "password": PASSWORD, "code": code_now(secret)}
    before = throttle()
    for path in (DISABLE, REGENERATE, SETUP):
        assert client_with_2fa.get(path, fields, headers=dict.fromkeys(names, "POST")).status_code == 200
    assert client_with_2fa.post(SETTINGS, {"_method": "GET"}, headers=dict.fromkeys(names, "GET")).status_code == 405
    assert throttle() == before


@pytest.mark.parametrize("how", ["no token", "another's token", "no cookie", "another origin"])
def test_cross_site_posts_are_refused(client_with_2fa, pending, secret, how):
    before = throttle()
    for client, path in [(client_with_2fa, DISABLE), (client_with_2fa, LOGOUT), (pending, VERIFY_LOGIN)]:
        strict = new_client(enforce_csrf_checks=True)
        strict.cookies["sessionid"] = client.cookies["sessionid"].value
        if how != "no cookie":
            strict.cookies["csrftoken"] = "t" * 32
        token = {"no token": "", "another's token": "x" * 32}.get(how, "t" * 32)
        origin = {"Origin": "https://evil.example"} if how == "another origin" else {}
        fields = {"password": PASSWORD, "code": code_now(secret), "csrfmiddlewaretoken": token}
        assert strict.post(path, fields, headers=origin).status_code == 403
    assert throttle() == before
    assert client_with_2fa.get(SETTINGS).status_code == 200


# --- Paths, hosts and bytes -----------------------------------------------------------------------

PATH_SPELLINGS = [
    "/accounts/2fa", "/accounts/2fa//", "/accounts//2fa/", "//accounts/2fa/", "/./accounts/2fa/",
    "/accounts/2fa/verify-login/../setup/", "/accounts/2fa/%73etup/", "/ACCOUNTS/2FA/", "/accounts/2fa/setup/;x=1",
    "/accounts/2fa/setup/%2e%2e/", "/accounts/2fa/setup/%00", "/accounts/2fa%2fsetup/", "/accounts/2fa/setup/%0d%0aX:y",
    "/accounts/2fa/verify-login/x", "/admin", "/admin/../admin/", "/healthz/../admin/", "/static/../accounts/2fa/",
    "/static/%2e%2e/config/settings.py", "//evil.example/accounts/2fa", "/%2f%2fevil.example", "/\\evil.example/",
    "/accounts/2fa/?next=//evil.example", "/.env", "/%ff%fe", "/%ed%a0%80/", "/" + "a" * 6000,
    f"/accounts/2fa/trusted-browsers/{9**30}/forget/", f"/accounts/sessions/{9**30}/end/",
    "/accounts/password/reset/key/zzzzzzzzzzzzzzzz-x/", "/accounts/2fa/?" + "a=1&" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("method", ["get", "post"])
def test_no_spelling_of_a_path_bypasses_the_code(pending, user, secret, method):
    before = throttle()
    for path in PATH_SPELLINGS:
        page = getattr(pending, method)(path, {"password": PASSWORD, "code": code_now(secret)})
        assert page.status_code < 500, path
        target = urljoin("http://testserver/x/", redirect_target(page).replace("\\", "/"))
        assert urlsplit(target).netloc == "testserver", path
        assert not re.search(f"{user.email}|SECRET_KEY|root:", page.content.decode())
    assert throttle() == before
    assert pending.get(VERIFY_LOGIN).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "testserver@evil.example", "testserver, evil.example", "[::1"])
def test_another_host_is_refused_and_not_reflected(host):
    page = new_client().get(SETTINGS, headers={"Host": host})
    assert page.status_code == 400
    assert "evil" not in page.content.decode()
    assert "evil" not in redirect_target(new_client().get(f"{SETTINGS}status/", headers={"X-Forwarded-Host": host}))


@pytest.mark.parametrize("charset", ["base64", "rot13", "utf-16", "utf-8-sig", "UTF8", "none-such"])
def test_no_charset_causes_an_error_page(rf, charset):
    """Django decodes a form by any Python codec. Some fail at a point where no error page is rendered."""
    token = "t" * 32
    body = f"csrfmiddlewaretoken={token}&language=de".encode()
    for typed, expected in [(body, "302 Found"), (b"\xff=%FF", "403 Forbidden")]:
        request = rf.generic(
            "POST", "/language/", typed, content_type=f"application/x-www-form-urlencoded; charset={charset}"
        )
        statuses = []
        environ = {**request.environ, "HTTP_COOKIE": f"csrftoken={token}"}
        b"".join(application(environ, lambda status, headers, exc_info=None, to=statuses: to.append(status)))
        assert statuses == [expected]


@pytest.mark.parametrize("path", ["/%00", "/admin/twofactor/securityevent/?kind__exact=%00", f"{LOGIN}?next=%00"])
def test_a_nul_in_the_url_is_refused_with_the_sites_error_page(path):
    response = new_client().get(path)
    assert response.status_code == 400
    assert response["Content-Security-Policy"]


def test_a_nul_in_a_cookie_causes_no_error():
    cookies = 'sessionid="aaaaaaaa\\000aaaa"; csrftoken="\\000"; known="\\000"'
    assert new_client().get("/", headers={"Cookie": cookies}).status_code == 200
