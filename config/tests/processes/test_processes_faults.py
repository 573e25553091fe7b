"""Faults of the mail server, the database, the SQLite lock and the server process lose no data."""

import os
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest

from config.tests.processes import site_helpers
from config.tests.processes.databases import new_database, unreachable
from config.tests.processes.running_site import Site, parallel, serving, wait_until
from twofactor.tests.journeys import (
    DISABLE,
    LOGIN,
    PASSWORD,
    REGENERATE,
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
    SiteUser,
    backup_codes_on,
    confirm_setup,
    copy_of,
    give_code,
    give_password,
    is_signed_in,
    key_on,
    post,
    redirect_target,
    start_setup,
    turn_on,
    visible_text,
)

# --- The mail server ------------------------------------------------------------------------------


@pytest.mark.parametrize("is_listening", [False, True], ids=["refuses", "hangs"])
def test_a_failing_mail_server_neither_blocks_nor_undoes_a_change(is_listening: bool) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # no other process gets the port
        if is_listening:
            taken.listen(100)
        with serving(EMAIL_URL=f"smtp://127.0.0.1:{taken.getsockname()[1]}") as site:
            user = site.make_user(on=False)
            turn_on(site.signed_in(user), user)
            client = site.signed_in(user, backup_code=user.backup_codes[0])
            proof = {"password": PASSWORD, "backup_code": user.backup_codes[1]}
            new = backup_codes_on(post(client, REGENERATE, proof))
            assert len(new) == 10
            assert redirect_target(post(client, DISABLE, proof | {"backup_code": new[0]})) == SETTINGS
            used = "backup_code_used"
            assert site.events(user) == ["turned_on", used, used, "codes_regenerated", used, "turned_off"]
            assert not site.authenticator(user)
            if is_listening:
                assert "email not sent" not in site.log_text(), "a response waited for the timeout of an email"
            else:
                wait_until(lambda: "email not sent" in site.log_text(), "the log message of an email that was not sent")
            site.kill()  # SIGTERM would wait five seconds for the emails


# --- An unreachable database ----------------------------------------------------------------------


@pytest.mark.services
def test_without_its_database_the_site_answers_503_and_it_recovers_by_itself() -> None:
    name = f"twofactor_gone_{os.getpid()}"
    with new_database(name) as url, serving(DATABASE_URL=url) as site:
        user = site.make_user()
        client = site.signed_in(user, code=user.code())
        with unreachable(name):
            page = client.get(SETTINGS)
            assert page.status_code == 503
            assert "Something went wrong" in visible_text(page)
            assert give_password(site.client(), user).status_code == 503
            assert client.get("/healthz").status_code == 503
            assert site.client().get(LOGIN).status_code == 200, "a page that needs no database"
        wait_until(lambda: client.get("/healthz").status_code == 200, "the site to reach its database")
        assert is_signed_in(client)
        site.pending(user)


# --- The SQLite lock ------------------------------------------------------------------------------


