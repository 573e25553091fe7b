"""Race conditions: parallel requests to four processes use nothing twice and leave no partial change.

Each race runs TEST_ROUNDS times (3 by default), on SQLite and on PostgreSQL.
"""

import time

import pytest

from config.tests.processes import site_helpers
from config.tests.processes.running_site import ROUNDS, parallel, wait_until
from twofactor.limits import COMPLETED
from twofactor.tests.constants import (
    DISABLE,
    EMAIL,
    LOGOUT,
    PASSWORD,
    REAUTHENTICATE,
    REGENERATE,
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
)
from twofactor.tests.journeys import (
    SiteUser,
    backup_codes_on,
    copy_of,
    give_backup_code,
    give_code,
    give_password,
    has_pending_sign_in,
    is_signed_in,
    new_address,
    post,
    redirect_target,
    sign_in,
    start_setup,
    visible_text,
)


class SignInPool:
    """24 pending sign-ins of one user, each with its own session and IP address."""

    def __init__(self, site):
        self.site, self.user = site, site.make_user()
        self.began = time.monotonic()
        self.clients = [site.pending(self.user) for _ in range(24)]

    def send(self, give, values):
        clients = self.clients[: len(values)]
        for client in clients:
            client.headers["X-Forwarded-For"] = new_address()  # to stay below the limit of the source
        return parallel(give, clients, values)

    def restart(self, numbers):
        """Start new pending sign-ins in place of the completed ones."""
        for number in numbers:
            self.clients[number] = self.site.pending(self.user)


@pytest.fixture(scope="module")
def _pools():
    return {}


@pytest.fixture
def pool(site, _pools):
    """The pool of this site, with a reset throttle and all codes unused."""
    pool = _pools.get(site.base)
    if pool is None or time.monotonic() - pool.began > 240:  # pending sign-ins end after ten minutes
        pool = _pools[site.base] = SignInPool(site)
    site.reset_throttle(pool.user)
    site.call(site_helpers.make_backup_codes_unused, pool.user.pk)
    return pool


def count_sign_ins(site, user):
    """Count the user's UserSession rows. Each sign-in creates one; ending the session deletes it."""
    return len(site.rows("UserSession", user=user.pk))


def winners(pages):
    """Return the numbers of the requests that signed in. All others must be refused without a server error."""
    assert set(statuses(pages)) <= {302, 400, 422, 429}
    return [number for number, page in enumerate(pages) if redirect_target(page) == "/"]


def statuses(pages):
    return [page.status_code for page in pages]


def copies(client, count):
    return [copy_of(client) for _ in range(count)]


WRONG_BACKUP_CODES = [f"0000-0000-0000-{number:04}" for number in range(32)]

# --- One code, many requests ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["code", "backup_code"])
def test_one_code_completes_one_of_twenty_pending_sign_ins(site, pool, kind):
    user = pool.user
    before = count_sign_ins(site, user)
    for number in range(1, ROUNDS + 1):
        site.reset_throttle(user)
        site.call(site_helpers.make_backup_codes_unused, user.pk)
        proof = {kind: user.code() if kind == "code" else user.backup_codes[number % 10]}
        (won,) = winners(pool.send(lambda client, proof: post(client, VERIFY_LOGIN, proof), [proof] * 20))
        assert count_sign_ins(site, user) == before + number
        assert site.unused_codes(user) == (10 if kind == "code" else 9)
        assert is_signed_in(pool.clients[won])
        assert not is_signed_in(pool.clients[won - 1])
        pool.restart([won])


def test_one_code_sent_twenty_times_by_one_pending_sign_in_signs_in_once(site):
    user = site.make_user()
    for number in range(1, ROUNDS + 1):
        client = site.pending(user)
        site.reset_throttle(user)
        tabs = copies(client, 20)
        (won,) = winners(parallel(give_code, tabs, [user.code()] * 20))
        assert count_sign_ins(site, user) == number
        assert is_signed_in(tabs[won])
        assert not is_signed_in(client), "the key of the pending sign-in is signed in"


