"""Attempts to bypass the code, over plain HTTP against two processes."""

import json
import re
from collections.abc import Callable
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import pytest

from config.tests.running_site import (
    CANCEL_LOGIN,
    CANCEL_SETUP,
    CONFIRM,
    DISABLE,
    LOGIN,
    REGENERATE,
    SETTINGS,
    SETUP,
    STATUS,
    VERIFY_LOGIN,
    VERIFY_SETUP,
    Browser,
    Page,
    Site,
    SiteUser,
)
from conftest import PASSWORD

pytest_plugins = ["config.tests.running_site"]

NEW_PASSWORD = "zinc-Harbour-9-lantern"
CHANGE_PASSWORD = "/accounts/password/change/"
REAUTHENTICATE = "/accounts/2fa/reauthenticate/"
EMAIL = "/accounts/email/"
SESSIONS = "/accounts/sessions/"
LOGOUT = "/accounts/logout/"
PATHS_BEHIND_SIGN_IN = [
    "/", SETTINGS, STATUS, SETUP, VERIFY_SETUP, CANCEL_SETUP, REGENERATE, DISABLE, CONFIRM, EMAIL, SESSIONS,
    f"{SETTINGS}trusted-browsers/1/forget/", f"{SETTINGS}trusted-browsers/forget/", "/accounts/sessions/1/end/",
    CHANGE_PASSWORD, "/accounts/password/set/", REAUTHENTICATE, "/accounts/reauthenticate/", "/accounts/",
    "/accounts/inactive/", "/accounts/login/code/confirm/", "/admin/", "/admin/login/", "/admin/accounts/user/",
    "/admin/accounts/user/1/change/", "/admin/password_change/", "/admin/jsi18n/", "/admin/twofactor/authenticator/",
]  # fmt: skip


@pytest.fixture
def site(sqlite_site: Site) -> Site:
    return sqlite_site


@pytest.fixture
def user(site: Site) -> SiteUser:
    return site.make_user()


@pytest.fixture(params=[False, True], ids=["plain", "htmx"])
def htmx(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def pending(site: Site, user: SiteUser, htmx: bool) -> Browser:
    """A browser with a pending sign-in: the password is accepted, the code is missing."""
    return Browser(site, htmx=htmx).begin_sign_in(user)


def is_unchanged(site: Site, user: SiteUser, before: dict[str, object]) -> bool:
    return site.authenticator(user) == before and site.unused_codes(user) == 10 and not site.events(user)


def status_and_target(page: Page) -> tuple[int, str]:
    return page.status, page.redirect_target


# --- A pending sign-in ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_pending_sign_in_gets_the_answers_of_a_signed_out_client(
    site: Site, user: SiteUser, pending: Browser, method: str
) -> None:
    before = site.authenticator(user)
    proof = {"password": PASSWORD, "oldpassword": PASSWORD, "code": user.code(), "backup_code": ""}
    for path in PATHS_BEHIND_SIGN_IN:
        signed_out = Browser(site, htmx=pending.htmx)
        pages = [browser.post(path, proof, method=method) for browser in (pending, signed_out)]
        assert status_and_target(pages[0]) == status_and_target(pages[1]), path
        assert user.email not in pages[0].text, path
        assert pages[0].status < 500, pages[0]
    assert is_unchanged(site, user, before)
    assert not pending.is_signed_in()


def test_a_pending_sign_in_cannot_change_2fa_with_a_valid_proof(site: Site, user: SiteUser, pending: Browser) -> None:
    before = site.authenticator(user)
    for path in (SETUP, REGENERATE, DISABLE, CONFIRM, REAUTHENTICATE, VERIFY_SETUP):
        for proof in ({"code": user.code()}, {"backup_code": user.backup_codes[0]}):
            page = pending.post(path, {"password": PASSWORD, **proof})
            assert page.redirect_target.startswith(LOGIN), page
            assert page.key == ""
            assert page.backup_codes == []
    assert is_unchanged(site, user, before)
    assert pending.give_code(user.code()).redirect_target == "/"


