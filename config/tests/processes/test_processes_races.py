"""Race conditions: parallel requests to two processes use nothing twice and leave no partial change.

Each race runs TEST_ROUNDS times (3 by default), on SQLite and on PostgreSQL.
"""

import time
from collections.abc import Callable

import httpx
import pytest

from config.tests.processes import site_helpers
from config.tests.processes.running_site import ROUNDS, Site, parallel, wait_until
from twofactor.tests.journeys import (
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
    start_setup,
    visible_text,
)

Send = Callable[[httpx.Client, int], httpx.Response]


class SignInPool:
    """24 pending sign-ins of one user, each with its own session and IP address."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.user = site.make_user()
        self.began = time.monotonic()
        self.clients = [site.pending(self.user) for _ in range(24)]

    def send(self, count: int, give: Send) -> list[httpx.Response]:
        for client in self.clients[:count]:
            client.headers["X-Forwarded-For"] = new_address()  # to stay below the limit of the source
        return parallel(count, lambda number: give(self.clients[number], number))

    def restart(self, numbers: list[int]) -> None:
        """Start new pending sign-ins in place of the completed ones."""
        for number in numbers:
            self.clients[number] = self.site.pending(self.user)


@pytest.fixture(scope="module")
def _pools() -> dict[str, SignInPool]:
    return {}


@pytest.fixture
def pool(site: Site, _pools: dict[str, SignInPool]) -> SignInPool:
    """The pool of this site, with a reset throttle and all codes unused."""
    pool = _pools.get(site.base)
    if pool is None or time.monotonic() - pool.began > 240:  # pending sign-ins end after ten minutes
        pool = _pools[site.base] = SignInPool(site)
    site.reset_throttle(pool.user)
    site.call(site_helpers.make_backup_codes_unused, pool.user.pk)
    return pool


def count_sign_ins(site: Site, user: SiteUser) -> int:
    return site.call(site_helpers.count_sessions, user.pk)


def winners(pages: list[httpx.Response]) -> list[int]:
    """Return the numbers of the requests that signed in. All others must be refused without a server error."""
    assert all(page.status_code in (302, 400, 422, 429) for page in pages), pages
    return [number for number, page in enumerate(pages) if redirect_target(page) == "/"]


def statuses(pages: list[httpx.Response]) -> list[int]:
    return [page.status_code for page in pages]


def wrong_backup_code(client: httpx.Client, number: int) -> httpx.Response:
    return give_backup_code(client, f"0000-0000-0000-{number:04}")


# --- One code, many requests ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["code", "backup_code"])
def test_one_code_completes_one_of_twenty_pending_sign_ins(site: Site, pool: SignInPool, kind: str) -> None:
    user = pool.user
    before = count_sign_ins(site, user)
    for round_number in range(1, ROUNDS + 1):
        site.reset_throttle(user)
        site.call(site_helpers.make_backup_codes_unused, user.pk)
        proof = {kind: user.code() if kind == "code" else user.backup_codes[round_number % 10]}
        won = winners(pool.send(20, lambda client, _: post(client, VERIFY_LOGIN, proof)))
        assert len(won) == 1
        assert count_sign_ins(site, user) == before + round_number
        assert site.unused_codes(user) == (10 if kind == "code" else 9)
        assert is_signed_in(pool.clients[won[0]])
        assert not is_signed_in(pool.clients[won[0] - 1])
        pool.restart(won)


def test_one_code_sent_twenty_times_by_one_pending_sign_in_signs_in_once(site: Site) -> None:
    user = site.make_user()
    for round_number in range(1, ROUNDS + 1):
        client = site.pending(user)
        site.reset_throttle(user)
        code = user.code()
        tabs = [copy_of(client) for _ in range(20)]
        won = winners(parallel(20, lambda number: give_code(tabs[number], code)))
        assert len(won) == 1
        assert count_sign_ins(site, user) == round_number
        assert is_signed_in(tabs[won[0]])
        assert not is_signed_in(client), "the key of the pending sign-in is signed in"


def test_two_parallel_backup_codes_are_both_accepted(site: Site, pool: SignInPool) -> None:
    for _ in range(ROUNDS):
        site.call(site_helpers.make_backup_codes_unused, pool.user.pk)
        codes = pool.user.backup_codes
        won = winners(pool.send(2, lambda client, number: give_backup_code(client, codes[number])))
        assert won == [0, 1]
        assert site.unused_codes(pool.user) == 8
        pool.restart(won)


def test_one_code_is_accepted_for_a_sign_in_or_a_change_but_not_both(site: Site) -> None:
    for _ in range(ROUNDS):
        user = site.make_user()
        owner = site.signed_in(user, backup_code=user.backup_codes[0])
        pending = site.pending(user)
        code = user.code()
        version = site.authenticator(user)["version"]
        proof = {"password": PASSWORD, "code": code}
        signed_in, new = parallel(2, lambda n: post(owner, REGENERATE, proof) if n else give_code(pending, code))
        is_changed = site.authenticator(user)["version"] != version
        assert (redirect_target(signed_in) == "/") != is_changed
        assert len(backup_codes_on(new)) == (10 if is_changed else 0)


def test_a_correct_code_sent_twice_is_not_recorded_as_wrong(site: Site) -> None:
    """The second request arrives while the first one completes the sign-in."""
    user = site.make_user()
    client = site.pending(user)
    code = user.code()
    tabs = [copy_of(client), copy_of(client)]

    def give(number: int) -> httpx.Response:
        if number == 1:
            wait_until(lambda: site.call(site_helpers.count_completed_sign_ins), "the first code to be accepted")
        return give_code(tabs[number], code)

    site.call(site_helpers.clear_limits)
    with site.slow("usersessions_usersession", seconds=1):
        first, second = parallel(2, give)
    assert redirect_target(first) == "/"
    assert second.status_code < 400
    assert is_signed_in(tabs[0])
    assert site.events(user) == []


# --- Limits ---------------------------------------------------------------------------------------


def test_at_most_five_of_24_parallel_wrong_codes_are_checked(site: Site, pool: SignInPool) -> None:
    user = pool.user
    codes = [user.wrong_code(number) for number in range(24)]
    for _ in range(ROUNDS):
        site.reset_throttle(user)
        pages = pool.send(24, lambda client, number: give_code(client, codes[number]))
        row = site.authenticator(user)
        checked = statuses(pages).count(422)
        assert winners(pages) == []
        assert 1 <= checked <= 5
        assert statuses(pages).count(429) == 24 - checked
        assert row["failures"] == row["budget_spent"] == site.call(site_helpers.count_tries_of_sign_ins) == checked
        assert all(1 <= int(page.headers["Retry-After"]) <= 30 for page in pages if page.status_code == 429)


def test_parallel_wrong_codes_do_not_exceed_the_budget(site: Site, pool: SignInPool) -> None:
    user = pool.user
    codes = [user.wrong_code(number) for number in range(24)]
    for _ in range(ROUNDS):
        site.reset_throttle(user)
        site.call(site_helpers.set_authenticator, user.pk, budget_spent=98, budget_began=int(time.time()))
        pages = pool.send(24, lambda client, number: give_code(client, codes[number]))
        assert 1 <= statuses(pages).count(422) == site.authenticator(user)["budget_spent"] - 98 <= 2


def test_five_of_24_parallel_wrong_codes_of_one_pending_sign_in_are_checked(site: Site) -> None:
    """Backup codes are not throttled by the account, so only the five tries of the pending sign-in apply."""
    user = site.make_user()
    for _ in range(ROUNDS):
        client = site.pending(user)
        tabs = [copy_of(client) for _ in range(24)]
        assert winners(parallel(24, lambda number: wrong_backup_code(tabs[number], number))) == []
        assert not has_pending_sign_in(client), "the pending sign-in outlived five wrong codes"
    assert site.log_text().count(f"user={user.pk} factor=backup why=wrong_backup_code") == 5 * ROUNDS


def test_at_most_twenty_of_32_parallel_wrong_codes_from_one_address_are_checked(site: Site) -> None:
    """Four codes for each of eight accounts, so that no limit of an account or sign-in applies."""
    pending = [site.pending(user) for user in site.make_users(8)]
    tabs = [copy_of(client) for client in pending for _ in range(4)]
    for tab in tabs:
        tab.headers["X-Forwarded-For"] = pending[0].headers["X-Forwarded-For"]
    pages = parallel(32, lambda number: wrong_backup_code(tabs[number], number))
    assert winners(pages) == []
    assert 1 <= statuses(pages).count(422) <= 20


def test_at_most_five_of_24_parallel_wrong_codes_in_a_setup_are_checked(site: Site) -> None:
    client = site.signed_in(site.make_user(on=False))
    start_setup(client)
    tabs = [copy_of(client) for _ in range(24)]
    pages = parallel(24, lambda number: post(tabs[number], VERIFY_SETUP, {"code": f"0000{number:02}"}))
    assert statuses(pages).count(422) <= 5


def test_ten_of_24_parallel_wrong_passwords_are_checked_and_the_owner_is_notified_once(site: Site) -> None:
    for _ in range(ROUNDS):
        user = site.make_user()
        thief = site.signed_in(user, backup_code=user.backup_codes[0])
        tabs = [copy_of(thief) for _ in range(24)]
        proof = {"password": "not-the-password", "code": user.wrong_code()}
        parallel(24, lambda number: post(tabs[number], DISABLE, proof))
        assert not is_signed_in(thief)
        assert site.log_text().count(f"event=password_refused user={user.pk} ") == 10
        assert site.events(user) == ["backup_code_used", "wrong_passwords"]


# --- Changes --------------------------------------------------------------------------------------


def two_clients(site: Site, user: SiteUser, *, one_session: bool = False) -> list[httpx.Client]:
    """Return two signed-in clients of the user, or two tabs of one session."""
    first = site.signed_in(user, backup_code=user.backup_codes[8])
    return [first, copy_of(first) if one_session else site.signed_in(user, backup_code=user.backup_codes[9])]


def proof(user: SiteUser, number: int) -> dict[str, str]:
    return {"password": PASSWORD, "backup_code": user.backup_codes[number]}


def assert_one_shows_valid_codes(site: Site, user: SiteUser, pages: list[httpx.Response]) -> int:
    """Assert that one response shows ten codes, which are the user's. Return its number."""
    assert max(statuses(pages)) < 500, pages
    (won,) = (number for number, page in enumerate(pages) if backup_codes_on(page))
    shown = backup_codes_on(pages[won])
    assert len(shown) == 10
    assert site.call(site_helpers.are_unused_codes, user.pk, shown)
    return won


