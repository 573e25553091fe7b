"""The limits, as whoever runs into them sees them: nothing resets them but what should.

On SQLite with the default cache, and on PostgreSQL with Redis where the point lies in one of these; with two
processes, over plain HTTP.
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
    Person,
    Site,
    serving,
    text_of,
    wait_until,
)
from conftest import PASSWORD

pytest_plugins = ["config.tests.running_site"]

NEW_PASSWORD = "zinc-Harbour-9-lantern"
UNKNOWN_BACKUP_CODE = "0000-0000-0000-0000"


@pytest.fixture(params=[False, True], ids=["plain", "htmx"])
def htmx(request: pytest.FixtureRequest) -> bool:
    return request.param


def guess(site: Site, person: Person, count: int) -> list[Page]:
    """So many wrong codes, none of which a delay or a pending sign-in's five tries stop."""
    answers = []
    for number in range(count):
        if number % 4 == 0:
            browser = Browser(site).owe_code(person)
        site.let_delay_pass(person)
        answers.append(browser.give_code(person.wrong_code(number)))
    return answers


def is_delayed(answer: Page) -> bool:
    return answer.status == 429 and "Too many wrong codes" in answer.words


def is_counted(site: Site, person: Person) -> tuple[int, int, int]:
    row = site.authenticator(person)
    return row["failures"], row["delayed_until"], row["budget_spent"]


# --- The account's delay --------------------------------------------------------------------------


def test_each_wrong_code_from_the_fifth_on_doubles_the_delay(site: Site, htmx: bool) -> None:
    person = site.person()
    browser = Browser(site, htmx=htmx).owe_code(person)
    words = {30: "30 seconds", 60: "60 seconds", 120: "2 minutes", 480: "8 minutes", 3600: "60 minutes"}
    for number, delay in enumerate([0, 0, 0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]):
        site.let_delay_pass(person)
        assert browser.give_code(person.wrong_code(number)).status == 422
        now = browser.give_code(person.code())
        if not delay:
            assert browser.is_signed_in()
            browser = Browser(site, htmx=htmx).owe_code(person)
            site.set(person, failures=number + 1, last_time_step=-1)
            continue
        assert is_delayed(now), now
        assert delay - 10 < int(now.headers["Retry-After"]) <= delay
        assert 'name="code"' in now.text
        assert ("<html" in now.text) is not htmx
        if delay in words:
            said = re.search(r"again in (\d+) (\w+)", now.words)
            assert said, now
            seconds = int(said[1]) * {"seconds": 1, "minutes": 60}[said[2]]
            assert delay - 10 < seconds <= delay, f"{said[0]}, not {words[delay]}"


def test_a_try_during_the_delay_is_not_charged_and_does_not_extend_it(site: Site) -> None:
    person = site.person()
    guess(site, person, 5)
    before, browser = is_counted(site, person), Browser(site).owe_code(person)
    for _ in range(7):
        assert is_delayed(browser.give_code(person.wrong_code()))
    assert is_delayed(browser.give_code(person.code()))
    assert is_counted(site, person) == before
    site.let_delay_pass(person)
    assert browser.give_code(person.code()).leads_to == "/", "the code was used up by a try that was not looked at"
    assert is_counted(site, person)[:2] == (0, 0)


def test_correct_wrong_and_used_codes_get_the_same_answer_during_the_delay(sqlite_site: Site) -> None:
    site = sqlite_site
    person = site.person()
    used = person.code()
    Browser(site).sign_in(person, code=used)
    guess(site, person, 5)
    browser = Browser(site).owe_code(person)
    site.set(person, delayed_until=int(time.time()) + 1000)

    def answer(code: str) -> tuple[int, str]:
        page = browser.give_code(code)
        return page.status, re.sub(r"\d+ minutes", "", page.words)

    assert len({answer(code) for code in (used, person.code(steps_ahead=1), person.wrong_code())}) == 1