def test_no_code_is_checked_without_a_pending_sign_in(site: Site, user: SiteUser, htmx: bool) -> None:
    before = site.authenticator(user)
    signed_out = Browser(site, htmx=htmx)
    for page in (
        signed_out.get(VERIFY_LOGIN),
        signed_out.give_code(user.code()),
        signed_out.give_backup_code(user.backup_codes[0]),
        signed_out.post(VERIFY_LOGIN, {"login": user.email, "password": PASSWORD, "code": user.code()}),
        signed_out.post(CANCEL_LOGIN),
    ):
        assert page.redirect_target == LOGIN
    assert is_unchanged(site, user, before)


def test_a_code_posted_with_the_password_does_not_skip_the_stage(site: Site, user: SiteUser, htmx: bool) -> None:
    browser = Browser(site, htmx=htmx)
    browser.give_password(user, code=user.code(), backup_code=user.backup_codes[0], next="/accounts/email/")
    assert browser.has_pending_sign_in()
    assert not browser.is_signed_in()
    assert site.unused_codes(user) == 10


def test_cancel_ends_the_pending_sign_in(site: Site, user: SiteUser, pending: Browser) -> None:
    before = pending.copy()
    assert pending.post(CANCEL_LOGIN).redirect_target == LOGIN
    for browser in (pending, before):
        assert browser.give_code(user.code()).redirect_target == LOGIN
    assert site.authenticator(user)["failures"] == 0


def test_a_code_of_another_account_is_refused(site: Site, user: SiteUser, pending: Browser) -> None:
    other = site.make_user()
    before = site.authenticator(other)
    assert pending.give_code(other.code()).status == 422
    assert pending.give_backup_code(other.backup_codes[0]).status == 422
    assert not pending.is_signed_in()
    assert is_unchanged(site, other, before)
    assert site.authenticator(user)["failures"] == 1


def test_a_pending_sign_in_ends_after_ten_minutes(site: Site, user: SiteUser, pending: Browser) -> None:
    site.orm("let_sign_ins_age(601)")
    page = pending.give_code(user.code())
    assert page.redirect_target != "/"
    assert not pending.is_signed_in()
    assert site.authenticator(user)["last_time_step"] == -1


CHANGES = {
    "the password changed": "(lambda u: (u.set_password('another-Password-7'), u.save()))(User.objects.get(pk=pk))",
    "the account was deactivated": "User.objects.filter(pk=pk).update(is_active=False)",
    "the account was deleted": "User.objects.get(pk=pk).delete()",
    "2FA was turned off": "Authenticator.objects.get(user_id=pk).turn_off()",
    "2FA was reset by staff": "reset.reset(User.objects.get(pk=pk), reason='test')",
    "new codes were made": "Authenticator.objects.get(user_id=pk).regenerate_backup_codes()",
    "2FA was turned on again": "Authenticator.objects.activate(User.objects.get(pk=pk), secret=secret)",
}