def confirm(clients: list[httpx.Client], user: SiteUser, keys: list[str]) -> list[httpx.Response]:
    """Confirm both setups in parallel."""
    codes = [SiteUser(user.pk, user.email, key).code() for key in keys]
    return parallel(2, lambda number: post(clients[number], VERIFY_SETUP, {"code": codes[number]}))


@pytest.mark.parametrize("one_session", [True, False], ids=["two tabs", "two browsers"])
def test_two_parallel_regenerations_show_one_set_of_codes_which_is_valid(site: Site, one_session: bool) -> None:
    for _ in range(ROUNDS):
        user = site.make_user()
        clients = two_clients(site, user, one_session=one_session)
        pages = parallel(2, lambda number: post(clients[number], REGENERATE, proof(user, number)))
        assert_one_shows_valid_codes(site, user, pages)


def test_two_parallel_confirmations_of_one_setup_show_one_set_of_codes_which_is_valid(site: Site) -> None:
    for _ in range(ROUNDS):
        user = site.make_user(on=False)
        client = site.signed_in(user)
        key = start_setup(client)
        assert_one_shows_valid_codes(site, user, confirm([client, copy_of(client)], user, [key, key]))
        assert site.events(user) == ["turned_on"]


@pytest.mark.parametrize("on", [False, True], ids=["turn on", "new phone"])
def test_of_two_setups_confirmed_in_parallel_only_the_one_that_shows_codes_works(site: Site, on: bool) -> None:
    for _ in range(ROUNDS):
        user = site.make_user(on=on)
        clients = two_clients(site, user) if on else [site.signed_in(user) for _ in range(2)]
        keys = [start_setup(client, **(proof(user, number) if on else {})) for number, client in enumerate(clients)]
        won = assert_one_shows_valid_codes(site, user, confirm(clients, user, keys))
        assert site.call(site_helpers.secret_of, user.pk) == keys[won]


