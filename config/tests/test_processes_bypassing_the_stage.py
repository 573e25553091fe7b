"""There is no way round the code: security.md, "Round the stage", tried over plain HTTP against two processes."""

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
    Person,
    Site,
)
from conftest import PASSWORD

pytest_plugins = ["config.tests.running_site"]

NEW_PASSWORD = "zinc-Harbour-9-lantern"
CHANGE_PASSWORD, REAUTHENTICATE = "/accounts/password/change/", "/accounts/reauthenticate/"
EMAIL, SESSIONS, LOGOUT = "/accounts/email/", "/accounts/sessions/", "/accounts/logout/"
BEHIND_SIGN_IN = [
    "/", SETTINGS, STATUS, SETUP, VERIFY_SETUP, CANCEL_SETUP, REGENERATE, DISABLE, CONFIRM, EMAIL, SESSIONS,
    f"{SETTINGS}trusted-browsers/1/forget/", f"{SETTINGS}trusted-browsers/forget/", "/accounts/sessions/1/end/",
    CHANGE_PASSWORD, "/accounts/password/set/", REAUTHENTICATE, "/accounts/", "/accounts/inactive/",
    "/accounts/login/code/confirm/", "/admin/", "/admin/login/", "/admin/accounts/user/",
    "/admin/accounts/user/1/change/", "/admin/password_change/", "/admin/jsi18n/", "/admin/twofactor/authenticator/",
]  # fmt: skip


@pytest.fixture
def site(sqlite_site: Site) -> Site:
    return sqlite_site


@pytest.fixture
def person(site: Site) -> Person:
    return site.person()


@pytest.fixture(params=[False, True], ids=["plain", "htmx"])
def htmx(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def pending(site: Site, person: Person, htmx: bool) -> Browser:
    """Somebody who gave the right password and owes the code."""
    return Browser(site, htmx=htmx).owe_code(person)


def nothing_changed(site: Site, person: Person, before: dict[str, object]) -> bool:
    return site.authenticator(person) == before and site.unused_codes(person) == 10 and not site.events(person)


def shape(page: Page) -> tuple[int, str]:
    return page.status, page.leads_to


# --- While a code is owed -------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_pending_sign_in_gets_the_answers_of_a_signed_out_client(
    site: Site, person: Person, pending: Browser, method: str
) -> None:
    before = site.authenticator(person)
    proof = {"password": PASSWORD, "oldpassword": PASSWORD, "code": person.code(), "backup_code": ""}
    for path in BEHIND_SIGN_IN:
        stranger = Browser(site, htmx=pending.htmx)
        came = [browser.post(path, proof, method=method) for browser in (pending, stranger)]
        assert shape(came[0]) == shape(came[1]), path
        assert person.email not in came[0].text, path
        assert came[0].status < 500, came[0]
    assert nothing_changed(site, person, before)
    assert not pending.is_signed_in()


def test_a_pending_sign_in_cannot_change_2fa_with_a_valid_proof(site: Site, person: Person, pending: Browser) -> None:
    before = site.authenticator(person)
    for path in (SETUP, REGENERATE, DISABLE, CONFIRM, REAUTHENTICATE, VERIFY_SETUP):
        for proof in ({"code": person.code()}, {"backup_code": person.backup_codes[0]}):
            page = pending.post(path, {"password": PASSWORD, **proof})
            assert page.leads_to.startswith(LOGIN), page
            assert page.key == ""
            assert page.backup_codes == []
    assert nothing_changed(site, person, before)
    assert pending.give_code(person.code()).leads_to == "/"


def test_no_code_is_checked_without_a_pending_sign_in(site: Site, person: Person, htmx: bool) -> None:
    before, stranger = site.authenticator(person), Browser(site, htmx=htmx)
    for page in (
        stranger.get(VERIFY_LOGIN),
        stranger.give_code(person.code()),
        stranger.give_backup_code(person.backup_codes[0]),
        stranger.post(VERIFY_LOGIN, {"login": person.email, "password": PASSWORD, "code": person.code()}),
        stranger.post(CANCEL_LOGIN),
    ):
        assert page.leads_to == LOGIN
    assert nothing_changed(site, person, before)


