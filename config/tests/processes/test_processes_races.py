"""Race conditions: parallel requests to two processes use nothing twice and leave no partial change.

Each race runs TEST_ROUNDS times (3 by default), on SQLite and on PostgreSQL with Redis.
"""

import time
from collections.abc import Callable

import pytest

from config.tests.processes.running_site import (
    DISABLE,
    REGENERATE,
    ROUNDS,
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
    Browser,
    Page,
    Site,
    SiteUser,
    parallel,
    wait_until,
)
from conftest import PASSWORD

pytest_plugins = ["config.tests.processes.running_site"]

ALL_UNUSED = "all_unused(pk)"


class SignInPool:
    """24 pending sign-ins of one user, each with its own session and IP address."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.user = site.make_user()
        self.began = time.monotonic()
        self.browsers = [Browser(site).begin_sign_in(self.user) for _ in range(24)]

    def send(self, count: int, give: Callable[[Browser, int], Page]) -> list[Page]:
        for browser in self.browsers[:count]:
            browser.address = Browser(self.site).address  # a new one, to stay below the limit of the source
        return parallel(count, lambda number: give(self.browsers[number], number))

    def restart(self, numbers: list[int]) -> None:
        """Start new pending sign-ins in place of the completed ones."""
        for number in numbers:
            self.browsers[number] = Browser(self.site).begin_sign_in(self.user)


@pytest.fixture(scope="module")
def _pools() -> dict[str, SignInPool]:
    return {}


@pytest.fixture
def pool(site: Site, _pools: dict[str, SignInPool]) -> SignInPool:
    """The pool of this site, with a reset throttle and all codes unused."""
    pool = _pools.get(site.base)
    if pool is None or time.monotonic() - pool.began > 240:  # pending sign-ins end after ten minutes
        pool = _pools[site.base] = SignInPool(site)
    site.reset_throttle_and_codes(pool.user)
    site.orm(ALL_UNUSED, pk=pool.user.pk)
    return pool


def count_sign_ins(site: Site, user: SiteUser) -> int:
    """Count the user's sign-ins: each one creates a UserSession row."""
    return site.orm("UserSession.objects.filter(user_id=pk).count()", pk=user.pk)


def winners(answers: list[Page]) -> list[int]:
    """Return the numbers of the requests that signed in. All others must be refused without a server error."""
    assert all(answer.status in (302, 400, 422, 429) for answer in answers), answers
    return [number for number, answer in enumerate(answers) if answer.redirect_target == "/"]


def are_unused_codes(site: Site, user: SiteUser, shown: list[str]) -> bool:
    """Return whether exactly these ten codes are the user's unused backup codes."""
    code = (
        "(lambda a: sorted(codes.digest(codes.normalize(c), salt=bytes(a.backup_salt)).hex() for c in shown)"
        " == sorted(a.backup_codes.filter(used_at=None).values_list('digest', flat=True)))"
        "(Authenticator.objects.get(user_id=pk))"
    )
    return len(shown) == 10 and site.orm(code, pk=user.pk, shown=shown)


# --- One code, many requests ----------------------------------------------------------------------


def test_one_code_completes_one_of_twenty_pending_sign_ins(site: Site, pool: SignInPool) -> None:
    user = pool.user
    before = count_sign_ins(site, pool.user)
    for number_of_round in range(1, ROUNDS + 1):
        site.reset_throttle_and_codes(user)
        code = user.code()
        won = winners(pool.send(20, lambda browser, _: browser.give_code(code)))
        assert len(won) == 1
        assert count_sign_ins(site, user) == before + number_of_round
        assert pool.browsers[won[0]].is_signed_in()
        assert not pool.browsers[won[0] - 1].is_signed_in()
        pool.restart(won)


