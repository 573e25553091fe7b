"""The measured journeys, for both sites."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bench.visitor import Page, Visitor
from twofactor import totp

PASSWORD = "umbel-4-Quarry-thimble"  # noqa: S105 - of temporary users
LOGIN = "/accounts/login/"
SETTINGS = "/accounts/2fa/"


@dataclass
class BenchUser:
    email: str
    secret: str  # empty: 2FA is off
    backup_codes: list[str]
    session: str  # key of a signed-in session

    def code(self) -> str:
        return code_now(self.secret)


def code_now(secret: str) -> str:
    return totp.code_at(secret, totp.time_step_at(time.time()))


def wrong_code(secret: str) -> str:
    near = {totp.code_at(secret, totp.time_step_at(time.time()) + steps) for steps in range(-2, 3)}
    return next(code for code in map("{:06}".format, range(10)) if code not in near)


class Dialect(Protocol):
    """The requests of one site. Each method is a journey, and raises Unexpected if it fails."""

    name: str

    def give_password(self, visitor: Visitor, user: BenchUser) -> Page: ...
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

    def give_password(self, visitor: Visitor, user: BenchUser) -> Page:
        visitor.get(LOGIN)
        page = visitor.post(LOGIN, {"login": user.email, "password": PASSWORD})
        return page.ends_at(LOGIN if visitor.htmx else f"{SETTINGS}verify-login/", says='name="code"')

    def sign_in(self, visitor: Visitor, user: BenchUser) -> Page:
        self.give_password(visitor, user)
        return visitor.post(f"{SETTINGS}verify-login/", {"code": user.code()}).ends_at("/", says=user.email)

    def sign_in_by_backup_code(self, visitor: Visitor, user: BenchUser) -> Page:
        self.give_password(visitor, user)
        visitor.get(f"{SETTINGS}verify-login/?method=backup", htmx=visitor.htmx)
        page = visitor.post(f"{SETTINGS}verify-login/", {"backup_code": user.backup_codes[0]})
        return page.ends_at("/", says=user.email)

    def unknown_address(self, visitor: Visitor, user: BenchUser) -> Page:
        visitor.get(LOGIN)
        page = visitor.post(LOGIN, {"login": f"not-{user.email}", "password": PASSWORD})
        return page.ends_at(LOGIN, status=422, says='name="password"')

    def wrong_code(self, visitor: Visitor, user: BenchUser) -> Page:
        page = visitor.post(f"{SETTINGS}verify-login/", {"code": wrong_code(user.secret)})
        return page.ends_at(f"{SETTINGS}verify-login/", status=422)

    def open_settings(self, visitor: Visitor, user: BenchUser) -> Page:
        return visitor.get(SETTINGS).ends_at(SETTINGS)

    def turn_on(self, visitor: Visitor, user: BenchUser) -> Page:
        visitor.get(f"{SETTINGS}setup/", htmx=visitor.htmx)
        secret = visitor.post(f"{SETTINGS}setup/", {"password": PASSWORD}).secret
        visitor.get(f"{SETTINGS}verify-setup/", htmx=visitor.htmx)
        page = visitor.post(f"{SETTINGS}verify-setup/", {"code": code_now(secret)})
        return page.ends_at(f"{SETTINGS}verify-setup/", says='id="codes"')

    def new_codes(self, visitor: Visitor, user: BenchUser) -> Page:
        path = f"{SETTINGS}regenerate-backup-codes/"
        visitor.get(path, htmx=visitor.htmx)
        page = visitor.post(path, {"password": PASSWORD, "code": user.code()})
        return page.ends_at(path, says='id="codes"')

    def turn_off(self, visitor: Visitor, user: BenchUser) -> Page:
        path = f"{SETTINGS}disable/"
        visitor.get(path, htmx=visitor.htmx)
        page = visitor.post(path, {"password": PASSWORD, "code": user.code()})
        return page.ends_at(path if visitor.htmx else SETTINGS)


class Peers:
    """allauth.mfa: full pages and redirects, with reauthentication on a separate page."""

    name = "allauth.mfa"

    def give_password(self, visitor: Visitor, user: BenchUser) -> Page:
        visitor.get(LOGIN)
        page = visitor.post(LOGIN, {"login": user.email, "password": PASSWORD})
        return page.ends_at(f"{SETTINGS}authenticate/")

    def sign_in(self, visitor: Visitor, user: BenchUser) -> Page:
        self.give_password(visitor, user)
        return visitor.post(f"{SETTINGS}authenticate/", {"code": user.code()}).ends_at("/", says=user.email)

    def sign_in_by_backup_code(self, visitor: Visitor, user: BenchUser) -> Page:
        self.give_password(visitor, user)
        page = visitor.post(f"{SETTINGS}authenticate/", {"code": user.backup_codes[0]})
        return page.ends_at("/", says=user.email)

    def unknown_address(self, visitor: Visitor, user: BenchUser) -> Page:
        visitor.get(LOGIN)
        page = visitor.post(LOGIN, {"login": f"not-{user.email}", "password": PASSWORD})
        return page.ends_at(LOGIN, says='name="password"')

    def wrong_code(self, visitor: Visitor, user: BenchUser) -> Page:
        page = visitor.post(f"{SETTINGS}authenticate/", {"code": wrong_code(user.secret)})
        return page.ends_at(f"{SETTINGS}authenticate/")

    def open_settings(self, visitor: Visitor, user: BenchUser) -> Page:
        return visitor.get(SETTINGS).ends_at(SETTINGS)

    def turn_on(self, visitor: Visitor, user: BenchUser) -> Page:
        path = f"{SETTINGS}totp/activate/"
        secret = self._reauthenticated(visitor, path).secret
        return visitor.post(path, {"code": code_now(secret)}).ends_at(f"{SETTINGS}recovery-codes/")

    def new_codes(self, visitor: Visitor, user: BenchUser) -> Page:
        path = f"{SETTINGS}recovery-codes/generate/"
        self._reauthenticated(visitor, path)
        return visitor.post(path, {}).ends_at(f"{SETTINGS}recovery-codes/")

    def turn_off(self, visitor: Visitor, user: BenchUser) -> Page:
        path = f"{SETTINGS}totp/deactivate/"
        self._reauthenticated(visitor, path)
        return visitor.post(path, {}).ends_at(SETTINGS)

    def _reauthenticated(self, visitor: Visitor, path: str) -> Page:
        page = visitor.get(path).ends_at("/accounts/reauthenticate/")
        return visitor.post(page.path, {"password": PASSWORD}).ends_at(path)


@dataclass(frozen=True)
class Journey:
    """A journey and the kind of user who makes it. `before` runs first and is not measured."""

    title: str
    run: Callable[[Any, Visitor, BenchUser], Page]
    has_2fa: bool = True
    signed_in: bool = False
    before: Callable[[Any, Visitor, BenchUser], Page] | None = None
    htmx: bool = True


def named(name: str) -> Callable[[Dialect, Visitor, BenchUser], Page]:
    return lambda dialect, visitor, user: getattr(dialect, name)(visitor, user)


JOURNEYS = (
    Journey("sign-in", named("sign_in")),
    Journey("sign-in, no JavaScript", named("sign_in"), htmx=False),
    Journey("sign-in by backup code", named("sign_in_by_backup_code")),
    Journey("sign-in, unknown address", named("unknown_address")),
    Journey("refusal of a wrong code", named("wrong_code"), before=named("give_password")),
    Journey("settings page", named("open_settings"), signed_in=True),
    Journey("turning on", named("turn_on"), signed_in=True, has_2fa=False),
    Journey("new codes", named("new_codes"), signed_in=True),
    Journey("turning off", named("turn_off"), signed_in=True),
)