def test_a_code_posted_with_the_password_does_not_skip_the_stage(site: Site, person: Person, htmx: bool) -> None:
    browser = Browser(site, htmx=htmx)
    browser.give_password(person, code=person.code(), backup_code=person.backup_codes[0], next="/accounts/email/")
    assert browser.owes_code()
    assert not browser.is_signed_in()
    assert site.unused_codes(person) == 10


def test_cancel_ends_the_pending_sign_in(site: Site, person: Person, pending: Browser) -> None:
    before = pending.twin()
    assert pending.post(CANCEL_LOGIN).leads_to == LOGIN
    for browser in (pending, before):
        assert browser.give_code(person.code()).leads_to == LOGIN
    assert site.authenticator(person)["failures"] == 0


def test_a_code_of_another_account_is_refused(site: Site, person: Person, pending: Browser) -> None:
    other = site.person()
    before = site.authenticator(other)
    assert pending.give_code(other.code()).status == 422
    assert pending.give_backup_code(other.backup_codes[0]).status == 422
    assert not pending.is_signed_in()
    assert nothing_changed(site, other, before)
    assert site.authenticator(person)["failures"] == 1


def test_a_pending_sign_in_ends_after_ten_minutes(site: Site, person: Person, pending: Browser) -> None:
    site.orm("let_sign_ins_age(601)")
    page = pending.give_code(person.code())
    assert page.leads_to != "/"
    assert not pending.is_signed_in()
    assert site.authenticator(person)["last_time_step"] == -1


MEANWHILE = {
    "the password changed": "(lambda u: (u.set_password('another-Password-7'), u.save()))(User.objects.get(pk=pk))",
    "the account was deactivated": "User.objects.filter(pk=pk).update(is_active=False)",
    "the account was deleted": "User.objects.get(pk=pk).delete()",
    "2FA was turned off": "Authenticator.objects.get(user_id=pk).turn_off()",
    "2FA was reset by staff": "reset.reset(User.objects.get(pk=pk), reason='test')",
    "new codes were made": "Authenticator.objects.get(user_id=pk).regenerate_backup_codes()",
    "2FA was turned on anew": "Authenticator.objects.activate(User.objects.get(pk=pk), secret=secret)",
}


@pytest.mark.parametrize("meanwhile", MEANWHILE.values(), ids=MEANWHILE)
@pytest.mark.parametrize("then", ["GET", "a code", "a backup code", "cancel"])
def test_a_pending_sign_in_ends_if_password_2fa_or_account_change(
    site: Site, person: Person, htmx: bool, meanwhile: str, then: str
) -> None:
    pending = Browser(site, htmx=htmx).owe_code(person)
    site.orm(meanwhile, pk=person.pk, secret=person.secret)
    if then == "GET":
        page = pending.get(VERIFY_LOGIN)
    elif then == "a code":
        page = pending.give_code(person.code())
    elif then == "a backup code":
        page = pending.give_backup_code(person.backup_codes[0])
    else:
        page = pending.post(CANCEL_LOGIN)
    assert page.leads_to == LOGIN, page
    assert pending.get(VERIFY_LOGIN).leads_to == LOGIN
    assert not pending.is_signed_in()
    assert site.authenticator(person).get("last_time_step", -1) == -1, "the code was used up"


# --- Other doors ----------------------------------------------------------------------------------


def door_of(browser: Browser, page: Page) -> str:
    """Where this answer leads to; the admin's own sign-in only leads on."""
    if page.leads_to.startswith("/admin/login/"):
        page = browser.get(page.leads_to)
    return urlsplit(page.leads_to).path


