"""Passkeys: where they are offered, what the browser is asked to do, and the check of its answer.

webauthn.py verifies the answer; docs/security.md explains the rules.
"""

import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from django.http import HttpRequest
from django.utils.translation import gettext as _

from twofactor import adapter, ceremonies, conf, cose, limits, webauthn
from twofactor.ceremonies import Scope, encode
from twofactor.models import Passkey, SecondFactor
from twofactor.models.passkey import NAME_LENGTH
from twofactor.refusals import Copied, Refused

if TYPE_CHECKING:
    from django.contrib.auth.models import _User

ORIGIN = re.compile(r"(https?)://([a-z0-9.-]+)(?::[0-9]+)?")
HANDLE_BYTES = 64  # random, with nothing of the person in them (Level 3, section 14.6.1)
Options = dict[str, object]


# --- Where they are offered -----------------------------------------------------------------------


def is_domain(rp_id: str) -> bool:
    """Return whether this is a name, and not an IP address, which browsers refuse."""
    try:
        ip_address(rp_id)
    except ValueError:
        return bool(rp_id)
    return False


def is_usable(origin: str) -> bool:
    """Return whether browsers accept passkeys of the RP ID at this origin."""
    parts = ORIGIN.fullmatch(origin)
    if not parts or not is_domain(conf.rp_id()):
        return False
    scheme, host = parts.groups()
    is_secure = scheme == "https" or host.split(".")[-1] == "localhost"
    return is_secure and (host == conf.rp_id() or host.endswith(f".{conf.rp_id()}"))


def usable_origins() -> list[str]:
    """Return the origins at which passkeys are offered, none if they are off."""
    return [origin for origin in conf.origins() if is_usable(origin)] if conf.passkeys() else []


def are_offered(request: HttpRequest) -> bool:
    """Return whether passkeys work at the address of this request."""
    return request.get_host().lower() in [origin.partition("://")[2] for origin in usable_origins()]


def elsewhere(request: HttpRequest) -> str:
    """Return the address at which passkeys work, "" if they are off or work at the address of this request."""
    return "" if are_offered(request) else next(iter(usable_origins()), "")


def offer(request: HttpRequest) -> dict[str, object]:
    """Return the template context of pages that offer passkeys, or say where they work."""
    return {"offers_passkeys": are_offered(request), "passkeys_at": elsewhere(request)}


# --- What the browser is asked --------------------------------------------------------------------


def scope_of(request: HttpRequest, purpose: str, second_factor: SecondFactor | None, *, pending_id: str = "") -> Scope:
    """Return what a challenge is bound to in this request."""
    browser = pending_id or request.session.session_key or ""
    if second_factor is None:
        return Scope(purpose, browser, request.user.pk, "")
    return Scope(purpose, browser, second_factor.user_id, second_factor.version)