@contextmanager
def write_lock(site: Site, *, seconds: float) -> Iterator[None]:
    """Hold the write lock of the site's SQLite file for this long."""
    with closing(sqlite3.connect(site.database, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        release = threading.Timer(seconds, writer.rollback)
        release.start()
        try:
            yield
        finally:
            release.join()


def test_requests_wait_for_another_writer(sqlite_site: Site) -> None:
    site = sqlite_site
    new, pending, turns_off = site.make_users(3)
    turns_on, turning_on = user_in_setup(site)
    turning_off = site.signed_in(turns_off, backup_code=turns_off.backup_codes[0])
    proof = {"password": PASSWORD, "backup_code": turns_off.backup_codes[1]}
    waiting = site.pending(pending)
    requests: list[Callable[[], httpx.Response]] = [
        lambda: give_password(site.client(), new),
        lambda: give_code(waiting, pending.code()),
        lambda: post(turning_on, VERIFY_SETUP, {"code": turns_on.code()}),
        lambda: post(turning_off, DISABLE, proof),
        lambda: site.client().get(LOGIN),
    ]
    with write_lock(site, seconds=1):
        pages = parallel(len(requests), lambda number: requests[number]())
    assert [page.status_code for page in pages] == [302, 302, 200, 302, 200]
    assert redirect_target(pages[0]) == VERIFY_LOGIN
    assert is_signed_in(waiting)
    assert len(backup_codes_on(pages[2])) == 10 == site.unused_codes(turns_on)
    assert not site.authenticator(turns_off)


def test_a_request_that_meets_a_locked_database_gets_503_and_changes_nothing(sqlite_site: Site) -> None:
    site = sqlite_site
    pending, turns_off = site.make_users(2)
    turns_on, turning_on = user_in_setup(site)
    turning_off = site.signed_in(turns_off, backup_code=turns_off.backup_codes[0])
    proof = {"password": PASSWORD, "backup_code": turns_off.backup_codes[1]}
    waiting = site.pending(pending)
    requests: list[Callable[[], httpx.Response]] = [
        lambda: give_password(site.client(), pending),
        lambda: give_code(waiting, pending.code()),
        lambda: post(turning_on, VERIFY_SETUP, {"code": turns_on.code()}),
        lambda: post(turning_off, DISABLE, proof),
    ]
    with closing(sqlite3.connect(site.database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        pages = parallel(len(requests), lambda number: requests[number]())
    assert [page.status_code for page in pages] == [503] * len(requests)
    assert all("Something went wrong" in visible_text(page) for page in pages)
    assert not is_signed_in(waiting)
    assert not site.authenticator(turns_on)
    assert site.authenticator(turns_off)
    pages = [request() for request in requests]
    assert [page.status_code for page in pages] == [302, 302, 200, 302], "the second try is not the first"


# --- A killed server ------------------------------------------------------------------------------


def user_in_setup(site: Site) -> tuple[SiteUser, httpx.Client]:
    """Return a user in step 2 of the setup, and their client."""
    user = site.make_user(on=False)
    client = site.signed_in(user)
    user.secret = start_setup(client)
    return user, client


def is_slow(site: Site) -> bool:
    return site.call(site_helpers.is_slow)


def send_and_kill(
    site: Site,
    client: httpx.Client,
    path: str,
    fields: dict[str, str],
    *,
    slow: str,
    operation: str = "INSERT",
    when: Callable[[], object],
) -> None:
    """Post these fields, kill the server during the INSERT into the table `slow`, and start it again."""
    lost: list[Exception] = []

    def send() -> None:
        try:
            post(copy_of(client), path, fields)
        except httpx.TransportError as error:
            lost.append(error)

    sender = threading.Thread(target=send)
    with site.slow(slow, seconds=20, operation=operation):
        sender.start()
        wait_until(lambda: when() and is_slow(site), "the change to be in progress")
        site.kill()
        sender.join(60)
        assert lost, "the response arrived before the server was killed"
        site.start()
        wait_until(lambda: not is_slow(site), "the killed transaction to be rolled back")


def test_2fa_stays_off_if_the_server_is_killed_while_turning_it_on(site_to_stop: Site) -> None:
    site = site_to_stop
    user, client = user_in_setup(site)
    code = {"code": user.code()}
    send_and_kill(site, client, VERIFY_SETUP, code, slow="twofactor_backupcode", when=lambda: True)
    assert not site.authenticator(user)
    assert site.unused_codes(user) == 0
    assert is_signed_in(client)
    assert key_on(client.get(SETUP)) == user.secret
    assert len(confirm_setup(client, user)) == 10


def test_2fa_is_completely_on_if_the_server_is_killed_right_after_turning_it_on(site_to_stop: Site) -> None:
    """The backup codes were not shown. The authenticator app has the key, so the user can make new ones."""
    site = site_to_stop
    user, client = user_in_setup(site)
    code = {"code": user.code()}
    send_and_kill(
        site, client, VERIFY_SETUP, code, slow="twofactor_securityevent", when=lambda: site.authenticator(user)
    )
    assert site.unused_codes(user) == 10
    site.reset_throttle(user)
    again = site.signed_in(user, code=user.code())
    site.reset_throttle(user)
    assert len(backup_codes_on(post(again, REGENERATE, {"password": PASSWORD, "code": user.code()}))) == 10
    assert not is_signed_in(client), "a session from before the second factor is signed in"


def test_2fa_stays_on_if_the_server_is_killed_while_turning_it_off(site_to_stop: Site) -> None:
    site = site_to_stop
    user = site.make_user()
    client = site.signed_in(user, backup_code=user.backup_codes[0])
    proof = {"password": PASSWORD, "backup_code": user.backup_codes[1]}
    # The use of the backup code is committed. The change has deleted the rows, and is about to renew the session.
    used = ["backup_code_used"] * 2
    when: dict[str, Any] = {"slow": "django_session", "operation": "UPDATE", "when": lambda: site.events(user) == used}
    send_and_kill(site, client, DISABLE, proof, **when)
    assert site.unused_codes(user) == 8
    assert site.authenticator(user)
    assert is_signed_in(client)
    site.signed_in(user, code=user.code())


# --- A restart ------------------------------------------------------------------------------------


def test_the_delay_survives_a_restart_cleared_limits_and_another_browser(site_to_stop: Site) -> None:
    site = site_to_stop
    user = site.make_user()
    site.call(site_helpers.set_authenticator, user.pk, failures=9)
    give_code(site.pending(user), user.wrong_code())  # the tenth failure delays codes for 16 minutes
    site.call(site_helpers.clear_limits)
    site.restart()
    assert give_code(site.pending(user), user.code()).status_code == 429