@pytest.mark.parametrize("on", [True, False], ids=["with 2FA", "without 2FA"])
def test_the_admin_has_no_sign_in_of_its_own(site: Site, htmx: bool, on: bool) -> None:
    staff = site.person(on=on, staff=True)
    browser = Browser(site, htmx=htmx)
    typed = {"username": staff.email, "password": PASSWORD, "next": "/admin/"}
    for path in ("/admin/login/", "/admin/login/?next=/admin/", "/admin/", "/admin/accounts/user/"):
        for page in (browser.get(path), browser.post(path, typed)):
            assert door_of(browser, page) == LOGIN, page
    assert not browser.is_signed_in()
    assert site.orm("UserSession.objects.filter(user_id=pk).count()", pk=staff.pk) == 0


def test_the_admins_sign_in_form_checks_no_password_for_signed_in_staff(site: Site, htmx: bool) -> None:
    """It knows of no limit, no second factor and no log: a colleague's password could be guessed there for ever."""
    staff, colleague = site.person(staff=True), site.person(on=False, staff=True)
    browser = Browser(site, htmx=htmx).sign_in(staff, code=staff.code())
    wrong = browser.post("/admin/login/", {"username": colleague.email, "password": "not-the-password"})
    right = browser.post("/admin/login/", {"username": colleague.email, "password": PASSWORD})
    assert shape(right) == shape(wrong)
    assert staff.email in browser.get(EMAIL, HX_Request="").text, "somebody else is signed in now"


def test_a_pending_sign_in_of_staff_has_no_access_to_the_admin(site: Site, htmx: bool) -> None:
    staff = site.person(staff=True)
    browser = Browser(site, htmx=htmx).owe_code(staff)
    for path in ("/admin/", "/admin/login/", "/admin/accounts/user/", "/admin/logout/", "/admin/password_change/"):
        for page in (browser.get(path), browser.post(path, {"username": staff.email, "password": PASSWORD})):
            assert door_of(browser, page) in (LOGIN, VERIFY_LOGIN), page
    assert not browser.is_signed_in()


STRAY = """
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
    site: Site, person: Person, extra: dict[str, object], path: str
) -> None:
    """As a stray `login()`, another backend, or a session from before 2FA was on leaves it."""
    key = site.orm(STRAY, pk=person.pk, extra=extra)
    for call in (Browser.get, Browser.post):
        browser = Browser(site)
        browser.cookies["sessionid"] = key
        page = call(browser, path)
        assert person.email not in page.text
        assert page.status in (200, 302, 405), page
        assert path == "/" or page.leads_to.startswith(LOGIN), page
        assert not browser.is_signed_in()


def test_the_unmarked_session_of_these_tests_works_without_2fa(site: Site) -> None:
    person = site.person(on=False)
    browser = Browser(site)
    browser.cookies["sessionid"] = site.orm(STRAY, pk=person.pk, extra={})
    assert browser.is_signed_in()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_session_started_before_2fa_was_turned_on_ends_at_its_next_request(
    site: Site, htmx: bool, method: str
) -> None:
    person = site.person(on=False)
    browser = Browser(site, htmx=htmx).sign_in(person)
    site.orm("Authenticator.objects.activate(User.objects.get(pk=pk), secret=s)", pk=person.pk, s="A" * 32)
    page = browser.post(EMAIL, {"action_add": "", "email": "evil@example.com"}, method=method)
    assert page.leads_to.startswith(LOGIN), page
    assert not browser.is_signed_in()
    assert site.orm("EmailAddress.objects.filter(user_id=pk).count()", pk=person.pk) == 1


def test_a_confirmation_link_signs_nobody_in(site: Site, person: Person, pending: Browser) -> None:
    confirm = (
        "__import__('allauth.account.models').account.models.EmailConfirmationHMAC("
        "EmailAddress.objects.create(user_id=pk, email='b' + email)).key"
    )
    key = site.orm(confirm, pk=person.pk, email=person.email)
    path = f"/accounts/confirm-email/{key}/"
    for browser in (pending, Browser(site)):
        browser.get(path)
        assert browser.post(path).status == 403  # a further address is confirmed in its account alone
        assert not browser.is_signed_in()


# --- Session keys ---------------------------------------------------------------------------------


def test_the_session_key_changes_after_the_password_and_after_the_code(site: Site, person: Person, htmx: bool) -> None:
    browser = Browser(site, htmx=htmx)
    browser.get(LOGIN)
    keys = [browser.session]
    browser.give_password(person)
    keys.append(browser.session)
    at_the_code = browser.twin()
    browser.give_code(person.code())
    keys.append(browser.session)
    assert len(set(keys)) == 3
    assert browser.is_signed_in()
    assert not at_the_code.is_signed_in()
    assert not at_the_code.owes_code()


def test_a_session_key_fixed_before_the_password_is_not_signed_in(site: Site, person: Person, htmx: bool) -> None:
    for planted in ("a" * 32, "attackers-own-key", "../../etc/passwd"):
        victim = Browser(site, htmx=htmx)
        victim.cookies["sessionid"] = planted
        site.let_all_be_new(person)
        victim.owe_code(person)
        assert victim.session != planted
        victim.give_code(person.code())
        assert victim.is_signed_in()
        thief = Browser(site)
        thief.cookies["sessionid"] = planted
        assert not thief.is_signed_in()
        assert not thief.owes_code()


def test_an_attackers_pending_sign_in_is_replaced_by_the_victims(site: Site, person: Person, htmx: bool) -> None:
    """The attacker's own, in the victim's browser: the victim's password begins another one, under another key."""
    attacker = Browser(site).owe_code(site.person())
    victim = Browser(site, htmx=htmx, cookies=attacker.cookies)
    victim.owe_code(person)
    assert not attacker.owes_code()
    assert victim.give_code(person.code()).leads_to == "/"
    assert not attacker.is_signed_in()
    assert not attacker.owes_code()
    assert victim.session != attacker.session