def test_one_code_sent_twenty_times_by_one_pending_sign_in_signs_in_once(site: Site) -> None:
    user = site.make_user()
    for number_of_round in range(1, ROUNDS + 1):
        browser = Browser(site).begin_sign_in(user)
        site.reset_throttle_and_codes(user)
        code = user.code()
        tabs = [browser.copy() for _ in range(20)]
        won = winners(parallel(20, lambda number: tabs[number].give_code(code)))
        assert len(won) == 1
        assert count_sign_ins(site, user) == number_of_round
        assert tabs[won[0]].is_signed_in()
        assert not browser.is_signed_in(), "the key of the pending sign-in is signed in"


def test_one_backup_code_completes_one_of_twenty_pending_sign_ins(site: Site, pool: SignInPool) -> None:
    user = pool.user
    before = count_sign_ins(site, pool.user)
    for number_of_round in range(1, ROUNDS + 1):
        site.reset_throttle_and_codes(user)
        site.orm(ALL_UNUSED, pk=user.pk)
        code = user.backup_codes[number_of_round % 10]
        won = winners(pool.send(20, lambda browser, _: browser.give_backup_code(code)))
        assert len(won) == 1
        assert site.unused_codes(user) == 9
        assert count_sign_ins(site, user) == before + number_of_round
        pool.restart(won)


def test_two_parallel_backup_codes_are_both_accepted(site: Site, pool: SignInPool) -> None:
    for _ in range(ROUNDS):
        site.orm(ALL_UNUSED, pk=pool.user.pk)
        codes = pool.user.backup_codes
        answers = pool.send(2, lambda browser, number: browser.give_backup_code(codes[number]))
        won = winners(answers)
        assert won == [0, 1], answers
        assert site.unused_codes(pool.user) == 8
        pool.restart(won)


def test_one_code_is_accepted_for_a_sign_in_or_a_change_but_not_both(site: Site) -> None:
    for _ in range(ROUNDS):
        user = site.make_user()
        owner = Browser(site).sign_in(user, backup_code=user.backup_codes[0])
        pending = Browser(site).begin_sign_in(user)
        site.reset_throttle_and_codes(user)
        code = user.code()
        version = site.authenticator(user)["version"]
        proof = {"password": PASSWORD, "code": code}
        signed_in, regenerated = parallel(2, lambda n: owner.post(REGENERATE, proof) if n else pending.give_code(code))
        changed = site.authenticator(user)["version"] != version
        assert (signed_in.redirect_target == "/") != changed, (signed_in, regenerated)
        assert len(regenerated.backup_codes) == (10 if changed else 0)
        user.backup_codes = regenerated.backup_codes or user.backup_codes


def test_a_correct_code_sent_twice_is_not_recorded_as_wrong(site: Site) -> None:
    """The second request arrives while the first one completes the sign-in."""
    user = site.make_user()
    browser = Browser(site).begin_sign_in(user)
    code = user.code()
    tabs = [browser.copy(), browser.copy()]
    with site.slow("usersessions_usersession", seconds=1):

        def give(number: int) -> Page:
            if number == 1:
                closed = "Authenticator.objects.filter(user_id=pk).exclude(closed_sign_in='').exists()"
                wait_until(lambda: site.orm(closed, pk=user.pk), "the first code to be accepted")
            return tabs[number].give_code(code)

        first, second = parallel(2, give)
    assert first.redirect_target == "/"
    assert second.status < 400, second
    assert tabs[0].is_signed_in()
    assert site.events(user) == []


# --- Limits ---------------------------------------------------------------------------------------


def test_five_of_24_parallel_wrong_codes_are_checked(site: Site, pool: SignInPool) -> None:
    user = pool.user
    for _ in range(ROUNDS):
        site.reset_throttle_and_codes(user)
        codes = [user.wrong_code(number) for number in range(24)]
        answers = pool.send(24, lambda browser, number: browser.give_code(codes[number]))
        row = site.authenticator(user)
        tries = site.orm("sum(PendingSignIn.objects.filter(user_id=pk).values_list('tries', flat=True))", pk=user.pk)
        checked, delayed = ([a for a in answers if a.status == status] for status in (422, 429))
        assert winners(answers) == []
        assert (len(checked), row["failures"], row["budget_spent"], tries, len(delayed)) == (5, 5, 5, 5, 19)
        assert all(1 <= int(answer.headers["Retry-After"]) <= 30 for answer in delayed)


