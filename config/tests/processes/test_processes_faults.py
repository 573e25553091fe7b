"""Faults of the mail server, Redis, the SQLite lock and the server process lose no data."""

import selectors
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import pytest

from config.settings_test import TEST_REDIS
from config.tests.processes.running_site import (
    DISABLE,
    LOGIN,
    REGENERATE,
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
    Browser,
    Page,
    Site,
    SiteUser,
    parallel,
    serving,
    wait_until,
)
from conftest import PASSWORD

pytest_plugins = ["config.tests.processes.running_site"]


# --- The mail server ------------------------------------------------------------------------------


@contextmanager
def refusing_address() -> Iterator[str]:
    """Yield an address that refuses connections. The port is bound, so that no other process gets it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def silent_address() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        yield f"127.0.0.1:{silent.getsockname()[1]}"


@pytest.fixture(params=[refusing_address, silent_address], ids=["refuses", "hangs"])
def site_without_mail_server(request: pytest.FixtureRequest) -> Iterator[Site]:
    with request.param() as address, serving(EMAIL_URL=f"smtp://{address}") as site:
        yield site
        site.kill()  # SIGTERM would wait five seconds for the emails


def test_a_failing_mail_server_neither_blocks_nor_undoes_a_change(
    site_without_mail_server: Site, request: pytest.FixtureRequest
) -> None:
    site = site_without_mail_server
    user = site_without_mail_server.make_user(on=False)
    browser = Browser(site).sign_in(user)
    user.secret = browser.post(SETUP, {"password": PASSWORD}).key
    user.backup_codes = browser.post(VERIFY_SETUP, {"code": user.code()}).backup_codes
    assert len(user.backup_codes) == 10
    again = Browser(site).sign_in(user, backup_code=user.backup_codes[0])
    new = again.post(REGENERATE, {"password": PASSWORD, "backup_code": user.backup_codes[1]}).backup_codes
    assert len(new) == 10
    assert again.post(DISABLE, {"password": PASSWORD, "backup_code": new[0]}).redirect_target == SETTINGS
    used = "backup_code_used"
    assert site.events(user) == ["turned_on", used, used, "codes_regenerated", used, "turned_off"]
    assert not site.authenticator(user)
    if request.node.callspec.id == "hangs":
        assert "email not sent" not in site.log_text(), "a response waited for the timeout of an email"
    else:
        wait_until(lambda: "email not sent" in site.log_text(), "the log message of an email that was not sent")


# --- Redis ----------------------------------------------------------------------------------------


class RedisProxy:
    """A TCP proxy to Redis that can stop, or hang: accept data and never answer."""

    def __init__(self) -> None:
        there = urlsplit(TEST_REDIS)
        self._there = (there.hostname, there.port or 6379)
        self._path = there.path
        self._server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self._server.getsockname()[1]
        self._is_hanging = False
        self._peers: dict[socket.socket, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._ends, self._end = socket.socketpair()
        self._selector.register(self._ends, selectors.EVENT_READ)
        self._selector.register(self._server, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._carry)
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

    def _carry(self) -> None:
        while True:
            for key, _ in self._selector.select(0.1):
                if key.fileobj is self._ends:
                    return
                with self._lock:
                    self._serve(key.fileobj)  # type: ignore[arg-type] # only sockets are registered

    def _serve(self, ready: socket.socket) -> None:
        with suppress(OSError):  # the connection may be closed meanwhile
            if ready is self._server:
                near = ready.accept()[0]
                far = socket.create_connection(self._there)
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


@pytest.fixture
def redis_proxy() -> Iterator[RedisProxy]:
    line = RedisProxy()
    try:
        yield line
    finally:
        line.close()


@pytest.mark.services
@pytest.mark.parametrize("fails", [RedisProxy.stop, RedisProxy.hang], ids=["stopped", "hanging"])
def test_users_stay_signed_in_sign_in_and_are_limited_without_redis(
    fails: Callable[[RedisProxy], None], redis_proxy: RedisProxy, services: dict[str, str]
) -> None:
    with serving(**services | {"CACHE_URL": redis_proxy.url("line")}) as site:
        early, late, guessed = site.make_users(3)
        browser = Browser(site).sign_in(early, code=early.code())
        assert browser.get("/healthz").status == 200
        fails(redis_proxy)
        assert browser.is_signed_in()
        assert browser.get("/healthz").status == 503
        assert Browser(site).sign_in(late, code=late.code()).is_signed_in()
        guesser = Browser(site).begin_sign_in(guessed)
        assert [guesser.give_code(guessed.wrong_code(number)).status for number in range(5)] == [422] * 4 + [302]
        assert Browser(site).begin_sign_in(guessed).give_code(guessed.code()).status == 429
        assert browser.post("/accounts/logout/").status == 302
        assert not browser.copy().is_signed_in()
        assert "Traceback" not in site.log_text()


# --- The SQLite lock ------------------------------------------------------------------------------


@contextmanager
def write_lock(site: Site, *, seconds: float) -> Iterator[None]:
    """Hold the write lock of the site's SQLite file for this long."""
    writer = sqlite3.connect(site.database, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    release = threading.Timer(seconds, writer.rollback)
    release.start()
    try:
        yield
    finally:
        release.join()
        writer.close()


def test_requests_wait_for_another_writer_of_three_seconds(sqlite_site: Site) -> None:
    site = sqlite_site
    new, pending, turns_off = site.make_users(3)
    turns_on = site.make_user(on=False)
    browser_turning_on = Browser(site).sign_in(turns_on)
    turns_on.secret = browser_turning_on.post(SETUP, {"password": PASSWORD}).key
    browser_turning_off = Browser(site).sign_in(turns_off, backup_code=turns_off.backup_codes[0])
    proof = {"password": PASSWORD, "backup_code": turns_off.backup_codes[1]}
    pending_browser = Browser(site).begin_sign_in(pending)
    requests: list[Callable[[], Page]] = [
        lambda: Browser(site).give_password(new),
        lambda: pending_browser.give_code(pending.code()),
        lambda: browser_turning_on.post(VERIFY_SETUP, {"code": turns_on.code()}),
        lambda: browser_turning_off.post(DISABLE, proof),
        lambda: Browser(site).get(LOGIN),
    ]
    with write_lock(site, seconds=3):
        answers = parallel(len(requests), lambda number: requests[number]())
    assert [answer.status for answer in answers] == [302, 302, 200, 302, 200]
    assert answers[0].redirect_target == VERIFY_LOGIN
    assert pending_browser.is_signed_in()
    assert len(answers[2].backup_codes) == 10 == site.unused_codes(turns_on)
    assert not site.authenticator(turns_off)


# --- A killed server ------------------------------------------------------------------------------


def send_and_kill(site: Site, when: Callable[[], object], browser: Browser, path: str, fields: dict[str, str]) -> None:
    """Post these fields, and kill the server as soon as `when` returns true. Expect no response."""
    lost: list[Exception] = []

    def send() -> None:
        try:
            browser.copy().post(path, fields)
        except OSError as error:
            lost.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    wait_until(when, "the change to be in progress")
    site.kill()
    sender.join(60)
    assert lost, "the response arrived before the server was killed"
    site.start()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def site_to_kill(request: pytest.FixtureRequest) -> Iterator[Site]:
    with ExitStack() as stack:
        env = request.getfixturevalue("services") if request.param == "postgresql" else {}
        yield stack.enter_context(serving(**env))


def set_up(site: Site) -> tuple[SiteUser, Browser]:
    """Return a user in step 2 of the setup, and their browser."""
    user = site.make_user(on=False)
    browser = Browser(site).sign_in(user)
    user.secret = browser.post(SETUP, {"password": PASSWORD}).key
    return user, browser


def test_2fa_stays_off_if_the_server_is_killed_while_turning_it_on(site_to_kill: Site) -> None:
    site = site_to_kill
    user, browser = set_up(site)
    with site.slow("twofactor_backupcode", seconds=2):
        send_and_kill(site, lambda: site.orm("is_slow()"), browser, VERIFY_SETUP, {"code": user.code()})
        wait_until(lambda: not site.orm("is_slow()"), "the killed transaction to be rolled back")
    assert not site.authenticator(user)
    assert site.unused_codes(user) == 0
    assert browser.is_signed_in()
    assert browser.get(SETUP).key == user.secret
    assert len(browser.post(VERIFY_SETUP, {"code": user.code()}).backup_codes) == 10


def test_2fa_is_completely_on_if_the_server_is_killed_right_after_turning_it_on(site_to_kill: Site) -> None:
    """The backup codes were not shown. The authenticator app has the key, so the user can make new ones."""
    site = site_to_kill
    user, browser = set_up(site)

    def is_on_and_recording_the_event() -> bool:
        return bool(site.authenticator(user)) and site.orm("is_slow()")

    with site.slow("twofactor_securityevent", seconds=2):
        send_and_kill(site, is_on_and_recording_the_event, browser, VERIFY_SETUP, {"code": user.code()})
        wait_until(lambda: not site.orm("is_slow()"), "the killed transaction to be rolled back")
    assert site.unused_codes(user) == 10
    site.reset_throttle_and_codes(user)
    again = Browser(site).sign_in(user, code=user.code())
    site.reset_throttle_and_codes(user)
    assert len(again.post(REGENERATE, {"password": PASSWORD, "code": user.code()}).backup_codes) == 10
    assert not browser.is_signed_in(), "a session from before the second factor is signed in"


def test_2fa_stays_on_if_the_server_is_killed_while_turning_it_off(site_to_kill: Site) -> None:
    site = site_to_kill
    user = site_to_kill.make_user()
    browser = Browser(site).sign_in(user, backup_code=user.backup_codes[0])
    proof = {"password": PASSWORD, "backup_code": user.backup_codes[1]}
    # The event of the backup code is written first, then the change.
    with site.slow("twofactor_securityevent", seconds=2):
        send_and_kill(site, lambda: site.orm("is_slow()"), browser, DISABLE, proof)
        wait_until(lambda: not site.orm("is_slow()"), "the killed transaction to be rolled back")
    assert site.authenticator(user)
    assert browser.is_signed_in()
    assert Browser(site).sign_in(user, code=user.code()).is_signed_in()


# --- A restart ------------------------------------------------------------------------------------


def test_the_delay_survives_a_restart_a_cleared_cache_and_another_browser(site_to_kill: Site) -> None:
    site = site_to_kill
    user = site.make_user()
    site.set(user, failures=5, delayed_until=int(time.time()) + 3000)
    site.orm("cache.clear()")
    site.restart()
    assert Browser(site).begin_sign_in(user).give_code(user.code()).status == 429