def test_signed_out_requests_create_no_session(site: Site, htmx: bool) -> None:
    before = site.orm("Session.objects.count()")
    visitor = Browser(site, htmx=htmx)
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
        visitor.get(path)
        visitor.post(path, {"login": "nobody@example.com", "password": "x", "email": "nobody", "code": "123456"})
    assert site.orm("Session.objects.count()") == before
    assert visitor.session == ""


Change = Callable[[Site, Browser, Person], Page]


def two_phones(site: Site, person: Person) -> tuple[Browser, Browser]:
    """Two browsers of one person, each signed in."""
    codes = iter(person.backup_codes)

    def phone() -> Browser:
        return Browser(site).sign_in(person, **({"backup_code": next(codes)} if person.secret else {}))

    return phone(), phone()


def turn_on(site: Site, browser: Browser, person: Person) -> Page:
    person.secret = browser.post(SETUP, {"password": PASSWORD}).key
    return browser.post(VERIFY_SETUP, {"code": person.code()})


def turn_off(site: Site, browser: Browser, person: Person) -> Page:
    return browser.post(DISABLE, {"password": PASSWORD, "backup_code": person.backup_codes[5]})


def make_new_codes(site: Site, browser: Browser, person: Person) -> Page:
    return browser.post(REGENERATE, {"password": PASSWORD, "backup_code": person.backup_codes[5]})


def take_a_new_phone(site: Site, browser: Browser, person: Person) -> Page:
    proof = {"password": PASSWORD, "backup_code": person.backup_codes[5]}
    person.secret = browser.post(SETUP, proof).key
    return browser.post(VERIFY_SETUP, {"code": person.code()})


def change_the_password(site: Site, browser: Browser, person: Person) -> Page:
    return browser.post(CHANGE_PASSWORD, {"oldpassword": PASSWORD, "password1": NEW_PASSWORD})


@pytest.mark.parametrize("change", [turn_on, turn_off, make_new_codes, take_a_new_phone, change_the_password])
def test_a_change_ends_the_other_sessions_and_rotates_this_sessions_key(site: Site, htmx: bool, change: Change) -> None:
    person = site.person(on=change is not turn_on)
    browser, other = two_phones(site, person)
    browser.htmx, old = htmx, browser.twin()
    page = change(site, browser, person)
    assert page.status in (200, 302, 204), page
    assert browser.is_signed_in()
    assert browser.session != old.session
    assert not other.is_signed_in()
    assert not old.is_signed_in()
    listed = re.findall(r"/accounts/sessions/(\d+)/end/", browser.get(SESSIONS, HX_Request="").text)
    assert len(listed) <= 1
    assert (
        site.orm("UserSession.objects.filter(user_id=pk, session_key=k).count()", pk=person.pk, k=browser.session) == 1
    )