def test_only_one_of_a_parallel_turn_off_and_regeneration_happens(site: Site) -> None:
    for _ in range(ROUNDS):
        user = site.make_user()
        clients = two_clients(site, user)
        paths = [DISABLE, REGENERATE]
        off, new = parallel(2, lambda number: post(clients[number], paths[number], proof(user, number)))
        is_on = bool(site.authenticator(user))
        assert max(off.status_code, new.status_code) < 500
        assert is_on == bool(backup_codes_on(new))
        assert not is_on or site.call(site_helpers.are_unused_codes, user.pk, backup_codes_on(new))
        assert site.call(site_helpers.count_backup_codes, user.pk, unused=False) == (10 if is_on else 0)
        done = [kind for kind in site.events(user) if kind != "backup_code_used"]
        assert done == (["codes_regenerated"] if is_on else ["turned_off"])


@pytest.mark.services
@pytest.mark.parametrize("change", ["turn on", "new codes", "new phone"])
def test_a_request_of_a_second_tab_does_not_lose_the_new_backup_codes(postgresql_site: Site, change: str) -> None:
    """Another tab sends a request after the change is committed and before its response arrives."""
    site = postgresql_site
    user = site.make_user(on=change != "turn on")
    client = site.signed_in(user, **({"backup_code": user.backup_codes[0]} if user.secret else {}))
    path, fields = REGENERATE, {"password": PASSWORD} | (proof(user, 1) if user.secret else {})
    if change != "new codes":
        user.secret = start_setup(client, **fields)
        path, fields = VERIFY_SETUP, {"code": user.code()}
    version = site.authenticator(user).get("version")
    tab = copy_of(client)

    def ask(number: int) -> httpx.Response:
        if number == 0:
            return post(client, path, fields)
        wait_until(lambda: site.authenticator(user).get("version") != version, "the change")
        return tab.get(SETTINGS)

    with site.slow("twofactor_securityevent", seconds=1):
        page, _ = parallel(2, ask)
    assert_one_shows_valid_codes(site, user, [page])
    assert is_signed_in(client)