def test_parallel_wrong_codes_do_not_exceed_the_budget(site: Site, pool: SignInPool) -> None:
    user = pool.user
    for _ in range(ROUNDS):
        site.reset_throttle_and_codes(user)
        site.set(user, budget_spent=98, budget_began=int(time.time()))
        codes = [user.wrong_code(number) for number in range(24)]
        answers = pool.send(24, lambda browser, number: browser.give_code(codes[number]))
        assert site.authenticator(user)["budget_spent"] == 100
        assert sum(answer.status == 422 for answer in answers) == 2


def test_five_of_24_parallel_wrong_codes_of_one_pending_sign_in_are_checked(site: Site) -> None:
    """Backup codes are not throttled by the account, so only the five tries of the pending sign-in apply."""
    user = site.make_user()
    for _ in range(ROUNDS):
        browser = Browser(site).begin_sign_in(user)
        tabs = [browser.copy() for _ in range(24)]
        answers = parallel(24, lambda number: tabs[number].give_backup_code(f"0000-0000-0000-{number:04}"))
        assert winners(answers) == []
        assert not browser.has_pending_sign_in(), "the pending sign-in outlived five wrong codes"
    checked = site.log_text().count(f"user={user.pk} factor=backup why=wrong_backup_code")
    assert checked == 5 * ROUNDS