def test_sign_out_ends_the_setup_in_progress(site: Site, htmx: bool) -> None:
    person = site.person(on=False)
    browser = Browser(site, htmx=htmx).sign_in(person)
    key = browser.post(SETUP, {"password": PASSWORD}).key
    assert browser.get(SETUP).key == key != ""
    before = browser.twin()
    browser.post(LOGOUT)
    person.secret = key
    for each in (before, browser):
        assert each.post(VERIFY_SETUP, {"code": person.code()}).leads_to.startswith(LOGIN)
    person.secret = ""
    browser.sign_in(person)
    assert browser.get(SETUP).key == ""
    assert site.authenticator(person) == {}


# --- What a request says of itself ----------------------------------------------------------------

SPOOFED = [
    {"X_Requested_With": "XMLHttpRequest"},
    {"Accept": "application/json"},
    {"X_Requested_With": "XMLHttpRequest", "Accept": "application/json"},
    {"X_Requested_With": "XMLHttpRequest", "HX_Request": "true", "Accept": "application/json, text/html;q=0.1"},
    {"HX_Request": "true", "HX_History_Restore_Request": "true"},
    {"HX_Boosted": "true", "HX_Target": "body", "HX_Trigger": "x", "HX_Prompt": PASSWORD},
    {"HX_Request": "TRUE"},
    {"HX_Request": "false"},
]


@pytest.mark.parametrize("headers", SPOOFED, ids=",".join)
def test_no_header_turns_an_answer_into_json_or_echoes_a_secret(
    site: Site, person: Person, headers: dict[str, str]
) -> None:
    secret, browser = "a-Password-nobody-has-9", Browser(site)
    fields = {"login": person.email, "password": secret, "email": "new@example.com", "password1": secret}
    pages = [
        browser.post(path, fields, **headers) for path in (LOGIN, "/accounts/signup/", "/accounts/password/reset/")
    ]
    browser.owe_code(person)
    pages += [
        browser.post(VERIFY_LOGIN, {"code": "000 000", **fields}, **headers),
        browser.get(VERIFY_LOGIN, **headers),
    ]
    pages += [browser.post(VERIFY_LOGIN, {"backup_code": "SECR-ETSE-CRET-SECR"}, **headers)]
    assert browser.give_code(person.code()).leads_to == "/"
    proof = {"password": secret, "code": "111222", "oldpassword": secret}
    for path in (REAUTHENTICATE, DISABLE, SETUP, REGENERATE, CHANGE_PASSWORD, EMAIL, LOGOUT):
        pages.append(browser.post(path, {**fields, **proof}, **headers))
    for page in pages:
        assert page.status < 500, page
        assert "json" not in page.headers.get("Content-Type", ""), page
        for typed in (secret, "000 000", "111222", "SECR-ETSE-CRET-SECR"):
            assert typed not in page.text, page


@pytest.mark.parametrize("headers", SPOOFED, ids=",".join)
def test_no_header_gives_a_pending_sign_in_access_to_a_page(
    site: Site, person: Person, headers: dict[str, str]
) -> None:
    browser = Browser(site).owe_code(person)
    for path in (SETTINGS, STATUS, SETUP, DISABLE, EMAIL, "/admin/", CHANGE_PASSWORD):
        for page in (browser.get(path, **headers), browser.post(path, {"password": PASSWORD}, **headers)):
            assert door_of(browser, page) in (LOGIN, VERIFY_LOGIN), page
    assert not browser.is_signed_in()