def test_two_parallel_backup_codes_are_both_accepted(site, pool):
    for _ in range(ROUNDS):
        site.call(site_helpers.make_backup_codes_unused, pool.user.pk)
        assert winners(pool.send(give_backup_code, pool.user.backup_codes[:2])) == [0, 1]
        assert site.unused_codes(pool.user) == 8
        pool.restart([0, 1])


def test_one_code_is_accepted_for_a_sign_in_or_a_change_but_not_both(site):
    for _ in range(ROUNDS):
        user = site.make_user()
        owner, pending = site.signed_in(user, backup_code=user.backup_codes[0]), site.pending(user)
        version = site.second_factor(user)["version"]
        proof = {"password": PASSWORD, "code": user.code()}
        signed_in, new = parallel(post, [pending, owner], [VERIFY_LOGIN, REGENERATE], [proof, proof])
        is_changed = site.second_factor(user)["version"] != version
        assert (redirect_target(signed_in) == "/") != is_changed
        assert len(backup_codes_on(new)) == (10 if is_changed else 0)


def test_a_correct_code_sent_twice_is_not_recorded_as_wrong(site):
    """The second request arrives while the first one completes the sign-in."""
    user = site.make_user()
    tabs = copies(site.pending(user), 2)
    code = user.code()

    def give(tab):
        if tab is tabs[1]:
            wait_until(lambda: site.rows("Limit", pk__startswith="sign_in:", hits=COMPLETED), "the first code")
        return give_code(tab, code)

    site.call(site_helpers.clear_limits)
    with site.slow("usersessions_usersession", seconds=1):
        first, second = parallel(give, tabs)
    assert redirect_target(first) == "/"
    assert second.status_code < 400
    assert is_signed_in(tabs[0])
    assert site.events(user) == []


# --- Limits ---------------------------------------------------------------------------------------


def test_at_most_five_of_24_parallel_wrong_codes_are_checked(site, pool):
    user = pool.user
    for _ in range(ROUNDS):
        site.reset_throttle(user)
        pages = pool.send(give_code, [user.wrong_code(number) for number in range(24)])
        row, tries = site.second_factor(user), site.rows("Limit", pk__startswith="sign_in:")
        checked = statuses(pages).count(422)
        assert 1 <= checked <= 5
        assert statuses(pages).count(429) == 24 - checked
        assert row["failures"] == row["budget_spent"] == sum(each["hits"] for each in tries) == checked
        assert all(1 <= int(page.headers["Retry-After"]) <= 30 for page in pages if page.status_code == 429)


def test_parallel_wrong_codes_do_not_exceed_the_budget(site, pool):
    user = pool.user
    for _ in range(ROUNDS):
        site.reset_throttle(user)
        site.call(site_helpers.set_second_factor, user.pk, budget_spent=98, budget_began=int(time.time()))
        pages = pool.send(give_code, [user.wrong_code(number) for number in range(24)])
        assert 1 <= statuses(pages).count(422) == site.second_factor(user)["budget_spent"] - 98 <= 2


def test_five_of_24_parallel_wrong_codes_of_one_pending_sign_in_are_checked(site):
    """Backup codes are not throttled by the account, so only the five tries of the pending sign-in apply."""
    user = site.make_user()
    for _ in range(ROUNDS):
        client = site.pending(user)
        assert winners(parallel(give_backup_code, copies(client, 24), WRONG_BACKUP_CODES[:24])) == []
        assert not has_pending_sign_in(client), "the pending sign-in outlived five wrong codes"
    assert site.log_text().count(f"user={user.pk} factor=backup why=wrong") == 5 * ROUNDS


def test_at_most_twenty_of_32_parallel_wrong_codes_from_one_address_are_checked(site):
    """Four codes for each of eight accounts, so that no limit of an account or sign-in applies."""
    tabs = [tab for user in site.make_users(8) for tab in copies(site.pending(user), 4)]
    for tab in tabs:
        tab.headers["X-Forwarded-For"] = tabs[0].headers["X-Forwarded-For"]
    pages = parallel(give_backup_code, tabs, WRONG_BACKUP_CODES)
    assert winners(pages) == []
    assert 1 <= statuses(pages).count(422) <= 20


