"""The journeys that are measured, as the people of both sites make them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bench.visitor import Page, Visitor
from twofactor import totp

PASSWORD = "umbel-4-Quarry-thimble"  # noqa: S105 - of people who are made for this and gone with it
LOGIN = "/accounts/login/"
SETTINGS = "/accounts/2fa/"


@dataclass
class Person:
    email: str
    secret: str  # empty: 2FA is off
    backup_codes: list[str]
    session: str  # of a browser that is signed in

    def code(self) -> str:
        return code_now(self.secret)


def code_now(secret: str) -> str:
    return totp.code_at(secret, totp.time_step_at(time.time()))


def wrong_code(secret: str) -> str:
    near = {totp.code_at(secret, totp.time_step_at(time.time()) + steps) for steps in range(-2, 3)}
    return next(code for code in map("{:06}".format, range(10)) if code not in near)


class Dialect(Protocol):
    """How one site wants to be talked to. Each method is a journey and raises Unexpected if it does not succeed."""

    name: str

    def give_password(self, visitor: Visitor, person: Person) -> Page: ...
    def sign_in(self, visitor: Visitor, person: Person) -> Page: ...
    def sign_in_by_backup_code(self, visitor: Visitor, person: Person) -> Page: ...
    def unknown_address(self, visitor: Visitor, person: Person) -> Page: ...
    def wrong_code(self, visitor: Visitor, person: Person) -> Page: ...
    def open_settings(self, visitor: Visitor, person: Person) -> Page: ...
    def turn_on(self, visitor: Visitor, person: Person) -> Page: ...
    def new_codes(self, visitor: Visitor, person: Person) -> Page: ...
    def turn_off(self, visitor: Visitor, person: Person) -> Page: ...


class Ours:
    name = "ours"

    def give_password(self, visitor: Visitor, person: Person) -> Page:
        visitor.get(LOGIN)
        page = visitor.post(LOGIN, {"login": person.email, "password": PASSWORD})
        return page.ends_at(LOGIN if visitor.htmx else f"{SETTINGS}verify-login/", says='name="code"')

    def sign_in(self, visitor: Visitor, person: Person) -> Page:
        self.give_password(visitor, person)
        return visitor.post(f"{SETTINGS}verify-login/", {"code": person.code()}).ends_at("/", says=person.email)

    def sign_in_by_backup_code(self, visitor: Visitor, person: Person) -> Page:
        self.give_password(visitor, person)
        visitor.get(f"{SETTINGS}verify-login/?method=backup", htmx=visitor.htmx)
        page = visitor.post(f"{SETTINGS}verify-login/", {"backup_code": person.backup_codes[0]})
        return page.ends_at("/", says=person.email)

    def unknown_address(self, visitor: Visitor, person: Person) -> Page:
        visitor.get(LOGIN)
        page = visitor.post(LOGIN, {"login": f"not-{person.email}", "password": PASSWORD})
        return page.ends_at(LOGIN, status=422, says='name="password"')

    def wrong_code(self, visitor: Visitor, person: Person) -> Page:
        page = visitor.post(f"{SETTINGS}verify-login/", {"code": wrong_code(person.secret)})
        return page.ends_at(f"{SETTINGS}verify-login/", status=422)

    def open_settings(self, visitor: Visitor, person: Person) -> Page:
        return visitor.get(SETTINGS).ends_at(SETTINGS)

    def turn_on(self, visitor: Visitor, person: Person) -> Page:
        visitor.get(f"{SETTINGS}setup/", htmx=visitor.htmx)
        secret = visitor.post(f"{SETTINGS}setup/", {"password": PASSWORD}).secret
        visitor.get(f"{SETTINGS}verify-setup/", htmx=visitor.htmx)
        page = visitor.post(f"{SETTINGS}verify-setup/", {"code": code_now(secret)})
        return page.ends_at(f"{SETTINGS}verify-setup/", says='id="codes"')

    def new_codes(self, visitor: Visitor, person: Person) -> Page:
        path = f"{SETTINGS}regenerate-backup-codes/"
        visitor.get(path, htmx=visitor.htmx)
        page = visitor.post(path, {"password": PASSWORD, "code": person.code()})
        return page.ends_at(path, says='id="codes"')

    def turn_off(self, visitor: Visitor, person: Person) -> Page:
        path = f"{SETTINGS}disable/"
        visitor.get(path, htmx=visitor.htmx)
        page = visitor.post(path, {"password": PASSWORD, "code": person.code()})
        return page.ends_at(path if visitor.htmx else SETTINGS)


class Peers:
    """django-allauth's own second factor: whole pages and redirects, the proof of who it is on a page of its own."""

    name = "allauth.mfa"

    def give_password(self, visitor: Visitor, person: Person) -> Page:
        visitor.get(LOGIN)
        page = visitor.post(LOGIN, {"login": person.email, "password": PASSWORD})
        return page.ends_at(f"{SETTINGS}authenticate/")

    def sign_in(self, visitor: Visitor, person: Person) -> Page:
        self.give_password(visitor, person)
        return visitor.post(f"{SETTINGS}authenticate/", {"code": person.code()}).ends_at("/", says=person.email)

    def sign_in_by_backup_code(self, visitor: Visitor, person: Person) -> Page:
        self.give_password(visitor, person)
        page = visitor.post(f"{SETTINGS}authenticate/", {"code": person.backup_codes[0]})
        return page.ends_at("/", says=person.email)

    def unknown_address(self, visitor: Visitor, person: Person) -> Page:
        visitor.get(LOGIN)
        page = visitor.post(LOGIN, {"login": f"not-{person.email}", "password": PASSWORD})
        return page.ends_at(LOGIN, says='name="password"')

    def wrong_code(self, visitor: Visitor, person: Person) -> Page:
        page = visitor.post(f"{SETTINGS}authenticate/", {"code": wrong_code(person.secret)})
        return page.ends_at(f"{SETTINGS}authenticate/")

    def open_settings(self, visitor: Visitor, person: Person) -> Page:
        return visitor.get(SETTINGS).ends_at(SETTINGS)

    def turn_on(self, visitor: Visitor, person: Person) -> Page:
        path = f"{SETTINGS}totp/activate/"
        secret = self._reauthenticated(visitor, path).secret
        return visitor.post(path, {"code": code_now(secret)}).ends_at(f"{SETTINGS}recovery-codes/")

    def new_codes(self, visitor: Visitor, person: Person) -> Page:
        path = f"{SETTINGS}recovery-codes/generate/"
        self._reauthenticated(visitor, path)
        return visitor.post(path, {}).ends_at(f"{SETTINGS}recovery-codes/")

    def turn_off(self, visitor: Visitor, person: Person) -> Page:
        path = f"{SETTINGS}totp/deactivate/"
        self._reauthenticated(visitor, path)
        return visitor.post(path, {}).ends_at(SETTINGS)

    def _reauthenticated(self, visitor: Visitor, path: str) -> Page:
        page = visitor.get(path).ends_at("/accounts/reauthenticate/")
        return visitor.post(page.path, {"password": PASSWORD}).ends_at(path)


@dataclass(frozen=True)
class Journey:
    """What is done, and who does it; `before` is not measured."""

    title: str
    run: Callable[[Any, Visitor, Person], Page]
    has_2fa: bool = True
    signed_in: bool = False
    before: Callable[[Any, Visitor, Person], Page] | None = None
    htmx: bool = True


def named(name: str) -> Callable[[Dialect, Visitor, Person], Page]:
    return lambda dialect, visitor, person: getattr(dialect, name)(visitor, person)


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