def test_sign_in_step_up_and_changes_share_the_delay(site: Site) -> None:
    person = site.person()
    owner = Browser(site).sign_in(person, backup_code=person.backup_codes[0])
    paths = [DISABLE, REGENERATE, SETUP, "/accounts/reauthenticate/", DISABLE]
    for number, path in enumerate(paths):
        owner.post(path, {"password": PASSWORD, "code": person.wrong_code(number)})
    assert is_counted(site, person)[0] == 5
    assert is_delayed(Browser(site).owe_code(person).give_code(person.code()))
    for path in (DISABLE, REGENERATE, SETUP):
        page = owner.post(path, {"password": PASSWORD, "code": person.code()})
        assert is_delayed(page), page
        assert int(page.headers["Retry-After"]) <= 30


def test_step_up_during_the_delay_is_answered_429(sqlite_site: Site, htmx: bool) -> None:
    site = sqlite_site
    person = site.person()
    owner = Browser(site, htmx=htmx).sign_in(person, backup_code=person.backup_codes[0])
    site.set(person, failures=5, delayed_until=int(time.time()) + 3000)
    page = owner.post("/accounts/reauthenticate/", {"password": PASSWORD, "code": person.code()})
    assert is_delayed(page), page
    assert 2900 < int(page.headers["Retry-After"]) <= 3000


def test_the_delay_survives_a_restart_a_cleared_cache_and_another_browser(site: Site) -> None:
    person = site.person()
    guess(site, person, 5)
    site.set(person, delayed_until=int(time.time()) + 3000)
    site.orm("cache.clear()")
    site.restart()
    assert is_delayed(Browser(site).owe_code(person).give_code(person.code()))
    assert is_delayed(Browser(site, address="2001:db8:9::1").owe_code(person).give_code(person.code()))


# --- The pending sign-in --------------------------------------------------------------------------


def test_five_wrong_codes_end_the_pending_sign_in_and_notify_the_owner(sqlite_site: Site, htmx: bool) -> None:
    site = sqlite_site
    person = site.person()
    browser = Browser(site, htmx=htmx).owe_code(person)
    answers = [browser.give_backup_code(UNKNOWN_BACKUP_CODE) for _ in range(5)]
    assert [answer.status for answer in answers[:4]] == [422] * 4
    assert answers[4].leads_to == LOGIN
    assert not browser.owes_code()
    assert browser.give_code(person.code()).leads_to == LOGIN
    assert not browser.is_signed_in()
    assert site.events(person) == ["wrong_codes"]
    wait_until(lambda: len(site.mails_to(person)) == 1, "one mail")


def test_the_owner_gets_one_email_an_hour_about_wrong_codes(sqlite_site: Site) -> None:
    site = sqlite_site
    person = site.person()
    for _ in range(3):
        browser = Browser(site).owe_code(person)
        for _ in range(5):
            browser.give_backup_code(UNKNOWN_BACKUP_CODE)
    Browser(site).sign_in(person, backup_code=person.backup_codes[0])
    assert site.events(person) == ["wrong_codes"] * 3 + ["backup_code_used"]
    wait_until(lambda: any("backup code was used" in str(m["Subject"]) for m in site.mails_to(person)), "the last mail")
    assert len(site.mails_to(person)) == 2


def test_a_malformed_code_is_never_charged(sqlite_site: Site) -> None:
    site = sqlite_site
    person = site.person()
    browser = Browser(site, address="203.0.113.77").owe_code(person)
    malformed = ["", "12345", "1234567", "abcdef", "¹²³⁴⁵⁶", "12345²", "\0" * 6, "1" * 60_000, "12 34 5"]
    for typed in malformed * 4:
        assert browser.give_code(typed).status == 422
    for typed in ["", "0000", "U" * 16, "０" * 16, "\0", "A" * 60_000]:
        assert browser.give_backup_code(typed).status == 422
    assert is_counted(site, person)[0] == 0
    assert browser.give_code(person.code()).leads_to == "/"


