"""Faults of the mail server, Redis, the SQLite lock and the server process lose no data."""

import selectors
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from config.settings_test import TEST_REDIS
from config.tests.processes import site_helpers
from config.tests.processes.running_site import Site, parallel, serving, wait_until
from twofactor.tests.journeys import (
    DISABLE,
    LOGIN,
    LOGOUT,
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


# --- Redis ----------------------------------------------------------------------------------------


class RedisProxy:
    """A TCP proxy to Redis that can stop, or hang: accept data and never answer."""

    def __init__(self) -> None:
        redis = urlsplit(TEST_REDIS)
        self._redis = (redis.hostname, redis.port or 6379)
        self._path = redis.path
        self._server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self._server.getsockname()[1]
        self._is_hanging = False
        self._peers: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._ends, self._end = socket.socketpair()
        self._selector.register(self._ends, selectors.EVENT_READ)
        self._selector.register(self._server, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._forward_all)
        self._thread.start()

    def url(self, key_prefix: str) -> str:
        return f"redis://127.0.0.1:{self.port}{self._path}?key_prefix={key_prefix}"

    def stop(self) -> None:
        """Close all connections and refuse new ones, as a stopped Redis does."""
        with self._lock:
            self._selector.unregister(self._server)
            self._server.close()
            for peer in list(self._peers):
                self._drop(peer)

    def hang(self) -> None:
        with self._lock:
            self._is_hanging = True

    def close(self) -> None:
        self._end.send(b"x")
        self._thread.join(10)
        with self._lock:
            for end in [self._server, self._ends, self._end, *self._peers]:
                end.close()
            self._selector.close()

    def _forward_all(self) -> None:
        while True:
            for key, _ in self._selector.select(0.1):
                if key.fileobj is self._ends:
                    return
                with self._lock:
                    self._forward(key.fileobj)  # type: ignore[arg-type] # only sockets are registered

    def _forward(self, ready: socket.socket) -> None:
        with suppress(OSError):  # the connection may be closed meanwhile
            if ready is self._server:
                near = ready.accept()[0]
                far = socket.create_connection(self._redis)
                self._peers |= {near: far, far: near}
                for end in (near, far):
                    self._selector.register(end, selectors.EVENT_READ)
            elif ready in self._peers:
                sent = ready.recv(65536)
                if not sent:
                    self._drop(ready)
                elif not self._is_hanging:
                    self._peers[ready].sendall(sent)

    def _drop(self, end: socket.socket) -> None:
        for one in (end, self._peers.pop(end, None)):
            if one is not None and one.fileno() >= 0:
                self._peers.pop(one, None)
                self._selector.unregister(one)
                one.close()


@pytest.mark.services
@pytest.mark.parametrize("fails", [RedisProxy.stop, RedisProxy.hang], ids=["stopped", "hanging"])
def test_users_stay_signed_in_sign_in_and_are_limited_without_redis(
    fails: Callable[[RedisProxy], None], services: dict[str, str]
) -> None:
    with closing(RedisProxy()) as proxy, serving(**services | {"CACHE_URL": proxy.url("line")}) as site:
        early, late, guessed = site.make_users(3)
        client = site.signed_in(early, code=early.code())
        assert client.get("/healthz").status_code == 200
        fails(proxy)
        assert is_signed_in(client)
        assert client.get("/healthz").status_code == 503
        site.signed_in(late, code=late.code())
        guesser = site.pending(guessed)
        assert [give_code(guesser, guessed.wrong_code(n)).status_code for n in range(5)] == [422] * 4 + [302]
        assert give_code(site.pending(guessed), guessed.code()).status_code == 429
        assert post(client, LOGOUT).status_code == 302
        assert not is_signed_in(client)
        assert "Traceback" not in site.log_text()


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


def test_the_delay_survives_a_restart_a_cleared_cache_and_another_browser(site_to_stop: Site) -> None:
    site = site_to_stop
    user = site.make_user()
    site.call(site_helpers.set_authenticator, user.pk, failures=9)
    give_code(site.pending(user), user.wrong_code())  # the tenth failure delays codes for 16 minutes
    site.call(site_helpers.clear_cache)
    site.restart()
    assert give_code(site.pending(user), user.code()).status_code == 429
