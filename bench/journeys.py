"""The measured journeys, for both sites."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bench.visitor import Page, Visitor
from twofactor.tests import rfc6238
from twofactor.tests.constants import LOGIN, PASSWORD, SETTINGS, VERIFY_LOGIN


@dataclass
class BenchUser:
    email: str
    secret: str  # empty: 2FA is off
    backup_codes: list[str]
    session: str  # key of a signed-in session

    def code(self) -> str:
        return code_now(self.secret)


def code_now(secret: str) -> str:
    return rfc6238.code_at(secret, time.time())


def wrong_code(secret: str) -> str:
    return rfc6238.wrong_code(secret, time.time(), near=2)  # few time steps, because a journey is timed


class Client(Protocol):
    """The requests of one site. Each method returns the last page, and raises Unexpected if that is another page."""

    name: str

    def enter_password(self, visitor: Visitor, user: BenchUser) -> Page: ...
    def sign_in(self, visitor: Visitor, user: BenchUser) -> Page: ...
    def sign_in_by_backup_code(self, visitor: Visitor, user: BenchUser) -> Page: ...
    def unknown_address(self, visitor: Visitor, user: BenchUser) -> Page: ...
    def wrong_code(self, visitor: Visitor, user: BenchUser) -> Page: ...
    def open_settings(self, visitor: Visitor, user: BenchUser) -> Page: ...
    def turn_on(self, visitor: Visitor, user: BenchUser) -> Page: ...
    def new_codes(self, visitor: Visitor, user: BenchUser) -> Page: ...
    def turn_off(self, visitor: Visitor, user: BenchUser) -> Page: ...


class Ours:
    name = "ours"

    def enter_password(self, visitor: Visitor, user: BenchUser) -> Page:
        visitor.get(LOGIN)
        page = visitor.post(LOGIN, {"login": user.email, "password": PASSWORD})
        return page.expect(LOGIN if visitor.htmx else VERIFY_LOGIN, text='name="code"')

    def sign_in(self, visitor: Visitor, user: BenchUser) -> Page:
        self.enter_password(visitor, user)
        return visitor.post(VERIFY_LOGIN, {"code": user.code()}).expect("/", text=user.email)

    def sign_in_by_backup_code(self, visitor: Visitor, user: BenchUser) -> Page:
        self.enter_password(visitor, user)
        visitor.get(f"{SETTINGS}verify-login/?method=backup", htmx=visitor.htmx)
        page = visitor.post(VERIFY_LOGIN, {"backup_code": user.backup_codes[0]})
        return page.expect("/", text=user.email)

    def unknown_address(self, visitor: Visitor, user: BenchUser) -> Page:
        visitor.get(LOGIN)
        page = visitor.post(LOGIN, {"login": f"not-{user.email}", "password": PASSWORD})
        return page.expect(LOGIN, status=422, text='name="password"')

    def wrong_code(self, visitor: Visitor, user: BenchUser) -> Page:
        page = visitor.post(VERIFY_LOGIN, {"code": wrong_code(user.secret)})
        return page.expect(VERIFY_LOGIN, status=422)

    def open_settings(self, visitor: Visitor, user: BenchUser) -> Page:
        return visitor.get(SETTINGS).expect(SETTINGS)

    def turn_on(self, visitor: Visitor, user: BenchUser) -> Page:
        visitor.get(f"{SETTINGS}setup/", htmx=visitor.htmx)
        secret = visitor.post(f"{SETTINGS}setup/", {"password": PASSWORD}).secret
        visitor.get(f"{SETTINGS}verify-setup/", htmx=visitor.htmx)
        page = visitor.post(f"{SETTINGS}verify-setup/", {"code": code_now(secret)})
        return page.expect(f"{SETTINGS}verify-setup/", text='id="codes"')

    def new_codes(self, visitor: Visitor, user: BenchUser) -> Page:
        path = f"{SETTINGS}regenerate-backup-codes/"
        visitor.get(path, htmx=visitor.htmx)
        page = visitor.post(path, {"password": PASSWORD, "code": user.code()})
        return page.expect(path, text='id="codes"')

    def turn_off(self, visitor: Visitor, user: BenchUser) -> Page:
        path = f"{SETTINGS}disable/"
        visitor.get(path, htmx=visitor.htmx)
        page = visitor.post(path, {"password": PASSWORD, "code": user.code()})
        return page.expect(path if visitor.htmx else SETTINGS)


class Peers:
    """allauth.mfa: full pages and redirects, with reauthentication on a separate page."""

    name = "allauth.mfa"

    def enter_password(self, visitor: Visitor, user: BenchUser) -> Page:
        visitor.get(LOGIN)
        page = visitor.post(LOGIN, {"login": user.email, "password": PASSWORD})
        return page.expect(f"{SETTINGS}authenticate/")

    def sign_in(self, visitor: Visitor, user: BenchUser) -> Page:
        self.enter_password(visitor, user)
        return visitor.post(f"{SETTINGS}authenticate/", {"code": user.code()}).expect("/", text=user.email)

    def sign_in_by_backup_code(self, visitor: Visitor, user: BenchUser) -> Page:
        self.enter_password(visitor, user)
        page = visitor.post(f"{SETTINGS}authenticate/", {"code": user.backup_codes[0]})
        return page.expect("/", text=user.email)

    def unknown_address(self, visitor: Visitor, user: BenchUser) -> Page:
        visitor.get(LOGIN)
        page = visitor.post(LOGIN, {"login": f"not-{user.email}", "password": PASSWORD})
        return page.expect(LOGIN, text='name="password"')

    def wrong_code(self, visitor: Visitor, user: BenchUser) -> Page:
        page = visitor.post(f"{SETTINGS}authenticate/", {"code": wrong_code(user.secret)})
        return page.expect(f"{SETTINGS}authenticate/")

    def open_settings(self, visitor: Visitor, user: BenchUser) -> Page:
        return visitor.get(SETTINGS).expect(SETTINGS)

    def turn_on(self, visitor: Visitor, user: BenchUser) -> Page:
        path = f"{SETTINGS}totp/activate/"
        secret = self._reauthenticated(visitor, path).secret
        return visitor.post(path, {"code": code_now(secret)}).expect(f"{SETTINGS}recovery-codes/")

    def new_codes(self, visitor: Visitor, user: BenchUser) -> Page:
        path = f"{SETTINGS}recovery-codes/generate/"
        self._reauthenticated(visitor, path)
        return visitor.post(path, {}).expect(f"{SETTINGS}recovery-codes/")

    def turn_off(self, visitor: Visitor, user: BenchUser) -> Page:
        path = f"{SETTINGS}totp/deactivate/"
        self._reauthenticated(visitor, path)
        return visitor.post(path, {}).expect(SETTINGS)

    def _reauthenticated(self, visitor: Visitor, path: str) -> Page:
        page = visitor.get(path).expect("/accounts/reauthenticate/")
        return visitor.post(page.path, {"password": PASSWORD}).expect(path)


@dataclass(frozen=True)
class Journey:
    """A journey and the kind of user who makes it. `before` runs first and is not measured."""

    title: str
    run: Callable[[Any, Visitor, BenchUser], Page]
    has_2fa: bool = True
    signed_in: bool = False
    before: Callable[[Any, Visitor, BenchUser], Page] | None = None
    htmx: bool = True


def call(name: str) -> Callable[[Client, Visitor, BenchUser], Page]:
    return lambda client, visitor, user: getattr(client, name)(visitor, user)


JOURNEYS = (
    Journey("sign-in", call("sign_in")),
    Journey("sign-in, no JavaScript", call("sign_in"), htmx=False),
    Journey("sign-in by backup code", call("sign_in_by_backup_code")),
    Journey("sign-in, unknown address", call("unknown_address")),
    Journey("refusal of a wrong code", call("wrong_code"), before=call("enter_password")),
    Journey("settings page", call("open_settings"), signed_in=True),
    Journey("turning on", call("turn_on"), signed_in=True, has_2fa=False),
    Journey("new codes", call("new_codes"), signed_in=True),
    Journey("turning off", call("turn_off"), signed_in=True),
)