@pytest.mark.parametrize("meanwhile", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("then", ["GET", "a code", "a backup code", "cancel"])
def test_a_pending_sign_in_ends_if_password_2fa_or_account_change(
    site: Site, user: SiteUser, htmx: bool, meanwhile: str, then: str
) -> None:
    pending = Browser(site, htmx=htmx).begin_sign_in(user)
    site.orm(meanwhile, pk=user.pk, secret=user.secret)
    if then == "GET":
        page = pending.get(VERIFY_LOGIN)
    elif then == "a code":
        page = pending.give_code(user.code())
    elif then == "a backup code":
        page = pending.give_backup_code(user.backup_codes[0])
    else:
        page = pending.post(CANCEL_LOGIN)
    assert page.redirect_target == LOGIN, page
    assert pending.get(VERIFY_LOGIN).redirect_target == LOGIN
    assert not pending.is_signed_in()
    assert site.authenticator(user).get("last_time_step", -1) == -1, "the code was used up"


# --- Other ways to sign in ------------------------------------------------------------------------


def final_redirect(browser: Browser, page: Page) -> str:
    """Return the path of a redirect. Follow the admin's sign-in page, which redirects to the site's."""
    if page.redirect_target.startswith("/admin/login/"):
        page = browser.get(page.redirect_target)
    return urlsplit(page.redirect_target).path


@pytest.mark.parametrize("on", [True, False], ids=["with 2FA", "without 2FA"])
def test_the_admin_has_no_sign_in_of_its_own(site: Site, htmx: bool, on: bool) -> None:
    staff = site.make_user(on=on, staff=True)
    browser = Browser(site, htmx=htmx)
    typed = {"username": staff.email, "password": PASSWORD, "next": "/admin/"}
    for path in ("/admin/login/", "/admin/login/?next=/admin/", "/admin/", "/admin/accounts/user/"):
        for page in (browser.get(path), browser.post(path, typed)):
            assert final_redirect(browser, page) == LOGIN, page
    assert not browser.is_signed_in()
    assert site.orm("UserSession.objects.filter(user_id=pk).count()", pk=staff.pk) == 0


def test_the_admins_sign_in_form_checks_no_password_for_signed_in_staff(site: Site, htmx: bool) -> None:
    """That form has no limit, no second factor and no log: it would allow unlimited guesses of a password."""
    staff, colleague = site.make_user(staff=True), site.make_user(on=False, staff=True)
    browser = Browser(site, htmx=htmx).sign_in(staff, code=staff.code())
    wrong = browser.post("/admin/login/", {"username": colleague.email, "password": "not-the-password"})
    right = browser.post("/admin/login/", {"username": colleague.email, "password": PASSWORD})
    assert status_and_target(right) == status_and_target(wrong)
    assert staff.email in browser.get(EMAIL, HX_Request="").text, "another user is signed in"


def test_a_pending_sign_in_of_staff_has_no_access_to_the_admin(site: Site, htmx: bool) -> None:
    staff = site.make_user(staff=True)
    browser = Browser(site, htmx=htmx).begin_sign_in(staff)
    for path in ("/admin/", "/admin/login/", "/admin/accounts/user/", "/admin/logout/", "/admin/password_change/"):
        for page in (browser.get(path), browser.post(path, {"username": staff.email, "password": PASSWORD})):
            assert final_redirect(browser, page) in (LOGIN, VERIFY_LOGIN), page
    assert not browser.is_signed_in()


UNMARKED_SESSION = """
(lambda u, s: (s.update({"_auth_user_id": str(u.pk), "_auth_user_backend": settings.AUTHENTICATION_BACKENDS[0],
 "_auth_user_hash": u.get_session_auth_hash(), **extra}), s.save(), s.session_key)[-1])
(User.objects.get(pk=pk), __import__("config.sessions").sessions.SessionStore())
""".replace("\n", "").replace("settings.", "__import__('django.conf').conf.settings.")


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"twofactor": {}},
        {"twofactor": {"version": ""}},
        {"twofactor": {"version": None}},
        {"twofactor": {"version": "0" * 16, "method": "code", "at": 0}},
    ],
    ids=["no mark", "empty mark", "empty version", "no version", "another version"],
)
@pytest.mark.parametrize("path", [SETTINGS, DISABLE, CHANGE_PASSWORD, "/"])
def test_a_session_that_did_not_pass_the_stage_is_signed_out(
    site: Site, user: SiteUser, extra: dict[str, object], path: str
) -> None:
    """Such a session comes from a direct `login()`, another backend, or the time before 2FA was turned on."""
    key = site.orm(UNMARKED_SESSION, pk=user.pk, extra=extra)
    for call in (Browser.get, Browser.post):
        browser = Browser(site)
        browser.cookies["sessionid"] = key
        page = call(browser, path)
        assert user.email not in page.text
        assert page.status in (200, 302, 405), page
        assert path == "/" or page.redirect_target.startswith(LOGIN), page
        assert not browser.is_signed_in()


def test_the_unmarked_session_of_these_tests_works_without_2fa(site: Site) -> None:
    user = site.make_user(on=False)
    browser = Browser(site)
    browser.cookies["sessionid"] = site.orm(UNMARKED_SESSION, pk=user.pk, extra={})
    assert browser.is_signed_in()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_session_started_before_2fa_was_turned_on_ends_at_its_next_request(
    site: Site, htmx: bool, method: str
) -> None:
    user = site.make_user(on=False)
    browser = Browser(site, htmx=htmx).sign_in(user)
    site.orm("Authenticator.objects.activate(User.objects.get(pk=pk), secret=s)", pk=user.pk, s="A" * 32)
    page = browser.post(EMAIL, {"action_add": "", "email": "evil@example.com"}, method=method)
    assert page.redirect_target.startswith(LOGIN), page
    assert not browser.is_signed_in()
    assert site.orm("EmailAddress.objects.filter(user_id=pk).count()", pk=user.pk) == 1