def test_a_json_body_is_not_read_as_a_form(site: Site, person: Person) -> None:
    browser = Browser(site)
    body = f'{{"login": "{person.email}", "password": "{PASSWORD}", "code": "{person.code()}"}}'.encode()
    token = browser.cookies["csrftoken"]
    for path in (LOGIN, VERIFY_LOGIN, SETUP):
        page = browser.send("POST", path, body, {"Content-Type": "application/json", "X-CSRFToken": token})
        assert page.status < 500
        assert PASSWORD not in page.text
        assert "json" not in page.headers.get("Content-Type", "")
    assert not browser.owes_code()


@pytest.mark.parametrize("asked", ["GET", "POST"])
def test_no_header_or_field_overrides_the_method(site: Site, asked: str) -> None:
    person = site.person()
    browser = Browser(site).sign_in(person, backup_code=person.backup_codes[0])
    names = ["X_HTTP_Method_Override", "X_HTTP_Method", "X_Method_Override"]
    fields = {"_method": "POST", "method": "POST", "password": PASSWORD, "code": person.code()}
    before = site.authenticator(person)
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
    assert site.authenticator(person) == before


@pytest.mark.parametrize("how", ["no token", "another's token", "no cookie", "another origin"])
def test_cross_site_posts_are_refused(site: Site, person: Person, how: str) -> None:
    owner = Browser(site).sign_in(person, backup_code=person.backup_codes[0])
    pending, before = Browser(site).owe_code(person), site.authenticator(person)
    for browser, path in ((owner, DISABLE), (owner, REGENERATE), (owner, LOGOUT), (pending, VERIFY_LOGIN)):
        token, cookies = browser.cookies["csrftoken"], browser.cookies
        fields = f"password={PASSWORD}&code={person.code()}&csrfmiddlewaretoken="
        fields += {"no token": "", "another's token": "x" * 32}.get(how, token)
        sender = Browser(
            site, cookies={name: cookies[name] for name in cookies if how != "no cookie" or name != "csrftoken"}
        )
        origin = {"Origin": "https://evil.example"} if how == "another origin" else {}
        form = {"Content-Type": "application/x-www-form-urlencoded", **origin}
        assert sender.send("POST", path, fields.encode(), form).status == 403
    assert site.authenticator(person) == before
    assert owner.is_signed_in()


# --- Where to go on -------------------------------------------------------------------------------


def leads_here(site: Site, target: str) -> bool:
    """Would a browser stay on this host? It drops tabs and newlines, and reads \\ as /."""
    seen = re.sub(r"[\t\r\n]", "", target).strip().replace("\\", "/")
    return urlsplit(urljoin(f"{site.base}/x/", seen)).netloc == urlsplit(site.base).netloc


ELSEWHERE = [
    "//evil.example", "///evil.example", "https://evil.example/", "http:evil.example", "http:/evil.example",
    "/\\evil.example", "\\\\evil.example", "\\/evil.example", "/\t/evil.example", "\t//evil.example",
    "/\n/evil.example", " //evil.example", "javascript:alert(1)", "data:text/html,x",
    "http://127.0.0.1@evil.example/", "//evil.example%2f..", "http://localhost:{port}/accounts/2fa/",
    "http://127.0.0.1:1/", "//[::1]/", "http://[evil", "/%0d%0aSet-Cookie:a=b",
]  # fmt: skip


@pytest.mark.parametrize("on", [True, False], ids=["with 2FA", "without 2FA"])
def test_next_redirects_only_to_this_host(site: Site, htmx: bool, on: bool) -> None:
    person = site.person(on=on)
    for way in ELSEWHERE:
        target = way.format(port=site.port) if "{port}" in way else way
        # Over htmx as a field, as the form of the site sends it, else in the address.
        query, field = ("", {"next": target}) if htmx else (f"?next={quote(target, safe='')}", {})
        site.let_all_be_new(person)
        browser = Browser(site, htmx=htmx)
        page = browser.post(LOGIN + query, {"login": person.email, "password": PASSWORD, **field})
        if on:
            page = browser.post(VERIFY_LOGIN + query, {"code": person.code(), **field})
        assert page.leads_to, page
        assert leads_here(site, page.leads_to), (target, page.leads_to)
        assert "evil" not in page.leads_to


