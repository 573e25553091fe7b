"""Throttle and limits, seen from outside: what they count, and what resets them.

Against two processes, over plain HTTP. Tests with the `site` fixture run on SQLite and on PostgreSQL with Redis.
"""

import re
import time
from collections.abc import Iterator

import pytest

from config.tests.running_site import (
    DISABLE,
    LOGIN,
    REGENERATE,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
    Browser,
    Page,
    Site,
    SiteUser,
    plain_text_of,
    serving,
    wait_until,
)
from conftest import PASSWORD

pytest_plugins = ["config.tests.running_site"]

NEW_PASSWORD = "zinc-Harbour-9-lantern"
UNKNOWN_BACKUP_CODE = "0000-0000-0000-0000"


@pytest.fixture(params=[False, True], ids=["plain", "htmx"])
def htmx(request: pytest.FixtureRequest) -> bool:
    return request.param


def submit_wrong_codes(site: Site, user: SiteUser, count: int) -> list[Page]:
    """Submit this many wrong codes, without reaching a delay or the five tries of a pending sign-in."""
    answers = []
    for number in range(count):
        if number % 4 == 0:
            browser = Browser(site).begin_sign_in(user)
        site.end_delay(user)
        answers.append(browser.give_code(user.wrong_code(number)))
    return answers


def is_delayed(answer: Page) -> bool:
    return answer.status == 429 and "Too many wrong codes" in answer.visible_text


def throttle_of(site: Site, user: SiteUser) -> tuple[int, int, int]:
    row = site.authenticator(user)
    return row["failures"], row["delayed_until"], row["budget_spent"]


# --- The account's delay --------------------------------------------------------------------------


def test_each_wrong_code_from_the_fifth_on_doubles_the_delay(site: Site, htmx: bool) -> None:
    user = site.make_user()
    browser = Browser(site, htmx=htmx).begin_sign_in(user)
    words = {30: "30 seconds", 60: "60 seconds", 120: "2 minutes", 480: "8 minutes", 3600: "60 minutes"}
    for number, delay in enumerate([0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]):
        site.end_delay(user)
        assert browser.give_code(user.wrong_code(number)).status == 422
        now = browser.give_code(user.code())
        if not delay:
            assert browser.is_signed_in()
            browser = Browser(site, htmx=htmx).begin_sign_in(user)
            site.set(user, failures=number + 1, last_time_step=-1)
            continue
        assert is_delayed(now), now
        assert delay - 10 < int(now.headers["Retry-After"]) <= delay
        assert 'name="code"' in now.text
        assert ("<html" in now.text) is not htmx
        if delay in words:
            shown = re.search(r"again in (\d+) (\w+)", now.visible_text)
            assert shown, now
            seconds = int(shown[1]) * {"seconds": 1, "minutes": 60}[shown[2]]
            assert delay - 10 < seconds <= delay, f"{shown[0]}, not {words[delay]}"


def test_a_try_during_the_delay_is_not_charged_and_does_not_extend_it(site: Site) -> None:
    user = site.make_user()
    submit_wrong_codes(site, user, 5)
    before = throttle_of(site, user)
    browser = Browser(site).begin_sign_in(user)
    for _ in range(7):
        assert is_delayed(browser.give_code(user.wrong_code()))
    assert is_delayed(browser.give_code(user.code()))
    assert throttle_of(site, user) == before
    site.end_delay(user)
    assert browser.give_code(user.code()).redirect_target == "/", "a try during the delay marked the code as used"
    assert throttle_of(site, user)[:2] == (0, 0)


def test_correct_wrong_and_used_codes_get_the_same_answer_during_the_delay(sqlite_site: Site) -> None:
    site = sqlite_site
    user = site.make_user()
    used = user.code()
    Browser(site).sign_in(user, code=used)
    submit_wrong_codes(site, user, 5)
    browser = Browser(site).begin_sign_in(user)
    site.set(user, delayed_until=int(time.time()) + 1000)

    def answer(code: str) -> tuple[int, str]:
        page = browser.give_code(code)
        return page.status, re.sub(r"\d+ minutes", "", page.visible_text)

    assert len({answer(code) for code in (used, user.code(steps_ahead=1), user.wrong_code())}) == 1