def test_at_most_five_of_24_parallel_wrong_codes_in_a_setup_are_checked(site):
    client = site.signed_in(site.make_user(on=False))
    start_setup(client)
    wrong = [{"code": f"0000{number:02}"} for number in range(24)]
    assert statuses(parallel(post, copies(client, 24), [VERIFY_SETUP] * 24, wrong)).count(422) <= 5


def test_ten_of_24_parallel_wrong_passwords_are_checked_and_the_owner_is_notified_once(site):
    for _ in range(ROUNDS):
        user = site.make_user()
        thief = site.signed_in(user, backup_code=user.backup_codes[0])
        wrong = {"password": "not-the-password", "code": user.wrong_code()}
        parallel(post, copies(thief, 24), [DISABLE] * 24, [wrong] * 24)
        assert not is_signed_in(thief)
        assert site.log_text().count(f"event=password_refused user={user.pk} ") == 10
        assert site.events(user) == ["backup_code_used", "wrong_passwords"]


# --- Changes --------------------------------------------------------------------------------------


def two_clients(site, user):
    """Return two signed-in clients of the user."""
    return [site.signed_in(user, backup_code=code) for code in user.backup_codes[8:] or ["", ""]]


def proofs(user):
    """Return two proofs of the user, each with a backup code of its own if 2FA is on."""
    return [{"password": PASSWORD, "backup_code": code} for code in user.backup_codes[:2] or ["", ""]]


def assert_one_shows_valid_codes(site, user, pages):
    """Assert that one response shows ten codes, which are the user's. Return its number."""
    assert max(statuses(pages)) < 500, pages
    (won,) = (number for number, page in enumerate(pages) if backup_codes_on(page))
    shown = backup_codes_on(pages[won])
    assert len(shown) == 10
    assert site.call(site_helpers.are_unused_codes, user.pk, shown)
    return won


def confirm(clients, keys):
    """Confirm both setups in parallel."""
    fields = [{"code": SiteUser(0, "", key).code()} for key in keys]
    return parallel(post, clients, [VERIFY_SETUP] * 2, fields)


@pytest.mark.parametrize("one_session", [True, False], ids=["two tabs", "two browsers"])
def test_two_parallel_regenerations_show_one_set_of_codes_which_is_valid(site, one_session):
    for _ in range(ROUNDS):
        user = site.make_user()
        clients = two_clients(site, user)
        tabs = copies(clients[0], 2) if one_session else clients
        assert_one_shows_valid_codes(site, user, parallel(post, tabs, [REGENERATE] * 2, proofs(user)))


def test_two_parallel_confirmations_of_one_setup_show_one_set_of_codes_which_is_valid(site):
    for _ in range(ROUNDS):
        user = site.make_user(on=False)
        client = site.signed_in(user)
        key = start_setup(client)
        assert_one_shows_valid_codes(site, user, confirm(copies(client, 2), [key, key]))
        assert site.events(user) == ["turned_on"]


@pytest.mark.parametrize("on", [False, True], ids=["turn on", "new phone"])
def test_of_two_setups_confirmed_in_parallel_only_the_one_that_shows_codes_works(site, on):
    for _ in range(ROUNDS):
        user = site.make_user(on=on)
        clients = two_clients(site, user)
        keys = [start_setup(client, **proof) for client, proof in zip(clients, proofs(user), strict=True)]
        won = assert_one_shows_valid_codes(site, user, confirm(clients, keys))
        assert site.call(site_helpers.secret_of, user.pk) == keys[won]


def test_only_one_of_a_parallel_turn_off_and_regeneration_happens(site):
    for _ in range(ROUNDS):
        user = site.make_user()
        off, new = parallel(post, two_clients(site, user), [DISABLE, REGENERATE], proofs(user))
        is_on = bool(site.second_factor(user))
        assert max(off.status_code, new.status_code) < 500
        assert is_on == bool(backup_codes_on(new))
        assert not is_on or site.call(site_helpers.are_unused_codes, user.pk, backup_codes_on(new))
        assert len(site.rows("BackupCode", second_factor__user=user.pk)) == (10 if is_on else 0)
        done = [kind for kind in site.events(user) if kind != "backup_code_used"]
        assert done == (["codes_regenerated"] if is_on else ["turned_off"])