def test_at_most_twenty_of_32_parallel_wrong_codes_from_one_address_are_checked(site: Site) -> None:
    """Four codes for each of eight accounts, so that no limit of an account or sign-in applies."""
    for _ in range(max(1, ROUNDS // 3)):
        pending = [Browser(site).begin_sign_in(user) for user in site.make_users(8)]
        tabs = [browser.copy() for browser in pending for _ in range(4)]
        for tab in tabs:
            tab.address = pending[0].address
        answers = parallel(32, lambda number: tabs[number].give_backup_code(f"0000-0000-0000-{number:04}"))
        assert winners(answers) == []
        assert 1 <= sum(answer.status == 422 for answer in answers) <= 20


def test_at_most_five_of_24_parallel_wrong_codes_in_a_setup_are_checked(site: Site) -> None:
    browser = Browser(site).sign_in(site.make_user(on=False))
    browser.post(SETUP, {"password": PASSWORD})
    tabs = [browser.copy() for _ in range(24)]
    answers = parallel(24, lambda number: tabs[number].post(VERIFY_SETUP, {"code": f"0000{number:02}"}))
    assert sum(answer.status == 422 for answer in answers) <= 5


def test_ten_of_24_parallel_wrong_passwords_are_checked_and_the_owner_is_notified_once(site: Site) -> None:
    for _ in range(ROUNDS):
        user = site.make_user()
        thief = Browser(site).sign_in(user, backup_code=user.backup_codes[0])
        tabs = [thief.copy() for _ in range(24)]
        proof = {"password": "not-the-password", "code": user.wrong_code()}
        parallel(24, lambda number: tabs[number].post(DISABLE, proof))
        assert not thief.is_signed_in()
        assert site.log_text().count(f"event=password_refused user={user.pk} ") == 10
        assert site.events(user) == ["backup_code_used", "wrong_passwords"]


# --- Changes --------------------------------------------------------------------------------------


def two_browsers(site: Site, user: SiteUser, *, one_session: bool = False) -> list[Browser]:
    """Return two signed-in browsers of the user, or two tabs of one session."""
    site.orm(ALL_UNUSED, pk=user.pk)
    first = Browser(site).sign_in(user, backup_code=user.backup_codes[8])
    return [first, first.copy() if one_session else Browser(site).sign_in(user, backup_code=user.backup_codes[9])]


def proofs(user: SiteUser) -> list[dict[str, str]]:
    """Return two valid proofs."""
    return [{"password": PASSWORD, "backup_code": code} for code in user.backup_codes[:2]]


def confirm(browsers: list[Browser], phones: list[SiteUser]) -> tuple[list[int], list[Page]]:
    """Confirm both setups in parallel. Return the numbers that got backup codes, and the responses."""
    codes = [phone.code() for phone in phones]
    answers = parallel(2, lambda number: browsers[number].post(VERIFY_SETUP, {"code": codes[number]}))
    assert all(answer.status < 500 for answer in answers), answers
    return [number for number in range(2) if answers[number].backup_codes], answers


def phone(user: SiteUser, key: str) -> SiteUser:
    return SiteUser(user.pk, user.email, key, [])


@pytest.mark.parametrize("one_session", [True, False], ids=["two tabs", "two browsers"])
def test_two_parallel_regenerations_show_one_set_of_codes_which_is_valid(site: Site, one_session: bool) -> None:
    for _ in range(ROUNDS):
        user = site.make_user()
        browsers = two_browsers(site, user, one_session=one_session)
        proof = proofs(user)
        answers = parallel(2, lambda number: browsers[number].post(REGENERATE, proof[number]))
        assert all(answer.status < 500 for answer in answers), answers
        shown = [answer.backup_codes for answer in answers if answer.backup_codes]
        assert len(shown) == 1, answers
        assert are_unused_codes(site, user, shown[0])
        user.backup_codes = shown[0]


def test_two_parallel_confirmations_of_one_setup_show_one_set_of_codes_which_is_valid(site: Site) -> None:
    for _ in range(ROUNDS):
        user = site.make_user(on=False)
        browser = Browser(site).sign_in(user)
        user.secret = browser.post(SETUP, {"password": PASSWORD}).key
        won, answers = confirm([browser, browser.copy()], [user, user])
        assert len(won) == 1, answers
        assert are_unused_codes(site, user, answers[won[0]].backup_codes)
        assert site.events(user) == ["turned_on"]


def test_of_two_setups_confirmed_in_parallel_only_the_one_that_shows_codes_is_on(site: Site) -> None:
    for _ in range(ROUNDS):
        user = site.make_user(on=False)
        browsers = [Browser(site).sign_in(user) for _ in range(2)]
        phones = [phone(user, browser.post(SETUP, {"password": PASSWORD}).key) for browser in browsers]
        won, answers = confirm(browsers, phones)
        assert len(won) == 1, answers
        assert are_unused_codes(site, user, answers[won[0]].backup_codes)
        assert site.orm("Authenticator.objects.get(user_id=pk).secret", pk=user.pk) == phones[won[0]].secret


def test_of_two_new_phones_confirmed_in_parallel_only_the_one_that_shows_codes_works(site: Site) -> None:
    for _ in range(ROUNDS):
        user = site.make_user()
        browsers = two_browsers(site, user)
        proof = proofs(user)
        phones = [phone(user, browsers[number].post(SETUP, proof[number]).key) for number in range(2)]
        won, answers = confirm(browsers, phones)
        assert len(won) == 1, answers
        user.backup_codes = answers[won[0]].backup_codes
        assert are_unused_codes(site, user, user.backup_codes)
        assert site.orm("Authenticator.objects.get(user_id=pk).secret", pk=user.pk) == phones[won[0]].secret


def test_only_one_of_a_parallel_turn_off_and_regeneration_happens(site: Site) -> None:
    for _ in range(ROUNDS):
        user = site.make_user()
        browsers = two_browsers(site, user)
        proof = proofs(user)
        paths = [DISABLE, REGENERATE]
        off, new = parallel(2, lambda number: browsers[number].post(paths[number], proof[number]))
        assert max(off.status, new.status) < 500, (off, new)
        is_on = bool(site.authenticator(user))
        assert is_on == bool(new.backup_codes), (off, new)
        assert not is_on or are_unused_codes(site, user, new.backup_codes)
        rows = site.orm("BackupCode.objects.filter(authenticator__user_id=pk).count()", pk=user.pk)
        assert rows == (10 if is_on else 0)
        done = [kind for kind in site.events(user) if kind != "backup_code_used"]
        assert done == (["codes_regenerated"] if is_on else ["turned_off"])


@pytest.mark.services
@pytest.mark.parametrize("change", ["turn on", "new codes", "new phone"])
def test_a_request_of_a_second_tab_does_not_lose_the_new_backup_codes(postgresql_site: Site, change: str) -> None:
    """Another tab sends a request after the change is committed and before its response arrives."""
    site = postgresql_site
    user = postgresql_site.make_user(on=change != "turn on")
    proof = {"password": PASSWORD}
    path = REGENERATE
    browser = Browser(site).sign_in(user, **({"backup_code": user.backup_codes[0]} if user.secret else {}))
    if user.secret:
        proof["backup_code"] = user.backup_codes[1]
    if change != "new codes":
        user.secret = browser.post(SETUP, proof).key
        proof = {"code": user.code()}
        path = VERIFY_SETUP
    version = site.authenticator(user).get("version")
    tab = browser.copy()

    def ask(number: int) -> Page:
        if number == 0:
            return browser.post(path, proof)
        wait_until(lambda: site.authenticator(user).get("version") != version, "the change")
        return tab.get(SETTINGS)

    with site.slow("twofactor_securityevent", seconds=1):
        answer, _ = parallel(2, ask)
    assert are_unused_codes(site, user, answer.backup_codes), answer
    assert browser.is_signed_in()


# --- Addresses ------------------------------------------------------------------------------------

CLAIMS = """[
    __import__('allauth.account.models').account.models.EmailConfirmationHMAC(
        EmailAddress.objects.create(user_id=pk, email=email, primary=User.objects.get(pk=pk).email == email)).key
    for pk in pks]"""


def test_only_one_of_two_accounts_can_confirm_the_same_address(site: Site) -> None:
    users = [site.make_user(on=False) for _ in range(2)]
    browsers = [Browser(site).sign_in(user) for user in users]
    for number in range(ROUNDS):
        address = f"shared{number}-{users[0].email}"
        keys = site.orm(CLAIMS, pks=[user.pk for user in users], email=address)
        answers = parallel(2, lambda i, keys=keys: browsers[i].post(f"/accounts/confirm-email/{keys[i]}/"))
        assert {answer.status for answer in answers} <= {302, 404}, answers
        assert site.orm("list(EmailAddress.objects.filter(email=e).values_list('verified'))", e=address) == [[True]]


def test_an_address_confirmed_and_made_primary_in_parallel_belongs_to_one_account(site: Site) -> None:
    """One account confirms the address while another confirms it and makes it primary."""
    users = [site.make_user(on=False) for _ in range(2)]
    browsers = [Browser(site).sign_in(user) for user in users]
    browsers[1].post("/accounts/2fa/reauthenticate/", {"password": PASSWORD})
    for number in range(ROUNDS):
        address = f"moved{number}-{users[0].email}"
        keys = site.orm(CLAIMS, pks=[user.pk for user in users], email=address)

        def act(i: int, keys: list[str] = keys, address: str = address) -> Page:
            page = browsers[i].post(f"/accounts/confirm-email/{keys[i]}/")
            return browsers[i].post("/accounts/email/", {"action_primary": "1", "email": address}) if i else page

        answers = parallel(2, act)
        assert {answer.status for answer in answers} <= {302, 404, 429}, answers
        rows = site.orm("list(EmailAddress.objects.filter(email=e).values_list('user', 'verified'))", e=address)
        owners = site.orm("list(User.objects.filter(email=e).values_list('pk', flat=True))", e=address)
        assert len(rows) == 1
        assert owners in ([], [rows[0][0]])


PRIMARY = """[
    [user.email, *EmailAddress.objects.filter(user=user, verified=True, primary=True).values_list('email', flat=True)]
    for user in User.objects.filter(pk=pk)][0]"""


def test_an_address_made_primary_and_removed_in_parallel_leaves_consistent_rows(site: Site) -> None:
    user = site.make_user(on=False)
    browser = Browser(site).sign_in(user)
    browser.post("/accounts/2fa/reauthenticate/", {"password": PASSWORD})
    tabs = [browser, browser.copy()]
    actions = ["action_primary", "action_remove"]
    for number in range(4 * ROUNDS):
        address = f"new{number}-{user.email}"
        site.orm("EmailAddress.objects.create(user_id=pk, email=e, verified=True)", pk=user.pk, e=address)
        site.orm("cache.clear()")  # resets allauth's limit of ten changes a minute
        answers = parallel(2, lambda i, e=address: tabs[i].post("/accounts/email/", {actions[i]: "1", "email": e}))
        assert {answer.status for answer in answers} == {302}, answers
        user_email, *primary = site.orm(PRIMARY, pk=user.pk)
        assert primary == [user_email]


LINKS = """[
    __import__('allauth.account.models').account.models.EmailConfirmationHMAC(
        EmailAddress.objects.get(email=email, user__email=user)).key
    for user in users]"""


def test_parallel_confirmation_links_give_an_address_to_at_most_one_account(site: Site) -> None:
    """A new account has the address, and another account adds it. All links and forms are used in parallel."""
    user = site.make_user(on=False)
    browser = Browser(site).sign_in(user)
    for number in range(2 * ROUNDS):
        address = f"all{number}-{user.email}"
        fields = {"full_name": "Owner", "language": "de", "password1": "basalt-9-Lantern-heron"}
        newcomer = Browser(site)
        elsewhere = Browser(site)
        newcomer.post("/accounts/signup/", {**fields, "email": address})
        site.orm("EmailAddress.objects.create(user_id=pk, email=email)", pk=user.pk, email=address)
        keys = site.orm(LINKS, email=address, users=[address, user.email])
        link, own = (f"/accounts/confirm-email/{key}/" for key in keys)
        posts = [
            lambda own=own: browser.post(own),
            lambda at=newcomer, link=link: at.post(link),
            lambda at=elsewhere, link=link, fields=fields: at.post(link, fields),
            lambda at=elsewhere, link=link: at.post(f"{link}not-me/"),
        ]
        answers = parallel(len(posts), lambda i, posts=posts: posts[i]())
        assert all(answer.status < 500 for answer in answers), answers
        rows = site.orm("list(EmailAddress.objects.filter(email=e).values_list('verified', flat=True))", e=address)
        assert rows in ([], [True]), answers


# --- Passwords and sessions -----------------------------------------------------------------------


def test_each_of_twenty_parallel_passwords_is_a_pending_sign_in_or_refused_by_a_limit(site: Site) -> None:
    """allauth refuses some with a message if it does not get its lock in the cache within a second."""
    for _ in range(ROUNDS):
        user = site.make_user()
        browsers = [Browser(site) for _ in range(20)]
        answers = parallel(20, lambda number: browsers[number].give_password(user))
        pending = [answer for answer in answers if answer.redirect_target == VERIFY_LOGIN]
        refused = [answer for answer in answers if "Too many" in answer.visible_text and answer.status < 500]
        assert pending
        assert len(pending) + len(refused) == 20, answers
        assert len({browser.session for browser in browsers if browser.session}) == len(pending)
        assert count_sign_ins(site, user) == 0


def test_fifty_users_can_sign_in_in_parallel(sqlite_site: Site) -> None:
    users = sqlite_site.make_users(50)
    browsers = parallel(50, lambda number: Browser(sqlite_site).begin_sign_in(users[number]))
    answers = parallel(50, lambda number: browsers[number].give_code(users[number].code()))
    assert winners(answers) == list(range(50))


def test_sign_out_ends_a_session_that_other_requests_write(site: Site) -> None:
    """A stolen session cannot be kept alive by parallel requests that save it."""
    user = site.make_user(on=False)
    for _ in range(ROUNDS):
        owner = Browser(site).sign_in(user)
        stolen = owner.copy()
        thieves = [owner.copy() for _ in range(11)]

        def act(number: int, owner: Browser = owner, thieves: list[Browser] = thieves) -> Page:
            if number == 0:
                return owner.post("/accounts/logout/")
            return thieves[number - 1].post(SETUP, {"password": PASSWORD})  # a setup in progress is in the session

        parallel(12, act)
        assert not stolen.is_signed_in(), "the session survived the sign-out"