def test_next_is_kept_until_after_the_code(site: Site, person: Person, htmx: bool) -> None:
    browser = Browser(site, htmx=htmx)
    browser.post(f"{LOGIN}?next=/accounts/email/", {"login": person.email, "password": PASSWORD})
    assert browser.give_code(person.code()).leads_to == "/accounts/email/"


def test_hx_current_url_redirects_only_to_this_host(site: Site) -> None:
    person = site.person(on=False)
    for way in [
        *ELSEWHERE,
        "{base}//evil.example",
        "{base}/\\evil.example",
        "{base}/%5cevil.example",
        "http://[",
        "{base}@evil.example/",
    ]:
        target = way.replace("{base}", site.base).replace("{port}", str(site.port))
        if re.search(r"[\t\n]", target):
            continue  # no client can send these in a header
        browser = Browser(site, htmx=True)
        page = browser.get(STATUS, HX_Current_URL=target)
        assert page.leads_to.startswith(LOGIN), page
        after = parse_qs(urlsplit(page.leads_to).query)["next"][0]
        assert leads_here(site, after), (target, after)
        end = browser.post(page.leads_to, {"login": person.email, "password": PASSWORD})
        assert leads_here(site, end.leads_to), (target, end.leads_to)
        assert "evil" not in urlsplit(urljoin(site.base, end.leads_to)).netloc


VARIANTS = [
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
def test_no_spelling_of_a_path_bypasses_the_code(site: Site, person: Person, pending: Browser, method: str) -> None:
    before = site.authenticator(person)
    for path in VARIANTS:
        page = pending.post(path, {"password": PASSWORD, "code": person.code()}, method=method)
        assert page.status < 500, page
        assert not page.leads_to or leads_here(site, page.leads_to), (path, page.leads_to)
        assert person.email not in page.text
        assert "SECRET_KEY" not in page.text
        assert "root:" not in page.text
    assert nothing_changed(site, person, before)
    assert not pending.is_signed_in()
    assert pending.owes_code()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1@evil.example", "127.0.0.1, evil.example", "", "[::1"])
def test_another_host_is_refused(site: Site, host: str) -> None:
    browser = Browser(site)
    page = browser.send("GET", SETTINGS, headers={"Host": host} if host else {"X-Forwarded-Host": "evil.example"})
    assert page.status == (400 if host else 302), page
    assert "evil" not in page.text + page.leads_to
    page = browser.send("GET", f"http://evil.example{SETTINGS}")
    assert page.status in (302, 400)
    assert "evil" not in page.leads_to


def test_no_path_can_forge_a_log_line(site: Site) -> None:
    for path in (
        "/x%0aFORGED%20event=turned_off",
        "/x%0d%0aFORGED/",
        "/x%e2%80%a8FORGED/",
        "/x%c2%85FORGED/",
        "/x%1b[2JFORGED/",
    ):
        assert Browser(site).get(path).status == 404
    lines = [line for line in re.split(r"[\n\r\u2028\u0085]", site.said()) if "FORGED" in line]
    assert len(lines) == 5
    assert all(json.loads(line)["message"].startswith("Not Found: /x") for line in lines)
    assert "\x1b" not in site.said()


@pytest.mark.parametrize("charset", ["base64", "rot13", "cp037", "utf-16", "utf-8-sig", "UTF8", "none-such"])
def test_no_charset_causes_an_error_page(site: Site, person: Person, charset: str) -> None:
    """Django reads a form by any codec that Python has, and some of them fail where nothing is there to answer."""
    kind, browser = f"application/x-www-form-urlencoded; charset={charset}", Browser(site)
    assert browser.get(f"{LOGIN}?next=/x", Content_Type=kind).status == 200
    answer = browser.post(LOGIN, {"login": person.email, "password": PASSWORD}, Content_Type=kind)
    assert answer.leads_to == VERIFY_LOGIN
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