@pytest.mark.parametrize("change", [DISABLE, REGENERATE])
@pytest.mark.parametrize("kind", ["code", "backup_code"])
def test_a_sign_in_during_a_change_does_not_outlive_it(site, kind, change):
    for _ in range(ROUNDS):
        user = site.make_user()
        owner, pending = site.signed_in(user, backup_code=user.backup_codes[9]), site.pending(user)
        sign_in = {kind: user.code() if kind == "code" else user.backup_codes[1]}
        version = site.second_factor(user)["version"]
        parallel(post, [pending, owner], [VERIFY_LOGIN, change], [sign_in, proofs(user)[0]])
        assert site.second_factor(user).get("version") != version
        assert is_signed_in(owner)
        assert not is_signed_in(pending)


def test_a_reset_by_staff_waits_for_a_change_and_turns_2fa_off(postgresql_site):
    site = postgresql_site
    user = site.make_user()
    owner = site.signed_in(user, backup_code=user.backup_codes[9])

    def reset(pk):
        wait_until(lambda: site.call(site_helpers.is_slow), "the change")
        site.call(site_helpers.reset, pk)

    calls = [lambda: post(owner, REGENERATE, proofs(user)[0]), lambda: reset(user.pk)]
    with site.slow("twofactor_backupcode", seconds=1):
        page, _ = parallel(lambda call: call(), calls)
    assert page.status_code in (200, 400)  # 400 if the reset ended the session before the response
    assert not site.second_factor(user)
    assert not is_signed_in(owner)


@pytest.mark.parametrize("change", ["turn on", "new codes", "new phone"])
def test_a_request_of_a_second_tab_does_not_lose_the_new_backup_codes(postgresql_site, change):
    """Another tab sends a request after the change is committed and before its response arrives."""
    site = postgresql_site
    user = site.make_user(on=change != "turn on")
    client, _ = two_clients(site, user)
    path, fields = REGENERATE, proofs(user)[0]
    if change != "new codes":
        user.secret = start_setup(client, **fields)
        path, fields = VERIFY_SETUP, {"code": user.code()}
    version = site.second_factor(user).get("version")

    def request_settings(tab):
        wait_until(lambda: site.second_factor(user).get("version") != version, "the change")
        return tab.get(SETTINGS)

    requests = [lambda tab: post(tab, path, fields), request_settings]
    with site.slow("twofactor_securityevent", seconds=1):
        page, _ = parallel(lambda request, tab: request(tab), requests, [client, copy_of(client)])
    assert_one_shows_valid_codes(site, user, [page])
    assert is_signed_in(client)


# --- Addresses ------------------------------------------------------------------------------------


def confirm_link(client, key, fields=None):
    return post(client, f"/accounts/confirm-email/{key}/", fields)


@pytest.mark.parametrize("makes_primary", [False, True], ids=["confirmed", "confirmed and made primary"])
def test_only_one_of_two_accounts_can_confirm_the_same_address(site, makes_primary):
    users = site.make_users(2, on=False)
    clients = [site.signed_in(user) for user in users]
    post(clients[1], REAUTHENTICATE, {"password": PASSWORD})
    for number in range(ROUNDS):
        address = f"shared{number}-{users[0].email}"
        keys = [site.call(site_helpers.add_address, user.pk, address) for user in users]

        def act(client, key):
            page = confirm_link(client, key)
            is_next = makes_primary and client is clients[1]
            return post(client, EMAIL, {"action_primary": "", "email": address}) if is_next else page

        assert set(statuses(parallel(act, clients, keys))) <= {302, 404, 429}
        (row,) = site.rows("EmailAddress", email=address)
        assert row["verified"]
        assert [user["id"] for user in site.rows("User", email=address)] in ([], [row["user_id"]])