def test_sign_in_step_up_and_changes_share_the_delay(site: Site) -> None:
    user = site.make_user()
    owner = Browser(site).sign_in(user, backup_code=user.backup_codes[0])
    paths = [DISABLE, REGENERATE, SETUP, "/accounts/2fa/reauthenticate/", DISABLE]
    for number, path in enumerate(paths):
        owner.post(path, {"password": PASSWORD, "code": user.wrong_code(number)})
    assert throttle_of(site, user)[0] == 5
    assert is_delayed(Browser(site).begin_sign_in(user).give_code(user.code()))
    for path in (DISABLE, REGENERATE, SETUP):
        page = owner.post(path, {"password": PASSWORD, "code": user.code()})
        assert is_delayed(page), page
        assert int(page.headers["Retry-After"]) <= 30


def test_step_up_during_the_delay_is_answered_429(sqlite_site: Site, htmx: bool) -> None:
    site = sqlite_site
    user = site.make_user()
    owner = Browser(site, htmx=htmx).sign_in(user, backup_code=user.backup_codes[0])
    site.set(user, failures=5, delayed_until=int(time.time()) + 3000)
    page = owner.post("/accounts/2fa/reauthenticate/", {"password": PASSWORD, "code": user.code()})
    assert is_delayed(page), page
    assert 2900 < int(page.headers["Retry-After"]) <= 3000


def test_the_delay_survives_a_restart_a_cleared_cache_and_another_browser(site: Site) -> None:
    user = site.make_user()
    submit_wrong_codes(site, user, 5)
    site.set(user, delayed_until=int(time.time()) + 3000)
    site.orm("cache.clear()")
    site.restart()
    assert is_delayed(Browser(site).begin_sign_in(user).give_code(user.code()))
    assert is_delayed(Browser(site, address="2001:db8:9::1").begin_sign_in(user).give_code(user.code()))


# --- The pending sign-in --------------------------------------------------------------------------


def test_five_wrong_codes_end_the_pending_sign_in_and_notify_the_owner(sqlite_site: Site, htmx: bool) -> None:
    site = sqlite_site
    user = site.make_user()
    browser = Browser(site, htmx=htmx).begin_sign_in(user)
    answers = [browser.give_backup_code(UNKNOWN_BACKUP_CODE) for _ in range(5)]
    assert [answer.status for answer in answers[:4]] == [422] * 4
    assert answers[4].redirect_target == LOGIN
    assert not browser.has_pending_sign_in()
    assert browser.give_code(user.code()).redirect_target == LOGIN
    assert not browser.is_signed_in()
    assert site.events(user) == ["wrong_codes"]
    wait_until(lambda: len(site.emails_to(user)) == 1, "one email")


def test_the_owner_gets_one_email_an_hour_about_wrong_codes(sqlite_site: Site) -> None:
    site = sqlite_site
    user = site.make_user()
    for _ in range(3):
        browser = Browser(site).begin_sign_in(user)
        for _ in range(5):
            browser.give_backup_code(UNKNOWN_BACKUP_CODE)
    Browser(site).sign_in(user, backup_code=user.backup_codes[0])
    assert site.events(user) == ["wrong_codes"] * 3 + ["backup_code_used"]
    wait_until(lambda: any("backup code was used" in str(m["Subject"]) for m in site.emails_to(user)), "the last mail")
    assert len(site.emails_to(user)) == 2


def test_a_malformed_code_is_never_charged(sqlite_site: Site) -> None:
    site = sqlite_site
    user = site.make_user()
    browser = Browser(site, address="203.0.113.77").begin_sign_in(user)
    malformed = ["", "12345", "1234567", "abcdef", "¹²³⁴⁵⁶", "12345²", "\0" * 6, "1" * 60_000, "12 34 5"]
    for typed in malformed * 4:
        assert browser.give_code(typed).status == 422
    for typed in ["", "0000", "U" * 16, "０" * 16, "\0", "A" * 60_000]:
        assert browser.give_backup_code(typed).status == 422
    assert throttle_of(site, user)[0] == 0
    assert browser.give_code(user.code()).redirect_target == "/"