def test_a_confirmation_link_signs_nobody_in(site: Site, user: SiteUser, pending: Browser) -> None:
    confirm = (
        "__import__('allauth.account.models').account.models.EmailConfirmationHMAC("
        "EmailAddress.objects.create(user_id=pk, email='b' + email)).key"
    )
    key = site.orm(confirm, pk=user.pk, email=user.email)
    path = f"/accounts/confirm-email/{key}/"
    for browser in (pending, Browser(site)):
        browser.get(path)
        assert browser.post(path).status == 403  # an additional address is confirmed only in its own account
        assert not browser.is_signed_in()


# --- Session keys ---------------------------------------------------------------------------------


def test_the_session_key_changes_after_the_password_and_after_the_code(site: Site, user: SiteUser, htmx: bool) -> None:
    browser = Browser(site, htmx=htmx)
    browser.get(LOGIN)
    keys = [browser.session]
    browser.give_password(user)
    keys.append(browser.session)
    at_the_code = browser.copy()
    browser.give_code(user.code())
    keys.append(browser.session)
    assert len(set(keys)) == 3
    assert browser.is_signed_in()
    assert not at_the_code.is_signed_in()
    assert not at_the_code.has_pending_sign_in()


def test_a_session_key_fixed_before_the_password_is_not_signed_in(site: Site, user: SiteUser, htmx: bool) -> None:
    for planted in ("a" * 32, "attackers-own-key", "../../etc/passwd"):
        victim = Browser(site, htmx=htmx)
        victim.cookies["sessionid"] = planted
        site.reset_throttle_and_codes(user)
        victim.begin_sign_in(user)
        assert victim.session != planted
        victim.give_code(user.code())
        assert victim.is_signed_in()
        thief = Browser(site)
        thief.cookies["sessionid"] = planted
        assert not thief.is_signed_in()
        assert not thief.has_pending_sign_in()


def test_an_attackers_pending_sign_in_is_replaced_by_the_victims(site: Site, user: SiteUser, htmx: bool) -> None:
    """Session fixation: the victim's password starts another pending sign-in, with another session key."""
    attacker = Browser(site).begin_sign_in(site.make_user())
    victim = Browser(site, htmx=htmx, cookies=attacker.cookies)
    victim.begin_sign_in(user)
    assert not attacker.has_pending_sign_in()
    assert victim.give_code(user.code()).redirect_target == "/"
    assert not attacker.is_signed_in()
    assert not attacker.has_pending_sign_in()
    assert victim.session != attacker.session


def test_signed_out_requests_create_no_session(site: Site, htmx: bool) -> None:
    before = site.orm("Session.objects.count()")
    browser = Browser(site, htmx=htmx)
    for path in (
        "/",
        LOGIN,
        "/accounts/signup/",
        "/accounts/password/reset/",
        SETTINGS,
        VERIFY_LOGIN,
        "/admin/",
        "/no/",
    ):
        browser.get(path)
        browser.post(path, {"login": "nobody@example.com", "password": "x", "email": "nobody", "code": "123456"})
    assert site.orm("Session.objects.count()") == before
    assert browser.session == ""


Change = Callable[[Site, Browser, SiteUser], Page]


def two_browsers(site: Site, user: SiteUser) -> tuple[Browser, Browser]:
    """Return two browsers in which the user is signed in."""
    codes = iter(user.backup_codes)

    def new_browser() -> Browser:
        return Browser(site).sign_in(user, **({"backup_code": next(codes)} if user.secret else {}))

    return new_browser(), new_browser()


def turn_on(site: Site, browser: Browser, user: SiteUser) -> Page:
    user.secret = browser.post(SETUP, {"password": PASSWORD}).key
    return browser.post(VERIFY_SETUP, {"code": user.code()})


