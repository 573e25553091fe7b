"""The measured journeys, for both sites."""

import json
import time
from dataclasses import dataclass
from typing import Any, Protocol

from bench.visitor import Page, Visitor
from twofactor.tests import rfc6238
from twofactor.tests.constants import LOGIN, PASSWORD, SETTINGS, VERIFY_LOGIN
from twofactor.tests.softkey import SoftKey

ADD_PASSKEY = f"{SETTINGS}passkeys/add/"


@dataclass
class BenchUser:
    email: str
    secret: str  # empty: 2FA is off
    backup_codes: list[str]
    session: str  # key of a signed-in session
    passkey: dict[str, Any] | None = None  # of SoftKey.dump()

    def code(self) -> str:
        return code_now(self.secret)


def code_now(secret: str) -> str:
    return rfc6238.code_at(secret, time.time())


def wrong_code(secret: str) -> str:
    return rfc6238.wrong_code(secret, time.time(), near=2)  # few time steps, because a journey is timed


class Client(Protocol):
    """The requests of one site. Each method returns the last page, and raises Unexpected if that is another page.

    A client may have more methods: those of passkeys are measured on this site only.
    """

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
        field = "credential" if user.passkey else "code"
        return page.expect(LOGIN if visitor.htmx else VERIFY_LOGIN, text=f'name="{field}"')

    def sign_in(self, visitor: Visitor, user: BenchUser) -> Page:
        self.enter_password(visitor, user)
        return visitor.post(VERIFY_LOGIN, {"code": user.code()}).expect("/", text=user.email)

    def sign_in_by_passkey(self, visitor: Visitor, user: BenchUser) -> Page:
        page = self.enter_password(visitor, user)
        answer = SoftKey.load(user.passkey or {}).get(page.options, origin=visitor.origin)
        fields = {"credential": json.dumps(answer), "ceremony": page.ceremony}
        return visitor.post(VERIFY_LOGIN, fields).expect("/", text=user.email)

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

    def add_passkey(self, visitor: Visitor, user: BenchUser) -> Page:
        visitor.get(ADD_PASSKEY, htmx=visitor.htmx)
        page = visitor.post(ADD_PASSKEY, {"password": PASSWORD, "code": user.code()})
        answer = SoftKey().create(page.options, origin=visitor.origin)
        page = visitor.post(ADD_PASSKEY, {"credential": json.dumps(answer), "ceremony": page.ceremony, "name": ""})
        return page.expect(ADD_PASSKEY if visitor.htmx else SETTINGS, text="Passkey")

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
    """A journey: a method of Client. The method `before` runs first and is not measured."""

    title: str
    method: str
    account: str = "on"  # of the user: "on", "off", or "passkey": on, with a passkey beside the app
    signed_in: bool = False
    before: str = ""
    htmx: bool = True


JOURNEYS = (
    Journey("sign-in", "sign_in"),
    Journey("sign-in, no JavaScript", "sign_in", htmx=False),
    Journey("sign-in by passkey", "sign_in_by_passkey", account="passkey"),
    Journey("sign-in by backup code", "sign_in_by_backup_code"),
    Journey("sign-in, unknown address", "unknown_address"),
    Journey("refusal of a wrong code", "wrong_code", before="enter_password"),
    Journey("security page", "open_settings", signed_in=True),
    Journey("turning on", "turn_on", signed_in=True, account="off"),
    Journey("adding a passkey", "add_passkey", signed_in=True),
    Journey("new codes", "new_codes", signed_in=True),
    Journey("turning off", "turn_off", signed_in=True),
)


def journeys_of(client: Client) -> list[Journey]:
    return [journey for journey in JOURNEYS if hasattr(client, journey.method)]