def test_a_setup_ends_after_five_wrong_codes(sqlite_site: Site) -> None:
    site = sqlite_site
    user = site.make_user(on=False)
    browser = Browser(site).sign_in(user)
    key = browser.post(SETUP, {"password": PASSWORD}).key
    answers = [browser.post(VERIFY_SETUP, {"code": f"00000{number}"}) for number in range(5)]
    assert [answer.status for answer in answers[:4]] == [422] * 4
    assert answers[4].redirect_target == SETUP
    assert browser.get(SETUP).key == ""
    assert browser.post(SETUP, {"password": PASSWORD}).key not in ("", key)


# --- The source -----------------------------------------------------------------------------------


def is_source_limited(answer: Page) -> bool:
    return (
        answer.status == 429
        and "from your network" in answer.visible_text
        and 0 < int(answer.headers["Retry-After"]) <= 600
    )


def wrong(site: Site, addresses: list[str], *, count: int = 20) -> Page:
    """Submit wrong codes and backup codes of five accounts from these addresses in turn. Return the last response."""
    users = site.make_users(5)
    for number in range(count):
        user = users[number // 4]
        if number % 4 == 0:
            browser = Browser(site, address=addresses[number % len(addresses)]).begin_sign_in(user)
        browser.address = addresses[number % len(addresses)]
        page = browser.give_code(user.wrong_code()) if number % 2 else browser.give_backup_code(UNKNOWN_BACKUP_CODE)
        assert page.status == 422, page
    return page


@pytest.mark.parametrize(
    "addresses, same, other",
    [
        (["192.0.2.50"], "192.0.2.50", "192.0.2.51"),
        ([f"2001:db8:1:1::{n:x}" for n in range(1, 8)], "2001:db8:1:1:ffff::9", "2001:db8:1:2::1"),
    ],
    ids=["IPv4", "IPv6 by its /64"],
)
def test_twenty_wrong_codes_block_their_source_and_no_other(
    site: Site, addresses: list[str], same: str, other: str
) -> None:
    user = site.make_user()
    wrong(site, addresses)
    browser = Browser(site, address=same).begin_sign_in(user)
    assert is_source_limited(browser.give_code(user.code()))
    assert is_source_limited(browser.give_backup_code(user.backup_codes[0]))
    assert throttle_of(site, user)[0] == 0
    assert Browser(site, address=other).begin_sign_in(user).give_code(user.code()).redirect_target == "/"


def test_an_ipv4_mapped_ipv6_address_is_one_source(sqlite_site: Site) -> None:
    """`granian --host ::` and many proxies write ::ffff:a.b.c.d. In one /64 all IPv4 addresses would be one source."""
    site = sqlite_site
    user = site.make_user()
    wrong(site, ["::ffff:192.0.2.60"])
    assert is_source_limited(Browser(site, address="::ffff:192.0.2.60").begin_sign_in(user).give_code(user.code()))
    for other in ("::ffff:192.0.2.61", "::ffff:203.0.113.5"):
        site.reset_throttle_and_codes(user)
        page = Browser(site, address=other).begin_sign_in(user).give_code(user.code())
        assert page.redirect_target == "/", "one source blocked other IPv4 addresses"


def test_correct_and_malformed_codes_are_not_counted_for_the_source(site: Site) -> None:
    user = site.make_user()
    address = "192.0.2.90"
    wrong(site, [address], count=19)
    for _ in range(3):
        site.reset_throttle_and_codes(user)
        browser = Browser(site, address=address).begin_sign_in(user)
        assert browser.give_code("12").status == 422
        assert browser.give_code(user.code()).redirect_target == "/"
    browser = Browser(site, address=address).begin_sign_in(user)
    assert browser.give_backup_code(UNKNOWN_BACKUP_CODE).status == 422
    assert is_source_limited(browser.give_backup_code(UNKNOWN_BACKUP_CODE))


@pytest.mark.parametrize("forged", ["10.0.0.{}", "garbage {}, 2001:db8:{}::1"])
def test_forged_addresses_before_the_proxys_entry_are_ignored(sqlite_site: Site, forged: str) -> None:
    """TRUSTED_PROXY_COUNT is 1: only the last entry is used."""
    site = sqlite_site
    user = site.make_user()
    own = f"192.0.2.{71 + len(forged)}"
    wrong(site, [f"{forged.format(number, number)}, {own}" for number in range(20)])
    assert is_source_limited(Browser(site, address=own).begin_sign_in(user).give_code(user.code()))


@pytest.fixture(scope="module")
def site_without_proxy() -> Iterator[Site]:
    with serving(TRUSTED_PROXY_COUNT="0") as site:
        yield site


def test_forwarding_headers_are_ignored_without_a_proxy(site_without_proxy: Site) -> None:
    site = site_without_proxy
    names = ["X_Forwarded_For", "X_Real_IP", "Forwarded", "X_Client_IP", "CF_Connecting_IP", "True_Client_IP"]
    user = site.make_user()
    wrong(site, [f"10.0.0.{number}" for number in range(20)])
    headers = {name: "for=10.9.9.9" if name == "Forwarded" else "10.9.9.9" for name in names}
    browser = Browser(site, address="10.9.9.9").begin_sign_in(user)
    assert is_source_limited(browser.post(VERIFY_LOGIN, {"code": user.code()}, **headers))


# --- What ends a delay or lock --------------------------------------------------------------------


@pytest.mark.parametrize("state", ["delayed", "locked"])
def test_a_backup_code_works_during_a_delay_or_lock_and_ends_it(site: Site, state: str) -> None:
    user = site.make_user()
    now = int(time.time())
    delayed = {"failures": 11, "delayed_until": now + 3000}
    locked = {"budget_spent": 100, "budget_began": now}
    site.set(user, **(delayed if state == "delayed" else locked))
    browser = Browser(site).begin_sign_in(user)
    assert is_delayed(browser.give_code(user.code()))
    assert browser.give_backup_code(user.backup_codes[0]).redirect_target == "/"
    assert Browser(site).begin_sign_in(user).give_code(user.code()).redirect_target == "/"


def test_a_wrong_backup_code_neither_ends_the_lock_nor_is_charged_to_the_account(sqlite_site: Site) -> None:
    site = sqlite_site
    user = site.make_user()
    site.set(user, budget_spent=100, budget_began=int(time.time()))
    before = throttle_of(site, user)
    browser = Browser(site).begin_sign_in(user)
    assert browser.give_backup_code(UNKNOWN_BACKUP_CODE).status == 422
    assert is_delayed(browser.give_code(user.code()))
    assert throttle_of(site, user) == before


def test_the_hundredth_wrong_code_locks_the_account_and_notifies_the_owner(site: Site, htmx: bool) -> None:
    user = site.make_user()
    submit_wrong_codes(site, user, 1)
    site.set(user, budget_spent=99, failures=0)
    browser = Browser(site, htmx=htmx).begin_sign_in(user)
    assert browser.give_code(user.wrong_code()).status == 422
    answer = browser.give_code(user.code())
    assert is_delayed(answer)
    assert "30 days" in answer.visible_text
    assert 29 * 86400 < int(answer.headers["Retry-After"]) <= 30 * 86400
    assert site.events(user) == ["locked"]
    wait_until(lambda: site.emails_to(user), "an email to the owner")


def test_a_correct_code_does_not_refund_the_budget(site: Site) -> None:
    user = site.make_user()
    submit_wrong_codes(site, user, 2)
    site.set(user, budget_spent=60, delayed_until=0)
    Browser(site).sign_in(user, code=user.code())
    assert site.authenticator(user)["budget_spent"] == 60


def test_the_budget_restarts_after_thirty_days(site: Site) -> None:
    user = site.make_user()
    site.set(user, budget_spent=100, budget_began=int(time.time()) - 30 * 86400 - 1)
    assert Browser(site).begin_sign_in(user).give_code(user.wrong_code()).status == 422
    assert site.authenticator(user)["budget_spent"] == 1


def reset_links(site: Site, user: SiteUser) -> set[str]:
    texts = [plain_text_of(message) for message in site.emails_to(user)]
    return {link for text in texts for link in re.findall(r"https?://[^/\s]+(/\S+/key/\S+)", text)}


def reset_password(site: Site, user: SiteUser, password: str) -> None:
    """Reset the password by the link of the email."""
    browser = Browser(site)
    known = reset_links(site, user)
    assert browser.post("/accounts/password/reset/", {"email": user.email}).redirect_target
    link = wait_until(lambda: reset_links(site, user) - known, "an email with a link").pop()
    form = browser.get(link).redirect_target
    assert browser.post(form, {"password1": password}).redirect_target


def test_a_password_reset_gives_a_locked_account_twenty_tries_once_a_week(site: Site) -> None:
    user = site.make_user()
    submit_wrong_codes(site, user, 1)
    site.set(user, budget_spent=100, failures=11, delayed_until=int(time.time()) + 3000)
    reset_password(site, user, NEW_PASSWORD)
    assert throttle_of(site, user) == (0, 0, 80)
    browser = Browser(site)
    assert browser.give_password(user, password=NEW_PASSWORD).redirect_target == VERIFY_LOGIN
    assert browser.give_code(user.code()).redirect_target == "/"
    site.set(user, budget_spent=100, last_time_step=-1)
    reset_password(site, user, PASSWORD)
    assert is_delayed(Browser(site).begin_sign_in(user).give_code(user.code()))
    assert site.authenticator(user)["budget_spent"] == 100


def test_a_password_reset_ends_pending_sign_ins(sqlite_site: Site) -> None:
    site = sqlite_site
    user = site.make_user()
    attacker = Browser(site).begin_sign_in(user)
    reset_password(site, user, NEW_PASSWORD)
    assert attacker.give_code(user.code()).redirect_target == LOGIN
    assert not attacker.is_signed_in()
    assert site.authenticator(user)["failures"] == 0


def test_a_password_reset_signs_nobody_in(sqlite_site: Site) -> None:
    site = sqlite_site
    user = site.make_user()
    reset_password(site, user, NEW_PASSWORD)
    assert site.orm("UserSession.objects.filter(user_id=pk).count()", pk=user.pk) == 0


def test_wrong_passwords_of_others_do_not_block_the_owner_after_a_reset(sqlite_site: Site) -> None:
    """The message of the limit offers a password reset."""
    site = sqlite_site
    user = site.make_user()
    for other in (Browser(site), Browser(site), Browser(site)):
        for _ in range(9):
            page = other.give_password(user, password="not-the-password")
    assert "Too many" in page.visible_text
    reset_password(site, user, NEW_PASSWORD)
    page = Browser(site).give_password(user, password=NEW_PASSWORD)
    assert page.redirect_target == VERIFY_LOGIN, page


# --- Without the password -------------------------------------------------------------------------


def test_the_second_factors_counters_do_not_change_without_the_password(site: Site) -> None:
    user = site.make_user()
    other = site.make_user(on=False)
    before = site.authenticator(user)
    for htmx in (False, True):
        attacker = Browser(site, htmx=htmx)
        for _ in range(6):
            attacker.give_password(user, password="not-the-password")
            attacker.post(LOGIN, {"login": user.email, "password": "not-the-password", "code": user.wrong_code()})
            attacker.give_code(user.wrong_code())
            attacker.give_backup_code(UNKNOWN_BACKUP_CODE)
        for path in (SETUP, VERIFY_SETUP, DISABLE, REGENERATE, "/accounts/2fa/reauthenticate/"):
            proof = {"password": PASSWORD, "code": user.wrong_code(), "login": user.email, "user": str(user.pk)}
            attacker.post(path, proof)
            Browser(site, htmx=htmx).sign_in(other).post(path, proof)
    assert site.authenticator(user) == before


def test_a_stolen_session_without_the_password_changes_no_counter(sqlite_site: Site) -> None:
    site = sqlite_site
    user = site.make_user()
    thief = Browser(site).sign_in(user, backup_code=user.backup_codes[0]).copy()
    before = site.authenticator(user)
    for path in (DISABLE, REGENERATE, SETUP, "/accounts/2fa/reauthenticate/"):
        wrong = {"password": "not-the-password", "code": user.wrong_code()}
        assert thief.post(path, wrong).status == 422
        assert thief.post(path, wrong | {"code": user.code()}).status == 422
    assert site.authenticator(user) == before
    assert site.unused_codes(user) == 9


def test_a_code_alone_or_a_password_alone_changes_nothing(sqlite_site: Site) -> None:
    site = sqlite_site
    user = site.make_user()
    owner = Browser(site).sign_in(user, backup_code=user.backup_codes[0])
    before = site.authenticator(user)
    for path in (DISABLE, REGENERATE, SETUP):
        for proof in ({"code": user.code()}, {"password": PASSWORD}, {"backup_code": user.backup_codes[1]}, {}):
            assert owner.post(path, proof).status == 422
        assert owner.get(f"{path}?password={PASSWORD}&code={user.code()}").status == 200
    assert site.authenticator(user) == before
    assert site.unused_codes(user) == 9
