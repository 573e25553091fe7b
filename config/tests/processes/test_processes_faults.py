"""Faults of the mail server, the database, the SQLite lock and the server process lose no data."""

import os
import socket
import sqlite3
import threading
from contextlib import closing

import httpx
import pytest

from config.tests.processes import site_helpers
from config.tests.processes.databases import new_database, unreachable
from config.tests.processes.running_site import parallel, serving, wait_until
from twofactor.tests.constants import (
    DISABLE,
    LOGIN,
    PASSWORD,
    REGENERATE,
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
)
from twofactor.tests.journeys import (
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


@pytest.mark.parametrize("is_listening", [False, True], ids=["refuses", "hangs"])
def test_a_failing_mail_server_neither_blocks_nor_undoes_a_change(is_listening):
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
            assert not site.second_factor(user)
            if is_listening:
                assert "email not sent" not in site.log_text(), "a response waited for the timeout of an email"
            else:
                wait_until(lambda: "email not sent" in site.log_text(), "the log message of an email that was not sent")
            site.kill()  # SIGTERM would wait five seconds for the emails


@pytest.mark.usefixtures("postgresql_url")
def test_without_its_database_the_site_answers_503_and_it_recovers_by_itself():
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


class WaitingRequests:
    """Four users, of whom each is about to send the request that writes."""

    def __init__(self, site):
        new, pending, self.turns_off = site.make_users(3)
        self.turns_on, turning_on = user_in_setup(site)
        code = self.turns_off.backup_codes
        turning_off = site.signed_in(self.turns_off, backup_code=code[0])
        self.waiting = site.pending(pending)
        self.requests = [
            lambda: give_password(site.client(), new),
            lambda: give_code(self.waiting, pending.code()),
            lambda: confirm_setup(turning_on, self.turns_on),
            lambda: post(turning_off, DISABLE, {"password": PASSWORD, "backup_code": code[1]}),
            lambda: site.client().get(LOGIN),
        ]

    def send(self):
        return parallel(lambda request: request(), self.requests)


@pytest.fixture
def lock(sqlite_site):
    """A connection that can hold the write lock of the site's SQLite file."""
    with closing(sqlite3.connect(sqlite_site.database, isolation_level=None, check_same_thread=False)) as writer:
        yield writer


def assert_all_changed(site, requests, pages):
    assert [page.status_code for page in pages] == [302, 302, 200, 302, 200]
    assert redirect_target(pages[0]) == VERIFY_LOGIN
    assert is_signed_in(requests.waiting)
    assert len(backup_codes_on(pages[2])) == 10 == site.unused_codes(requests.turns_on)
    assert not site.second_factor(requests.turns_off)


def test_requests_wait_for_another_writer(sqlite_site, lock):
    requests = WaitingRequests(sqlite_site)
    lock.execute("BEGIN IMMEDIATE")
    release = threading.Timer(1, lock.rollback)
    release.start()
    pages = requests.send()
    release.join()
    assert_all_changed(sqlite_site, requests, pages)


def test_a_request_that_meets_a_locked_database_gets_503_and_changes_nothing(sqlite_site, lock):
    requests = WaitingRequests(sqlite_site)
    lock.execute("BEGIN IMMEDIATE")
    *writes, read = requests.send()
    lock.rollback()
    assert [page.status_code for page in writes] == [503] * 4
    assert all("Something went wrong" in visible_text(page) for page in writes)
    assert read.status_code == 200
    assert not is_signed_in(requests.waiting)
    assert not sqlite_site.second_factor(requests.turns_on)
    assert sqlite_site.second_factor(requests.turns_off)
    assert_all_changed(sqlite_site, requests, [request() for request in requests.requests])


# --- A killed server ------------------------------------------------------------------------------


def user_in_setup(site):
    """Return a user in step 2 of the setup, and their client."""
    user = site.make_user(on=False)
    client = site.signed_in(user)
    user.secret = start_setup(client)
    return user, client


def send_and_kill(site, client, path, fields, *, slow, operation="INSERT", when=lambda: True):
    """Post these fields, kill the server during the INSERT into the table `slow`, and start it again."""
    lost = []

    def send():
        try:
            post(copy_of(client), path, fields)
        except httpx.TransportError as error:
            lost.append(error)

    sender = threading.Thread(target=send)
    with site.slow(slow, seconds=20, operation=operation):
        sender.start()
        wait_until(lambda: when() and site.call(site_helpers.is_slow), "the change to be in progress")
        site.kill()
        sender.join(60)
        assert lost, "the response arrived before the server was killed"
        site.start()
        wait_until(lambda: not site.call(site_helpers.is_slow), "the killed transaction to be rolled back")


def test_2fa_stays_off_if_the_server_is_killed_while_turning_it_on(site):
    user, client = user_in_setup(site)
    send_and_kill(site, client, VERIFY_SETUP, {"code": user.code()}, slow="twofactor_backupcode")
    assert not site.second_factor(user)
    assert site.unused_codes(user) == 0
    assert is_signed_in(client)
    assert key_on(client.get(SETUP)) == user.secret
    assert len(backup_codes_on(confirm_setup(client, user))) == 10


def test_2fa_is_completely_on_if_the_server_is_killed_right_after_turning_it_on(site):
    """The backup codes were not shown. The authenticator app has the key, so the user can make new ones."""
    user, client = user_in_setup(site)
    when = {"slow": "twofactor_securityevent", "when": lambda: site.second_factor(user)}
    send_and_kill(site, client, VERIFY_SETUP, {"code": user.code()}, **when)
    assert site.unused_codes(user) == 10
    site.reset_throttle(user)
    again = site.signed_in(user, code=user.code())
    site.reset_throttle(user)
    assert len(backup_codes_on(post(again, REGENERATE, {"password": PASSWORD, "code": user.code()}))) == 10
    assert not is_signed_in(client), "a session from before the second factor is signed in"


def test_2fa_stays_on_if_the_server_is_killed_while_turning_it_off(site):
    user = site.make_user()
    client = site.signed_in(user, backup_code=user.backup_codes[0])
    proof = {"password": PASSWORD, "backup_code": user.backup_codes[1]}
    # The use of the backup code is committed. The change has deleted the rows, and is about to renew the session.
    used = ["backup_code_used"] * 2
    when = {"slow": "django_session", "operation": "UPDATE", "when": lambda: site.events(user) == used}
    send_and_kill(site, client, DISABLE, proof, **when)
    assert site.unused_codes(user) == 8
    assert site.second_factor(user)
    assert is_signed_in(client)
    site.signed_in(user, code=user.code())


def test_the_delay_survives_a_restart_cleared_limits_and_another_browser(site):
    user = site.make_user()
    site.call(site_helpers.set_second_factor, user.pk, failures=9)
    give_code(site.pending(user), user.wrong_code())  # the tenth failure delays codes for 16 minutes
    site.call(site_helpers.clear_limits)
    site.restart()
    assert give_code(site.pending(user), user.code()).status_code == 429
