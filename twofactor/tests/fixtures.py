"""Fixtures that the app's tests and the site's tests share. Each conftest.py has its own `make_user`."""

import itertools
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from django.core.mail import EmailMessage

from twofactor.models import AuthenticatorApp, Passkey, SecondFactor
from twofactor.tests import rfc6238
from twofactor.tests.constants import SECRET
from twofactor.tests.passkeys import add_passkey
from twofactor.tests.rows import run_on_commit
from twofactor.tests.softkey import SoftKey


@pytest.fixture
def user(make_user: Callable[..., Any]) -> Any:
    return make_user()


@pytest.fixture
def secret() -> str:
    return SECRET


@pytest.fixture
def backup_codes(user: Any, secret: str) -> list[str]:
    """Turn 2FA on for the user, and return the ten backup codes in clear."""
    return AuthenticatorApp.objects.activate(user, secret=secret)


@pytest.fixture
def second_factor(user: Any, backup_codes: list[str]) -> SecondFactor:
    return SecondFactor.objects.get(user=user)


@pytest.fixture
def make_passkey() -> Callable[..., Passkey]:
    """Make a passkey, without a row, whose key verifies nothing."""
    numbers = itertools.count(1)

    def make(**fields: Any) -> Passkey:
        given = {"rp_id": "testserver", "name": "Key", "public_key": b"key", "user_handle": b"h" * 64, **fields}
        return Passkey(**{"credential_id": next(numbers).to_bytes(16), **given})

    return make


@pytest.fixture
def key() -> SoftKey:
    """A synced passkey that verifies its user, in software."""
    return SoftKey()


@pytest.fixture
def passkey(user: Any, key: SoftKey) -> Passkey:
    """A passkey of the user, made by `key`: the only credential, unless the test has another one first."""
    return add_passkey(user, key)


@pytest.fixture
def code_at(secret: str) -> Callable[[float], str]:
    """The code of `secret` at a Unix time, from an implementation that is independent of the app."""
    return lambda unix_time: rfc6238.code_at(secret, unix_time)


@pytest.fixture
def oathtool() -> Callable[[str, float], str]:
    """The code of a base32 secret at a Unix time, from oathtool."""
    program = shutil.which("oathtool")
    if program is None:
        pytest.skip("oathtool is not installed")

    def code(secret: str, unix_time: float) -> str:
        command = [program, "--totp", "--base32", f"--now=@{int(unix_time)}", secret]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return code


@pytest.fixture
def emails_to(mailoutbox: list[EmailMessage]) -> Callable[[str], list[EmailMessage]]:
    """Return the emails sent to an address so far, oldest first."""

    def emails(address: str) -> list[EmailMessage]:
        run_on_commit()
        return [message for message in mailoutbox if address in message.to]

    return emails