def test_a_setup_ends_after_five_wrong_codes(sqlite_site: Site) -> None:
    site = sqlite_site
    person = site.person(on=False)
    browser = Browser(site).sign_in(person)
    key = browser.post(SETUP, {"password": PASSWORD}).key
    answers = [browser.post(VERIFY_SETUP, {"code": f"00000{number}"}) for number in range(5)]
    assert [answer.status for answer in answers[:4]] == [422] * 4
    assert answers[4].leads_to == SETUP
    assert browser.get(SETUP).key == ""
    assert browser.post(SETUP, {"password": PASSWORD}).key not in ("", key)


# --- The source -----------------------------------------------------------------------------------


def source_is_closed(answer: Page) -> bool:
    return (
        answer.status == 429 and "from your network" in answer.words and 0 < int(answer.headers["Retry-After"]) <= 600
    )


def wrong(site: Site, addresses: list[str], *, count: int = 20) -> Page:
    """So many wrong codes, of either kind, over five accounts and from these addresses in turn; the last answer."""
    people = site.people(5)
    for number in range(count):
        person = people[number // 4]
        if number % 4 == 0:
            browser = Browser(site, address=addresses[number % len(addresses)]).owe_code(person)
        browser.address = addresses[number % len(addresses)]
        page = browser.give_code(person.wrong_code()) if number % 2 else browser.give_backup_code(UNKNOWN_BACKUP_CODE)
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
    person = site.person()
    wrong(site, addresses)
    browser = Browser(site, address=same).owe_code(person)
    assert source_is_closed(browser.give_code(person.code()))
    assert source_is_closed(browser.give_backup_code(person.backup_codes[0]))
    assert is_counted(site, person)[0] == 0
    assert Browser(site, address=other).owe_code(person).give_code(person.code()).leads_to == "/"


def test_an_ipv4_mapped_ipv6_address_is_one_source(sqlite_site: Site) -> None:
    """As `granian --host ::` and many a proxy do: cut to its /64 every IPv4 address would be one and the same."""
    site = sqlite_site
    person = site.person()
    wrong(site, ["::ffff:192.0.2.60"])
    assert source_is_closed(Browser(site, address="::ffff:192.0.2.60").owe_code(person).give_code(person.code()))
    for other in ("::ffff:192.0.2.61", "::ffff:203.0.113.5"):
        site.let_all_be_new(person)
        page = Browser(site, address=other).owe_code(person).give_code(person.code())
        assert page.leads_to == "/", "one visitor closed the door for everybody's IPv4"


def test_correct_and_malformed_codes_are_not_counted_for_the_source(site: Site) -> None:
    person, address = site.person(), "192.0.2.90"
    wrong(site, [address], count=19)
    for _ in range(3):
        site.let_all_be_new(person)
        browser = Browser(site, address=address).owe_code(person)
        assert browser.give_code("12").status == 422
        assert browser.give_code(person.code()).leads_to == "/"
    browser = Browser(site, address=address).owe_code(person)
    assert browser.give_backup_code(UNKNOWN_BACKUP_CODE).status == 422
    assert source_is_closed(browser.give_backup_code(UNKNOWN_BACKUP_CODE))


@pytest.mark.parametrize("forged", ["10.0.0.{}", "garbage {}, 2001:db8:{}::1"])
def test_forged_addresses_before_the_proxys_entry_are_ignored(sqlite_site: Site, forged: str) -> None:
    """One proxy is trusted, and it writes the last entry."""
    site = sqlite_site
    person, own = site.person(), f"192.0.2.{71 + len(forged)}"
    wrong(site, [f"{forged.format(number, number)}, {own}" for number in range(20)])
    assert source_is_closed(Browser(site, address=own).owe_code(person).give_code(person.code()))


@pytest.fixture(scope="module")
def site_without_proxy() -> Iterator[Site]:
    with serving(TRUSTED_PROXY_COUNT="0") as site:
        yield site


def test_forwarding_headers_are_ignored_without_a_proxy(site_without_proxy: Site) -> None:
    site = site_without_proxy
    names = ["X_Forwarded_For", "X_Real_IP", "Forwarded", "X_Client_IP", "CF_Connecting_IP", "True_Client_IP"]
    person = site.person()
    wrong(site, [f"10.0.0.{number}" for number in range(20)])
    told = {name: "for=10.9.9.9" if name == "Forwarded" else "10.9.9.9" for name in names}
    browser = Browser(site, address="10.9.9.9").owe_code(person)
    assert source_is_closed(browser.post(VERIFY_LOGIN, {"code": person.code()}, **told))


# --- The owner's ways out -------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["delayed", "locked"])
def test_a_backup_code_works_during_a_delay_or_lock_and_ends_it(site: Site, state: str) -> None:
    person, now = site.person(), int(time.time())
    delayed, locked = {"failures": 11, "delayed_until": now + 3000}, {"budget_spent": 100, "budget_began": now}
    site.set(person, **(delayed if state == "delayed" else locked))
    browser = Browser(site).owe_code(person)
    assert is_delayed(browser.give_code(person.code()))
    assert browser.give_backup_code(person.backup_codes[0]).leads_to == "/"
    assert Browser(site).owe_code(person).give_code(person.code()).leads_to == "/"


def test_a_wrong_backup_code_neither_ends_the_lock_nor_is_charged_to_the_account(sqlite_site: Site) -> None:
    site = sqlite_site
    person = site.person()
    site.set(person, budget_spent=100, budget_began=int(time.time()))
    before, browser = is_counted(site, person), Browser(site).owe_code(person)
    assert browser.give_backup_code(UNKNOWN_BACKUP_CODE).status == 422
    assert is_delayed(browser.give_code(person.code()))
    assert is_counted(site, person) == before


def test_the_hundredth_wrong_code_locks_the_account_and_notifies_the_owner(site: Site, htmx: bool) -> None:
    person = site.person()
    guess(site, person, 1)
    site.set(person, budget_spent=99, failures=0)
    browser = Browser(site, htmx=htmx).owe_code(person)
    assert browser.give_code(person.wrong_code()).status == 422
    answer = browser.give_code(person.code())
    assert is_delayed(answer)
    assert "30 days" in answer.words
    assert 29 * 86400 < int(answer.headers["Retry-After"]) <= 30 * 86400
    assert site.events(person) == ["locked"]
    wait_until(lambda: site.mails_to(person), "a mail to the owner")


def test_a_correct_code_does_not_refund_the_budget(site: Site) -> None:
    person = site.person()
    guess(site, person, 2)
    site.set(person, budget_spent=60, delayed_until=0)
    Browser(site).sign_in(person, code=person.code())
    assert site.authenticator(person)["budget_spent"] == 60


def test_the_budget_restarts_after_thirty_days(site: Site) -> None:
    person = site.person()
    site.set(person, budget_spent=100, budget_began=int(time.time()) - 30 * 86400 - 1)
    assert Browser(site).owe_code(person).give_code(person.wrong_code()).status == 422
    assert site.authenticator(person)["budget_spent"] == 1


def reset_links(site: Site, person: Person) -> set[str]:
    texts = [text_of(mail) for mail in site.mails_to(person)]
    return {link for text in texts for link in re.findall(r"https?://[^/\s]+(/\S+/key/\S+)", text)}


def reset_password(site: Site, person: Person, password: str) -> None:
    """By the link in the mail, as whoever reads the owner's mail does."""
    browser, known = Browser(site), reset_links(site, person)
    assert browser.post("/accounts/password/reset/", {"email": person.email}).leads_to
    link = wait_until(lambda: reset_links(site, person) - known, "a mail with a link").pop()
    form = browser.get(link).leads_to
    assert browser.post(form, {"password1": password}).leads_to


def test_a_password_reset_gives_a_locked_account_twenty_tries_once_a_week(site: Site) -> None:
    person = site.person()
    guess(site, person, 1)
    site.set(person, budget_spent=100, failures=11, delayed_until=int(time.time()) + 3000)
    reset_password(site, person, NEW_PASSWORD)
    assert is_counted(site, person) == (0, 0, 80)
    browser = Browser(site)
    assert browser.give_password(person, password=NEW_PASSWORD).leads_to == VERIFY_LOGIN
    assert browser.give_code(person.code()).leads_to == "/"
    site.set(person, budget_spent=100, last_time_step=-1)
    reset_password(site, person, PASSWORD)
    assert is_delayed(Browser(site).owe_code(person).give_code(person.code()))
    assert site.authenticator(person)["budget_spent"] == 100


def test_a_password_reset_ends_pending_sign_ins(sqlite_site: Site) -> None:
    site = sqlite_site
    person = site.person()
    attacker = Browser(site).owe_code(person)
    reset_password(site, person, NEW_PASSWORD)
    assert attacker.give_code(person.code()).leads_to == LOGIN
    assert not attacker.is_signed_in()
    assert site.authenticator(person)["failures"] == 0


def test_a_password_reset_signs_nobody_in(sqlite_site: Site) -> None:
    site = sqlite_site
    person = site.person()
    reset_password(site, person, NEW_PASSWORD)
    assert site.orm("UserSession.objects.filter(user_id=pk).count()", pk=person.pk) == 0


def test_wrong_passwords_of_others_do_not_block_the_owner_after_a_reset(sqlite_site: Site) -> None:
    """The page says: wait a few minutes, or reset your password."""
    site = sqlite_site
    person = site.person()
    for stranger in (Browser(site), Browser(site), Browser(site)):
        for _ in range(9):
            page = stranger.give_password(person, password="not-the-password")
    assert "Too many" in page.words
    reset_password(site, person, NEW_PASSWORD)
    page = Browser(site).give_password(person, password=NEW_PASSWORD)
    assert page.leads_to == VERIFY_LOGIN, page


# --- Whoever has no password ----------------------------------------------------------------------


def test_the_second_factors_counters_do_not_change_without_the_password(site: Site) -> None:
    person, stranger = site.person(), site.person(on=False)
    before = site.authenticator(person)
    for htmx in (False, True):
        visitor = Browser(site, htmx=htmx)
        for _ in range(6):
            visitor.give_password(person, password="not-the-password")
            visitor.post(LOGIN, {"login": person.email, "password": "not-the-password", "code": person.wrong_code()})
            visitor.give_code(person.wrong_code())
            visitor.give_backup_code(UNKNOWN_BACKUP_CODE)
        for path in (SETUP, VERIFY_SETUP, DISABLE, REGENERATE, "/accounts/reauthenticate/"):
            proof = {"password": PASSWORD, "code": person.wrong_code(), "login": person.email, "user": str(person.pk)}
            visitor.post(path, proof)
            Browser(site, htmx=htmx).sign_in(stranger).post(path, proof)
    assert site.authenticator(person) == before


def test_a_stolen_session_without_the_password_changes_no_counter(sqlite_site: Site) -> None:
    site = sqlite_site
    person = site.person()
    thief = Browser(site).sign_in(person, backup_code=person.backup_codes[0]).twin()
    before = site.authenticator(person)
    for path in (DISABLE, REGENERATE, SETUP, "/accounts/reauthenticate/"):
        wrong = {"password": "not-the-password", "code": person.wrong_code()}
        assert thief.post(path, wrong).status == 422
        assert thief.post(path, wrong | {"code": person.code()}).status == 422
    assert site.authenticator(person) == before
    assert site.unused_codes(person) == 9


def test_a_code_alone_or_a_password_alone_changes_nothing(sqlite_site: Site) -> None:
    site = sqlite_site
    person = site.person()
    owner = Browser(site).sign_in(person, backup_code=person.backup_codes[0])
    before = site.authenticator(person)
    for path in (DISABLE, REGENERATE, SETUP):
        for proof in ({"code": person.code()}, {"password": PASSWORD}, {"backup_code": person.backup_codes[1]}, {}):
            assert owner.post(path, proof).status == 422
        assert owner.get(f"{path}?password={PASSWORD}&code={person.code()}").status == 200
    assert site.authenticator(person) == before
    assert site.unused_codes(person) == 9