def turn_off(site: Site, browser: Browser, user: SiteUser) -> Page:
    return browser.post(DISABLE, {"password": PASSWORD, "backup_code": user.backup_codes[5]})


def make_new_codes(site: Site, browser: Browser, user: SiteUser) -> Page:
    return browser.post(REGENERATE, {"password": PASSWORD, "backup_code": user.backup_codes[5]})


def set_up_new_phone(site: Site, browser: Browser, user: SiteUser) -> Page:
    proof = {"password": PASSWORD, "backup_code": user.backup_codes[5]}
    user.secret = browser.post(SETUP, proof).key
    return browser.post(VERIFY_SETUP, {"code": user.code()})


def change_the_password(site: Site, browser: Browser, user: SiteUser) -> Page:
    return browser.post(CHANGE_PASSWORD, {"oldpassword": PASSWORD, "password1": NEW_PASSWORD})


@pytest.mark.parametrize("change", [turn_on, turn_off, make_new_codes, set_up_new_phone, change_the_password])
def test_a_change_ends_the_other_sessions_and_rotates_this_sessions_key(site: Site, htmx: bool, change: Change) -> None:
    user = site.make_user(on=change is not turn_on)
    browser, other = two_browsers(site, user)
    browser.htmx = htmx
    old = browser.copy()
    page = change(site, browser, user)
    assert page.status in (200, 302, 204), page
    assert browser.is_signed_in()
    assert browser.session != old.session
    assert not other.is_signed_in()
    assert not old.is_signed_in()
    listed = re.findall(r"/accounts/sessions/(\d+)/end/", browser.get(SESSIONS, HX_Request="").text)
    assert len(listed) <= 1
    assert site.orm("UserSession.objects.filter(user_id=pk, session_key=k).count()", pk=user.pk, k=browser.session) == 1


def test_sign_out_ends_the_setup_in_progress(site: Site, htmx: bool) -> None:
    user = site.make_user(on=False)
    browser = Browser(site, htmx=htmx).sign_in(user)
    key = browser.post(SETUP, {"password": PASSWORD}).key
    assert browser.get(SETUP).key == key != ""
    before = browser.copy()
    browser.post(LOGOUT)
    user.secret = key
    for each in (before, browser):
        assert each.post(VERIFY_SETUP, {"code": user.code()}).redirect_target.startswith(LOGIN)
    user.secret = ""
    browser.sign_in(user)
    assert browser.get(SETUP).key == ""
    assert site.authenticator(user) == {}


# --- Headers, methods and content types -----------------------------------------------------------

SPOOFED_HEADERS = [
    {"X_Requested_With": "XMLHttpRequest"},
    {"Accept": "application/json"},
    {"X_Requested_With": "XMLHttpRequest", "Accept": "application/json"},
    {"X_Requested_With": "XMLHttpRequest", "HX_Request": "true", "Accept": "application/json, text/html;q=0.1"},
    {"HX_Request": "true", "HX_History_Restore_Request": "true"},
    {"HX_Boosted": "true", "HX_Target": "body", "HX_Trigger": "x", "HX_Prompt": PASSWORD},
    {"HX_Request": "TRUE"},
    {"HX_Request": "false"},
]


@pytest.mark.parametrize("headers", SPOOFED_HEADERS, ids=",".join)
def test_no_header_turns_an_answer_into_json_or_echoes_a_secret(
    site: Site, user: SiteUser, headers: dict[str, str]
) -> None:
    secret = "a-Password-nobody-has-9"
    browser = Browser(site)
    fields = {"login": user.email, "password": secret, "email": "new@example.com", "password1": secret}
    pages = [
        browser.post(path, fields, **headers) for path in (LOGIN, "/accounts/signup/", "/accounts/password/reset/")
    ]
    browser.begin_sign_in(user)
    pages += [
        browser.post(VERIFY_LOGIN, {"code": "000 000", **fields}, **headers),
        browser.get(VERIFY_LOGIN, **headers),
    ]
    pages += [browser.post(VERIFY_LOGIN, {"backup_code": "SECR-ETSE-CRET-SECR"}, **headers)]
    assert browser.give_code(user.code()).redirect_target == "/"
    proof = {"password": secret, "code": "111222", "oldpassword": secret}
    for path in (REAUTHENTICATE, DISABLE, SETUP, REGENERATE, CHANGE_PASSWORD, EMAIL, LOGOUT):
        pages.append(browser.post(path, {**fields, **proof}, **headers))
    for page in pages:
        assert page.status < 500, page
        assert "json" not in page.headers.get("Content-Type", ""), page
        for typed in (secret, "000 000", "111222", "SECR-ETSE-CRET-SECR"):
            assert typed not in page.text, page


