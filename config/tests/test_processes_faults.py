"""What stands round the site fails: the mail server, Redis, the disk's lock, a process. Nobody loses anything."""

import selectors
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import pytest

from config.tests.running_site import (
    DISABLE,
    LOGIN,
    REGENERATE,
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
    Browser,
    Page,
    Person,
    Site,
    parallel,
    serving,
    wait_until,
)
from conftest import PASSWORD, REDIS

pytest_plugins = ["config.tests.running_site"]


# --- The mail server ------------------------------------------------------------------------------


@contextmanager
def nobody_listens() -> Iterator[str]:
    """An address whose port is taken, so that nobody else gets it, and refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def somebody_never_answers() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        yield f"127.0.0.1:{silent.getsockname()[1]}"


@pytest.fixture(params=[nobody_listens, somebody_never_answers], ids=["refuses", "hangs"])
def mail_less_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with request.param() as address, serving(EMAIL_URL=f"smtp://{address}") as site:
        yield site
        site.kill()  # it would give its mails five seconds


def test_a_failing_mail_server_neither_blocks_nor_undoes_a_change(
    mail_less_site: Site, request: pytest.FixtureRequest
) -> None:
    site, person = mail_less_site, mail_less_site.person(on=False)
    browser = Browser(site).sign_in(person)
    person.secret = browser.post(SETUP, {"password": PASSWORD}).key
    person.backup_codes = browser.post(VERIFY_SETUP, {"code": person.code()}).backup_codes
    assert len(person.backup_codes) == 10
    again = Browser(site).sign_in(person, backup_code=person.backup_codes[0])
    new = again.post(REGENERATE, {"password": PASSWORD, "backup_code": person.backup_codes[1]}).backup_codes
    assert len(new) == 10
    assert again.post(DISABLE, {"password": PASSWORD, "backup_code": new[0]}).leads_to == SETTINGS
    used = "backup_code_used"
    assert site.events(person) == ["turned_on", used, used, "codes_regenerated", used, "turned_off"]
    assert not site.authenticator(person)
    if request.node.callspec.id == "hangs":
        assert "mail not sent" not in site.said(), "an answer waited until a mail was given up"
    else:
        wait_until(lambda: "mail not sent" in site.said(), "the log to say that a mail was not sent")


# --- Redis ----------------------------------------------------------------------------------------


class RedisOnALine:
    """Redis, through a line that can be cut, or go dead: then it takes what is sent and answers nothing."""

    def __init__(self) -> None:
        there = urlsplit(REDIS)
        self._there, self._path = (there.hostname, there.port or 6379), there.path
        self._server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port, self._is_dead = self._server.getsockname()[1], False
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

    def cut(self) -> None:
        """As if Redis was stopped: who is connected is thrown out, who comes is refused."""
        with self._lock:
            self._selector.unregister(self._server)
            self._server.close()
            for peer in list(self._peers):
                self._drop(peer)

    def go_dead(self) -> None:
        with self._lock:
            self._is_dead = True

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
        with suppress(OSError):  # of a line that was cut since
            if ready is self._server:
                near, far = ready.accept()[0], socket.create_connection(self._there)
                self._peers |= {near: far, far: near}
                for end in (near, far):
                    self._selector.register(end, selectors.EVENT_READ)
            elif ready in self._peers:
                sent = ready.recv(65536)
                if not sent:
                    self._drop(ready)
                elif not self._is_dead:
                    self._peers[ready].sendall(sent)

    def _drop(self, end: socket.socket) -> None:
        for one in (end, self._peers.pop(end, None)):
            if one is not None and one.fileno() >= 0:
                self._peers.pop(one, None)
                self._selector.unregister(one)
                one.close()


@pytest.fixture
def redis_on_a_line() -> Iterator[RedisOnALine]:
    line = RedisOnALine()
    try:
        yield line
    finally:
        line.close()


@pytest.mark.services
@pytest.mark.parametrize("fails", [RedisOnALine.cut, RedisOnALine.go_dead], ids=["stopped", "hanging"])
def test_users_stay_signed_in_sign_in_and_are_limited_without_redis(
    fails: Callable[[RedisOnALine], None], redis_on_a_line: RedisOnALine, services: dict[str, str]
) -> None:
    with serving(**services | {"CACHE_URL": redis_on_a_line.url("line")}) as site:
        early, late, guessed = site.people(3)
        browser = Browser(site).sign_in(early, code=early.code())
        assert browser.get("/healthz").status == 200
        fails(redis_on_a_line)
        assert browser.is_signed_in()
        assert browser.get("/healthz").status == 503
        assert Browser(site).sign_in(late, code=late.code()).is_signed_in()
        guesser = Browser(site).owe_code(guessed)
        assert [guesser.give_code(guessed.wrong_code(number)).status for number in range(5)] == [422] * 4 + [302]
        assert Browser(site).owe_code(guessed).give_code(guessed.code()).status == 429
        assert browser.post("/accounts/logout/").status == 302
        assert not browser.twin().is_signed_in()
        assert "Traceback" not in site.said()


# --- The disk's lock ------------------------------------------------------------------------------


@contextmanager
def held(site: Site, *, seconds: float) -> Iterator[None]:
    """Another program writes into the site's SQLite file for so long, from now on."""
    writer = sqlite3.connect(site.database, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN IMMEDIATE")
    over = threading.Timer(seconds, writer.rollback)
    over.start()
    try:
        yield
    finally:
        over.join()
        writer.close()


def test_requests_wait_for_another_writer_of_three_seconds(sqlite_site: Site) -> None:
    site = sqlite_site
    comes, owes, turns_on, turns_off = site.person(), site.person(), site.person(on=False), site.person()
    setting_up = Browser(site).sign_in(turns_on)
    turns_on.secret = setting_up.post(SETUP, {"password": PASSWORD}).key
    turning_off = Browser(site).sign_in(turns_off, backup_code=turns_off.backup_codes[0])
    proof = {"password": PASSWORD, "backup_code": turns_off.backup_codes[1]}
    owing = Browser(site).owe_code(owes)
    requests: list[Callable[[], Page]] = [
        lambda: Browser(site).give_password(comes),
        lambda: owing.give_code(owes.code()),
        lambda: setting_up.post(VERIFY_SETUP, {"code": turns_on.code()}),
        lambda: turning_off.post(DISABLE, proof),
        lambda: Browser(site).get(LOGIN),
    ]
    with held(site, seconds=3):
        answers = parallel(len(requests), lambda number: requests[number]())
    assert [answer.status for answer in answers] == [302, 302, 200, 302, 200]
    assert answers[0].leads_to == VERIFY_LOGIN
    assert owing.is_signed_in()
    assert len(answers[2].backup_codes) == 10 == site.unused_codes(turns_on)
    assert not site.authenticator(turns_off)


# --- A process that is killed ---------------------------------------------------------------------


def send_and_kill(site: Site, when: Callable[[], object], browser: Browser, path: str, fields: dict[str, str]) -> None:
    """Post this, and kill every process of the server as soon as `when` is true; no answer comes."""
    lost: list[Exception] = []

    def send() -> None:
        try:
            browser.twin().post(path, fields)
        except OSError as error:
            lost.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    wait_until(when, "the change to be in its middle")
    site.kill()
    sender.join(60)
    assert lost, "the change was answered before the server was killed"
    site.start()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def site_to_kill(request: pytest.FixtureRequest) -> Iterator[Site]:
    with ExitStack() as stack:
        env = request.getfixturevalue("services") if request.param == "postgresql" else {}
        yield stack.enter_context(serving(**env))


def set_up(site: Site) -> tuple[Person, Browser]:
    """Somebody one code away from having 2FA."""
    person = site.person(on=False)
    browser = Browser(site).sign_in(person)
    person.secret = browser.post(SETUP, {"password": PASSWORD}).key
    return person, browser


def test_2fa_stays_off_if_the_server_is_killed_while_turning_it_on(site_to_kill: Site) -> None:
    site = site_to_kill
    person, browser = set_up(site)
    with site.slow("twofactor_backupcode", seconds=2):
        send_and_kill(site, lambda: site.orm("is_slow()"), browser, VERIFY_SETUP, {"code": person.code()})
        wait_until(lambda: not site.orm("is_slow()"), "the killed transaction to be rolled back")
    assert not site.authenticator(person)
    assert site.unused_codes(person) == 0
    assert browser.is_signed_in()
    assert browser.get(SETUP).key == person.secret
    assert len(browser.post(VERIFY_SETUP, {"code": person.code()}).backup_codes) == 10


def test_2fa_is_completely_on_if_the_server_is_killed_right_after_turning_it_on(site_to_kill: Site) -> None:
    """Its backup codes were never seen; the app has the key, and makes new ones."""
    site = site_to_kill
    person, browser = set_up(site)

    def is_on_and_telling() -> bool:
        return bool(site.authenticator(person)) and site.orm("is_slow()")

    with site.slow("twofactor_securityevent", seconds=2):
        send_and_kill(site, is_on_and_telling, browser, VERIFY_SETUP, {"code": person.code()})
        wait_until(lambda: not site.orm("is_slow()"), "the killed transaction to be rolled back")
    assert site.unused_codes(person) == 10
    site.let_all_be_new(person)
    again = Browser(site).sign_in(person, code=person.code())
    site.let_all_be_new(person)
    assert len(again.post(REGENERATE, {"password": PASSWORD, "code": person.code()}).backup_codes) == 10
    assert not browser.is_signed_in(), "the key of a session that knew no second factor"


def test_2fa_stays_on_if_the_server_is_killed_while_turning_it_off(site_to_kill: Site) -> None:
    site, person = site_to_kill, site_to_kill.person()
    browser = Browser(site).sign_in(person, backup_code=person.backup_codes[0])
    proof = {"password": PASSWORD, "backup_code": person.backup_codes[1]}
    # The event of the backup code comes first, then the change.
    with site.slow("twofactor_securityevent", seconds=2):
        send_and_kill(site, lambda: site.orm("is_slow()"), browser, DISABLE, proof)
        wait_until(lambda: not site.orm("is_slow()"), "the killed transaction to be rolled back")
    assert site.authenticator(person)
    assert browser.is_signed_in()
    assert Browser(site).sign_in(person, code=person.code()).is_signed_in()