# --- Addresses ------------------------------------------------------------------------------------


def confirm_link(client: httpx.Client, key: str, fields: dict[str, str] | None = None) -> httpx.Response:
    return post(client, f"/accounts/confirm-email/{key}/", fields)


@pytest.mark.parametrize("makes_primary", [False, True], ids=["confirmed", "confirmed and made primary"])
def test_only_one_of_two_accounts_can_confirm_the_same_address(site: Site, makes_primary: bool) -> None:
    users = site.make_users(2, on=False)
    clients = [site.signed_in(user) for user in users]
    post(clients[1], REAUTHENTICATE, {"password": PASSWORD})
    for number in range(ROUNDS):
        address = f"shared{number}-{users[0].email}"
        keys = [site.call(site_helpers.add_address, user.pk, address) for user in users]

        def act(i: int) -> httpx.Response:
            page = confirm_link(clients[i], keys[i])
            return post(clients[i], EMAIL, {"action_primary": "", "email": address}) if i and makes_primary else page

        assert set(statuses(parallel(2, act))) <= {302, 404, 429}
        ((owner, is_verified),) = site.call(site_helpers.addresses, address)
        assert is_verified
        assert site.call(site_helpers.owners, address) in ([], [owner])


def test_an_address_made_primary_and_removed_in_parallel_leaves_consistent_rows(site: Site) -> None:
    user = site.make_user(on=False)
    client = site.signed_in(user)
    post(client, REAUTHENTICATE, {"password": PASSWORD})
    tabs = [client, copy_of(client)]
    actions = ["action_primary", "action_remove"]
    for number in range(4 * ROUNDS):
        address = f"new{number}-{user.email}"
        site.call(site_helpers.add_address, user.pk, address, verified=True)
        site.call(site_helpers.clear_limits)  # among them allauth's limit of ten changes a minute
        pages = parallel(2, lambda i: post(tabs[i], EMAIL, {actions[i]: "", "email": address}))
        assert set(statuses(pages)) == {302}
        of_user, *primary = site.call(site_helpers.primary_addresses, user.pk)
        assert primary == [of_user]


def test_parallel_confirmation_links_give_an_address_to_at_most_one_account(site: Site) -> None:
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
        sends = [
            lambda: confirm_link(client, own),
            lambda: confirm_link(newcomer, link),
            lambda: confirm_link(elsewhere, link, fields),
            lambda: confirm_link(elsewhere, f"{link}/not-me"),
        ]
        assert max(statuses(parallel(len(sends), lambda i: sends[i]()))) < 500
        assert [verified for _, verified in site.call(site_helpers.addresses, address)] in ([], [True])


# --- Passwords and sessions -----------------------------------------------------------------------


def test_each_of_twenty_parallel_passwords_is_a_pending_sign_in_or_refused_by_a_limit(site: Site) -> None:
    """allauth refuses some with a message if it does not get its lock in the cache within a second."""
    for _ in range(ROUNDS):
        user = site.make_user()
        clients = [site.client() for _ in range(20)]
        pages = parallel(20, lambda number: give_password(clients[number], user))
        pending = [page for page in pages if redirect_target(page) == VERIFY_LOGIN]
        refused = [page for page in pages if "Too many" in visible_text(page) and page.status_code < 500]
        assert pending
        assert len(pending) + len(refused) == 20
        sessions = {client.cookies.get("sessionid") for client in clients} - {None}
        assert len(sessions) == len(pending)
        assert count_sign_ins(site, user) == 0


def test_fifty_users_can_sign_in_in_parallel(sqlite_site: Site) -> None:
    users = sqlite_site.make_users(50)
    clients = parallel(50, lambda number: sqlite_site.pending(users[number]))
    pages = parallel(50, lambda number: give_code(clients[number], users[number].code()))
    assert winners(pages) == list(range(50))


def test_sign_out_ends_a_session_that_other_requests_write(site: Site) -> None:
    """A stolen session cannot be kept alive by parallel requests that save it."""
    user = site.make_user(on=False)
    for _ in range(ROUNDS):
        owner = site.signed_in(user)
        stolen, *thieves = (copy_of(owner) for _ in range(12))

        def act(number: int) -> httpx.Response:
            # A setup in progress is stored in the session.
            return post(thieves[number - 1], SETUP, {"password": PASSWORD}) if number else post(owner, LOGOUT)

        parallel(12, act)
        assert not is_signed_in(stolen), "the session survived the sign-out"