@pytest.mark.parametrize("headers", SPOOFED_HEADERS, ids=",".join)
def test_no_header_gives_a_pending_sign_in_access_to_a_page(
    site: Site, user: SiteUser, headers: dict[str, str]
) -> None:
    browser = Browser(site).begin_sign_in(user)
    for path in (SETTINGS, STATUS, SETUP, DISABLE, EMAIL, "/admin/", CHANGE_PASSWORD):
        for page in (browser.get(path, **headers), browser.post(path, {"password": PASSWORD}, **headers)):
            assert final_redirect(browser, page) in (LOGIN, VERIFY_LOGIN), page
    assert not browser.is_signed_in()


def test_a_json_body_is_not_read_as_a_form(site: Site, user: SiteUser) -> None:
    browser = Browser(site)
    body = f'{{"login": "{user.email}", "password": "{PASSWORD}", "code": "{user.code()}"}}'.encode()
    token = browser.cookies["csrftoken"]
    for path in (LOGIN, VERIFY_LOGIN, SETUP):
        page = browser.send("POST", path, body, {"Content-Type": "application/json", "X-CSRFToken": token})
        assert page.status < 500
        assert PASSWORD not in page.text
        assert "json" not in page.headers.get("Content-Type", "")
    assert not browser.has_pending_sign_in()


@pytest.mark.parametrize("asked", ["GET", "POST"])
def test_no_header_or_field_overrides_the_method(site: Site, asked: str) -> None:
    user = site.make_user()
    browser = Browser(site).sign_in(user, backup_code=user.backup_codes[0])
    names = ["X_HTTP_Method_Override", "X_HTTP_Method", "X_Method_Override"]
    fields = {"_method": "POST", "method": "POST", "password": PASSWORD, "code": user.code()}
    before = site.authenticator(user)
    if asked == "GET":
        for path in (DISABLE, REGENERATE, SETUP):
            query = "&".join(f"{name}={quote(value)}" for name, value in fields.items())
            page = browser.get(f"{path}?{query}", **dict.fromkeys(names, "POST"))
            assert page.status == 200
            assert page.backup_codes == []
            assert page.key == ""
    else:
        for path in (STATUS, SETTINGS):
            assert browser.post(path, {"_method": "GET"}, **dict.fromkeys(names, "GET")).status == 405
        assert browser.get(CANCEL_SETUP, **dict.fromkeys(names, "POST")).status == 405
    assert site.authenticator(user) == before


@pytest.mark.parametrize("how", ["no token", "another's token", "no cookie", "another origin"])
def test_cross_site_posts_are_refused(site: Site, user: SiteUser, how: str) -> None:
    owner = Browser(site).sign_in(user, backup_code=user.backup_codes[0])
    pending = Browser(site).begin_sign_in(user)
    before = site.authenticator(user)
    for browser, path in ((owner, DISABLE), (owner, REGENERATE), (owner, LOGOUT), (pending, VERIFY_LOGIN)):
        token = browser.cookies["csrftoken"]
        cookies = browser.cookies
        fields = f"password={PASSWORD}&code={user.code()}&csrfmiddlewaretoken="
        fields += {"no token": "", "another's token": "x" * 32}.get(how, token)
        sender = Browser(
            site, cookies={name: cookies[name] for name in cookies if how != "no cookie" or name != "csrftoken"}
        )
        origin = {"Origin": "https://evil.example"} if how == "another origin" else {}
        form = {"Content-Type": "application/x-www-form-urlencoded", **origin}
        assert sender.send("POST", path, fields.encode(), form).status == 403
    assert site.authenticator(user) == before
    assert owner.is_signed_in()


# --- Redirects and paths --------------------------------------------------------------------------