def test_an_address_made_primary_and_removed_in_parallel_leaves_consistent_rows(site):
    user = site.make_user(on=False)
    client = site.signed_in(user)
    post(client, REAUTHENTICATE, {"password": PASSWORD})
    for number in range(4 * ROUNDS):
        address = f"new{number}-{user.email}"
        site.call(site_helpers.add_address, user.pk, address, verified=True)
        site.call(site_helpers.clear_limits)  # among them allauth's limit of ten changes a minute
        forms = [{action: "", "email": address} for action in ("action_primary", "action_remove")]
        pages = parallel(post, [client, copy_of(client)], [EMAIL] * 2, forms)
        assert set(statuses(pages)) == {302}
        primary = site.rows("EmailAddress", user=user.pk, verified=True, primary=True)
        assert [row["email"] for row in primary] == [row["email"] for row in site.rows("User", pk=user.pk)]


def test_parallel_confirmation_links_give_an_address_to_at_most_one_account(site):
    """A new account has the address, and another account adds it. All links and forms are used in parallel."""
    user = site.make_user(on=False)
    client = site.signed_in(user)
    for number in range(2 * ROUNDS):
        address = f"all{number}-{user.email}"
        fields = {"full_name": "Owner", "language": "de", "password1": "basalt-9-Lantern-heron"}
        newcomer, elsewhere = site.client(), site.client()
        post(newcomer, "/accounts/signup/", {**fields, "email": address})
        own = site.call(site_helpers.add_address, user.pk, address)
        link = site.call(site_helpers.confirmation_key, address, address)
        clients, keys = [client, newcomer, elsewhere, elsewhere], [own, link, link, f"{link}/not-me"]
        assert max(statuses(parallel(confirm_link, clients, keys, [{}, {}, fields, {}]))) < 500
        assert [row["verified"] for row in site.rows("EmailAddress", email=address)] in ([], [True])


# --- Passwords and sessions -----------------------------------------------------------------------


def test_each_of_twenty_parallel_passwords_is_a_pending_sign_in_or_refused_by_a_limit(site):
    """allauth refuses some with a message if it does not get its lock in the cache within a second."""
    for _ in range(ROUNDS):
        user = site.make_user()
        clients = [site.client() for _ in range(20)]
        pages = parallel(give_password, clients, [user] * 20)
        pending = [page for page in pages if redirect_target(page) == VERIFY_LOGIN]
        refused = [page for page in pages if "Too many" in visible_text(page) and page.status_code < 500]
        assert pending
        assert len(pending) + len(refused) == 20
        assert len({client.cookies.get("sessionid") for client in clients} - {None}) == len(pending)
        assert count_sign_ins(site, user) == 0


def test_fifty_users_can_sign_in_in_parallel(sqlite_site):
    users = sqlite_site.make_users(50)
    clients = parallel(sqlite_site.pending, users)
    pages = parallel(lambda client, user: give_code(client, user.code()), clients, users)
    assert winners(pages) == list(range(50))


def test_five_of_twelve_parallel_sign_ins_from_new_browsers_are_emailed_and_one_says_that_it_is_the_last(site):
    for _ in range(ROUNDS):
        user = site.make_user(on=False)
        site.signed_in(user)
        clients = [site.client() for _ in range(12)]
        parallel(sign_in, clients, [user] * 12)
        kinds = [row["kind"] for row in site.rows("SecurityEvent", user=user.pk)]
        assert kinds == ["signed_in"] + ["new_browser"] * 12
        wait_until(lambda: len(site.emails_to(user)) >= 5, "the emails")
        emails = site.emails_to(user)
        assert len(emails) == 5
        assert sum("fifth" in email for email in emails) == 1


def test_sign_out_ends_a_session_that_other_requests_write(site):
    """A stolen session cannot be kept alive by parallel requests that save it."""
    user = site.make_user(on=False)
    for _ in range(ROUNDS):
        owner = site.signed_in(user)
        stolen, *thieves = copies(owner, 12)
        # A setup in progress is stored in the session.
        parallel(post, [owner, *thieves], [LOGOUT, *[SETUP] * 11], [{"password": PASSWORD}] * 12)
        assert not is_signed_in(stolen), "the session survived the sign-out"
