"""The challenges of passkeys. They are signed and not stored: showing a form writes nothing, and any process checks it.

A challenge is good for five minutes, and for one purpose, session or pending sign-in, user and version of 2FA. Two tabs
have a challenge each. limits.use_challenge() makes sure that none is accepted twice.
"""

import base64
import secrets
from dataclasses import dataclass

from django.core import signing

from twofactor import conf
from twofactor.refusals import Refused

REGISTER, SECOND_FACTOR, STEP_UP = "register", "second factor", "step-up"
CHALLENGE_BYTES = 32


@dataclass(frozen=True)
class Ceremony:
    """`user_handle`: the one that the new passkey gets; empty for an assertion."""

    challenge: bytes
    user_handle: bytes = b""


@dataclass(frozen=True)
class Scope:
    """What a challenge is bound to. `browser`: the session key, or the ID of the pending sign-in."""

    purpose: str
    browser: str
    user: object  # its primary key
    version: str  # "" while 2FA is off

    @property
    def salt(self) -> str:
        return f"twofactor.ceremonies:{self.purpose}:{self.browser}:{self.user}:{self.version}"


def begin(scope: Scope, *, user_handle: bytes = b"") -> tuple[Ceremony, str]:
    """Return a ceremony with a new challenge, and the token that brings it back."""
    ceremony = Ceremony(secrets.token_bytes(CHALLENGE_BYTES), user_handle)
    values = [encode(ceremony.challenge), encode(ceremony.user_handle)]
    return ceremony, signing.dumps(values, salt=scope.salt)


def read(token: str, scope: Scope) -> Ceremony:
    """Return the ceremony of this token. Raise Refused if it has expired, or if it is not one of this scope."""
    try:
        values = signing.loads(token, salt=scope.salt, max_age=conf.CEREMONY_SECONDS)
    except signing.SignatureExpired:
        raise Refused("wrong", why="expired") from None
    except (signing.BadSignature, ValueError):  # ValueError: lone surrogates
        raise Refused("wrong", why="ceremony") from None
    return Ceremony(*map(decode, values))


def encode(data: bytes) -> str:
    """Encode as base64url without padding, as WebAuthn does."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