def stays_on_site(site: Site, target: str) -> bool:
    """Return whether a browser stays on this host. Browsers ignore tabs and newlines, and read \\ as /."""
    seen = re.sub(r"[\t\r\n]", "", target).strip().replace("\\", "/")
    return urlsplit(urljoin(f"{site.base}/x/", seen)).netloc == urlsplit(site.base).netloc


OTHER_HOSTS = [
    "//evil.example", "///evil.example", "https://evil.example/", "http:evil.example", "http:/evil.example",
    "/\\evil.example", "\\\\evil.example", "\\/evil.example", "/\t/evil.example", "\t//evil.example",
    "/\n/evil.example", " //evil.example", "javascript:alert(1)", "data:text/html,x",
    "http://127.0.0.1@evil.example/", "//evil.example%2f..", "http://localhost:{port}/accounts/2fa/",
    "http://127.0.0.1:1/", "//[::1]/", "http://[evil", "/%0d%0aSet-Cookie:a=b",
]  # fmt: skip


@pytest.mark.parametrize("on", [True, False], ids=["with 2FA", "without 2FA"])
def test_next_redirects_only_to_this_host(site: Site, htmx: bool, on: bool) -> None:
    user = site.make_user(on=on)
    for template in OTHER_HOSTS:
        target = template.format(port=site.port) if "{port}" in template else template
        # With htmx as a form field, as the site's form sends it; otherwise in the query string.
        query, field = ("", {"next": target}) if htmx else (f"?next={quote(target, safe='')}", {})
        site.reset_throttle_and_codes(user)
        browser = Browser(site, htmx=htmx)
        page = browser.post(LOGIN + query, {"login": user.email, "password": PASSWORD, **field})
        if on:
            page = browser.post(VERIFY_LOGIN + query, {"code": user.code(), **field})
        assert page.redirect_target, page
        assert stays_on_site(site, page.redirect_target), (target, page.redirect_target)
        assert "evil" not in page.redirect_target


def test_next_is_kept_until_after_the_code(site: Site, user: SiteUser, htmx: bool) -> None:
    browser = Browser(site, htmx=htmx)
    browser.post(f"{LOGIN}?next=/accounts/email/", {"login": user.email, "password": PASSWORD})
    assert browser.give_code(user.code()).redirect_target == "/accounts/email/"


def test_hx_current_url_redirects_only_to_this_host(site: Site) -> None:
    user = site.make_user(on=False)
    for template in [
        *OTHER_HOSTS,
        "{base}//evil.example",
        "{base}/\\evil.example",
        "{base}/%5cevil.example",
        "http://[",
        "{base}@evil.example/",
    ]:
        target = template.replace("{base}", site.base).replace("{port}", str(site.port))
        if re.search(r"[\t\n]", target):
            continue  # a client cannot send these in a header
        browser = Browser(site, htmx=True)
        page = browser.get(STATUS, HX_Current_URL=target)
        assert page.redirect_target.startswith(LOGIN), page
        after = parse_qs(urlsplit(page.redirect_target).query)["next"][0]
        assert stays_on_site(site, after), (target, after)
        end = browser.post(page.redirect_target, {"login": user.email, "password": PASSWORD})
        assert stays_on_site(site, end.redirect_target), (target, end.redirect_target)
        assert "evil" not in urlsplit(urljoin(site.base, end.redirect_target)).netloc