def ask_to_register(request: HttpRequest, user: "_User", scope: Scope) -> tuple[str, str]:
    """Return the options of `navigator.credentials.create()` as JSON, and the token of the ceremony."""
    own = passkeys_of(SecondFactor.objects.for_user(user))
    # All passkeys of an account have one user handle, except imported ones.
    handle = next((bytes(passkey.user_handle) for passkey in own if len(passkey.user_handle) == HANDLE_BYTES), b"")
    ceremony, token = ceremonies.begin(scope, user_handle=handle or secrets.token_bytes(HANDLE_BYTES))
    label = adapter.current().label(user)
    public_key: Options = {
        "rp": {"id": conf.rp_id(), "name": adapter.current().issuer(request)},
        "user": {"id": encode(ceremony.user_handle), "name": label, "displayName": user.get_full_name() or label},
        "challenge": encode(ceremony.challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": algorithm} for algorithm in cose.ALGORITHMS],
        "timeout": conf.CEREMONY_SECONDS * 1000,
        "excludeCredentials": _descriptors(own),
        # `required` would refuse old security keys, and `discouraged` some phones.
        "authenticatorSelection": {"residentKey": "preferred", "userVerification": "preferred"},
        "attestation": "none",
        "extensions": {"credProps": True},
    }
    return json.dumps({"publicKey": public_key}), token


def ask_to_sign(scope: Scope, own: Iterable[Passkey], *, must_verify: bool) -> tuple[str, str]:
    """Return the options of `navigator.credentials.get()` as JSON, and the token of the ceremony.

    `must_verify`: require a PIN or biometrics.
    """
    ceremony, token = ceremonies.begin(scope)
    public_key: Options = {
        "challenge": encode(ceremony.challenge),
        "timeout": conf.CEREMONY_SECONDS * 1000,
        "rpId": conf.rp_id(),
        "allowCredentials": _descriptors(own),
        "userVerification": "required" if must_verify else "preferred",
    }
    return json.dumps({"publicKey": public_key}), token


def passkeys_of(second_factor: SecondFactor | None) -> list[Passkey]:
    """Return the passkeys of the account that belong to the RP ID. This costs a query only if there are any."""
    if second_factor is None or not second_factor.passkey_count:
        return []
    return list(second_factor.passkeys.filter(rp_id=conf.rp_id()).order_by("pk"))


def _descriptors(own: Iterable[Passkey]) -> list[Options]:
    return [
        {"type": "public-key", "id": encode(bytes(passkey.credential_id)), "transports": passkey.transports.split()}
        for passkey in own
    ]


# --- The check of the answer ----------------------------------------------------------------------


def _expected(challenge: bytes) -> webauthn.Expected:
    return webauthn.Expected(challenge=challenge, rp_id=conf.rp_id(), origins=usable_origins())


def verify_new(credential: str, token: str, scope: Scope) -> Passkey:
    """Return the passkey of a registration, without a row or a name. Raise Refused if it is not accepted."""
    ceremony = ceremonies.read(token, scope)
    try:
        new = webauthn.verify_registration(credential, _expected(ceremony.challenge))
    except webauthn.Refused as refused:
        raise Refused("wrong", why=refused.why) from None
    return Passkey(
        credential_id=new.credential_id,
        user_handle=ceremony.user_handle,
        public_key=new.public_key,
        rp_id=conf.rp_id(),
        sign_count=new.sign_count,
        transports=" ".join(new.transports),
        aaguid=new.aaguid,
        is_backup_eligible=new.backup_eligible,
        is_backed_up=new.backup_state,
        is_user_verified=new.user_verified,
        is_discoverable=new.discoverable,
    )


def clean_name(typed: str) -> str:
    """Return a name without characters that cannot be seen, cut at NAME_LENGTH."""
    return " ".join("".join(char if char.isprintable() else " " for char in typed).split())[:NAME_LENGTH]


def default_name(passkey: Passkey, second_factor: SecondFactor | None) -> str:
    """Return the name of the provider, with a number if another passkey of the account has that name."""
    taken = second_factor.passkeys.values_list("name", flat=True) if second_factor else ()
    return numbered(passkey.provider or _("Passkey"), set(taken))


def numbered(name: str, taken: set[str]) -> str:
    """Return the name with the first number that makes it unique: "Provider", "Provider 2"."""
    names = [name, *(f"{name} {number}" for number in range(2, len(taken) + 2))]
    return next(each for each in names if each not in taken)[:NAME_LENGTH]


@dataclass(frozen=True)
class Signed:
    """A passkey and what it signed."""

    passkey: Passkey
    assertion: webauthn.Assertion

    @property
    def is_user_verified(self) -> bool:
        """True only if the user was verified when the passkey was added, or later together with the password.

        Otherwise a thief could set the PIN of a security key that had none.
        """
        return self.assertion.user_verified and self.passkey.is_user_verified


def verify(own: Iterable[Passkey], credential: str, challenge: bytes) -> Signed:
    """Verify an assertion by one of these passkeys. Raise Refused if it is not accepted."""
    try:
        credential_id = webauthn.credential_id_of(credential)
        for passkey in own:
            if bytes(passkey.credential_id) == credential_id:
                return Signed(passkey, _verify(passkey, credential, challenge))
    except webauthn.Refused as refused:
        raise Refused("wrong", why=refused.why) from None
    raise Refused("wrong", why="unknown")


def _verify(passkey: Passkey, credential: str, challenge: bytes) -> webauthn.Assertion:
    return webauthn.verify_assertion(
        credential,
        _expected(challenge),
        public_key=bytes(passkey.public_key),
        user_handle=bytes(passkey.user_handle),
        backup_eligible=passkey.is_backup_eligible,
    )


def use_up(signed: Signed, challenge: bytes, *, has_password: bool, now: float) -> None:
    """Record the use of a passkey. Raise Refused if the challenge was used before, or the sign count is older.

    `has_password`: the password was proved too. Of parallel requests with one challenge at most one succeeds.
    """
    passkey, assertion = signed.passkey, signed.assertion
    passkey.is_backup_eligible = assertion.backup_eligible  # of an imported passkey, it may not have been known
    if not limits.use_challenge(challenge):
        raise Refused("wrong", why="used")
    if passkey.has_older_count(assertion.sign_count):
        raise Copied(passkey.name)
    is_used = passkey.use(
        sign_count=assertion.sign_count,
        is_backed_up=assertion.backup_state,
        is_verified=assertion.user_verified and has_password,
        now=now,
    )
    if not is_used:
        raise Refused("wrong", why="used")