PATH_SPELLINGS = [
    "/accounts/2fa", "/accounts/2fa//", "/accounts//2fa/", "//accounts/2fa/", "///accounts/2fa/setup/",
    "/./accounts/2fa/", "/accounts/2fa/verify-login/../setup/", "/accounts/2fa/%73etup/", "/ACCOUNTS/2FA/",
    "/accounts/2fa/setup", "/accounts/2fa/setup/;x=1", "/accounts/2fa/setup/%2e%2e/", "/accounts/2fa/setup/%00",
    "/accounts/2fa%2fsetup/", "/accounts/2fa/setup/%0d%0aX:y", "/accounts/2fa/verify-login/x",
    "/accounts/login/../2fa/", "/accounts/2fa/disable%20/", "/admin", "/admin//", "/admin/../admin/", "/healthz/",
    "/healthz/../admin/", "/static/../accounts/2fa/", "/static/%2e%2e/config/settings.py", "/static/../../etc/passwd",
    "//evil.example/", "//evil.example/accounts/2fa", "/%2f%2fevil.example", "/\\evil.example/",
    "/accounts/2fa/?next=//evil.example", "/.env", "/db.sqlite3", "/%ff%fe", "/%ed%a0%80/",
    "/accounts/2fa/trusted-browsers/99999999999999999999999/forget/", "/accounts/sessions/9999999999999999999/end/",
    "/accounts/password/reset/key/zzzzzzzzzzzzzzzz-x/", "/accounts/password/reset/key/1-set-password/",
    "/accounts/confirm-email/x:y:z/", "/" + "a" * 6000, "/accounts/2fa/?" + "a=1&" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_spelling_of_a_path_bypasses_the_code(site: Site, user: SiteUser, pending: Browser, method: str) -> None:
    before = site.authenticator(user)
    for path in PATH_SPELLINGS:
        page = pending.post(path, {"password": PASSWORD, "code": user.code()}, method=method)
        assert page.status < 500, page
        assert not page.redirect_target or stays_on_site(site, page.redirect_target), (path, page.redirect_target)
        assert user.email not in page.text
        assert "SECRET_KEY" not in page.text
        assert "root:" not in page.text
    assert is_unchanged(site, user, before)
    assert not pending.is_signed_in()
    assert pending.has_pending_sign_in()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1@evil.example", "127.0.0.1, evil.example", "", "[::1"])
def test_another_host_is_refused(site: Site, host: str) -> None:
    browser = Browser(site)
    page = browser.send("GET", SETTINGS, headers={"Host": host} if host else {"X-Forwarded-Host": "evil.example"})
    assert page.status == (400 if host else 302), page
    assert "evil" not in page.text + page.redirect_target
    page = browser.send("GET", f"http://evil.example{SETTINGS}")
    assert page.status in (302, 400)
    assert "evil" not in page.redirect_target


def test_no_path_can_forge_a_log_line(site: Site) -> None:
    for path in (
        "/x%0aFORGED%20event=turned_off",
        "/x%0d%0aFORGED/",
        "/x%e2%80%a8FORGED/",
        "/x%c2%85FORGED/",
        "/x%1b[2JFORGED/",
    ):
        assert Browser(site).get(path).status == 404
    lines = [line for line in re.split(r"[\n\r\u2028\u0085]", site.log_text()) if "FORGED" in line]
    assert len(lines) == 5
    assert all(json.loads(line)["message"].startswith("Not Found: /x") for line in lines)
    assert "\x1b" not in site.log_text()


@pytest.mark.parametrize("charset", ["base64", "rot13", "cp037", "utf-16", "utf-8-sig", "UTF8", "none-such"])
def test_no_charset_causes_an_error_page(site: Site, user: SiteUser, charset: str) -> None:
    """Django decodes a form by any Python codec. Some fail at a point where no error page is rendered."""
    kind = f"application/x-www-form-urlencoded; charset={charset}"
    browser = Browser(site)
    assert browser.get(f"{LOGIN}?next=/x", Content_Type=kind).status == 200
    answer = browser.post(LOGIN, {"login": user.email, "password": PASSWORD}, Content_Type=kind)
    assert answer.redirect_target == VERIFY_LOGIN
    assert browser.send("POST", LOGIN, b"\xff=%FF", {"Content-Type": kind}).status == 403


@pytest.mark.parametrize("path", ["/%00", "/admin/twofactor/securityevent/?kind__exact=%00", f"{LOGIN}?next=%00"])
def test_a_nul_in_the_url_is_refused_with_the_sites_error_page(site: Site, path: str) -> None:
    answer = Browser(site).get(path)
    assert answer.status == 400
    assert answer.headers["Content-Security-Policy"]


def test_a_nul_in_a_cookie_causes_no_error(site: Site) -> None:
    browser = Browser(site, cookies={"sessionid": '"aaaaaaaa\\000aaaa"', "csrftoken": '"\\000"', "known": '"\\000"'})
    assert browser.get("/").status == 200
    assert browser.get("/healthz").status == 200
