"""One function per event. It writes a row and a log line, emails the owner, and sends the host's signal."""

import logging
import re
from typing import Protocol

from allauth.account.adapter import get_adapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest

from twofactor import adapter, conf, known_browsers, limits, mail, signals
from twofactor.models import SecondFactor, SecurityEvent
from twofactor.models.event import SIGN_INS
from twofactor.refusals import Refused

Kind = SecurityEvent.Kind
logger = logging.getLogger("twofactor")
# Their emails extend twofactor/email/sign_in.html, whose button leads to "This wasn't me".
ABOUT_SIGN_INS = {Kind.NEW_BROWSER, Kind.WRONG_CODES, Kind.BROWSER_TRUSTED}


class Method(Protocol):
    """A method of the second factor, such as a form class."""

    key: str
    refused_event: str  # in the log


def turned_on(request: HttpRequest, user: AbstractBaseUser, *, by: str = "app") -> None:
    """Record the first credential, `by`: "app" or "passkey"."""
    _record(Kind.TURNED_ON, user, request, by=by)
    _signal(signals.turned_on, user, request, by=by)


def turned_off(request: HttpRequest, user: AbstractBaseUser) -> None:
    _record(Kind.TURNED_OFF, user, request)
    _signal(signals.turned_off, user, request, by="owner", reason="")


def codes_regenerated(request: HttpRequest, user: AbstractBaseUser) -> None:
    _record(Kind.CODES_REGENERATED, user, request)
    _signal(signals.codes_regenerated, user, request)


def phone_changed(request: HttpRequest, user: AbstractBaseUser) -> None:
    _record(Kind.PHONE_CHANGED, user, request)
    _signal(signals.phone_changed, user, request)


def passkey_added(request: HttpRequest, user: AbstractBaseUser, *, name: str) -> None:
    _record(Kind.PASSKEY_ADDED, user, request, name=name)
    _signal(signals.passkey_added, user, request)


def passkey_removed(request: HttpRequest, user: AbstractBaseUser, *, name: str) -> None:
    _record(Kind.PASSKEY_REMOVED, user, request, name=name)
    _signal(signals.passkey_removed, user, request)


def passkey_copied(request: HttpRequest, user: AbstractBaseUser, *, name: str) -> None:
    """Record that the sign count of a passkey went back. Email the owner at most once an hour."""
    email = limits.failure_email("copy_email", user).charge()
    _record(Kind.PASSKEY_COPIED, user, request, email=email, name=name)
    _signal(signals.passkey_copied, user, request)


def app_added(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Record an authenticator app beside passkeys."""
    _record(Kind.APP_ADDED, user, request)
    _signal(signals.app_added, user, request)


def app_removed(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Record that passkeys are the only credentials from now on."""
    _record(Kind.APP_REMOVED, user, request)
    _signal(signals.app_removed, user, request)


def backup_code_used(request: HttpRequest, user: AbstractBaseUser, *, codes_left: int) -> None:
    _record(Kind.BACKUP_CODE_USED, user, request, codes_left=codes_left)
    _signal(signals.backup_code_used, user, request, codes_left=codes_left)


def wrong_codes(request: HttpRequest, second_factor: SecondFactor, *, signed_in: bool = False) -> None:
    """Record five wrong codes in a row after the right password. Email the owner at most once an hour.

    `signed_in`: the codes were typed in a session, on a form without a password.
    """
    email = limits.failure_email("code_email", second_factor.user).charge()
    _record(Kind.WRONG_CODES, second_factor.user, request, email=email, signed_in=signed_in)


def wrong_passwords(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Record that ten wrong passwords in a row ended a session. Email the owner at most once an hour."""
    email = limits.failure_email("password_email", user).charge()
    _record(Kind.WRONG_PASSWORDS, user, request, email=email)


def locked(request: HttpRequest, second_factor: SecondFactor) -> None:
    _record(Kind.LOCKED, second_factor.user, request)
    _signal(signals.locked, second_factor.user, request)


def reset_by_staff(request: HttpRequest | None, user: AbstractBaseUser, *, reason: str) -> None:
    _record(Kind.RESET_BY_STAFF, user, request, by_owner=False, reason=reason)
    _signal(signals.turned_off, user, request, by="staff", reason=reason)


def unlocked_by_staff(request: HttpRequest | None, user: AbstractBaseUser, *, reason: str) -> None:
    _record(Kind.UNLOCKED_BY_STAFF, user, request, by_owner=False, reason=reason)


def browser_trusted(request: HttpRequest, user: AbstractBaseUser) -> None:
    _record(Kind.BROWSER_TRUSTED, user, request, days=conf.trust_days())


def signed_in(request: HttpRequest | None, user: AbstractBaseUser) -> None:
    """Record a sign-in, and whether the browser is new to the account.

    The first sign-in on record is not from a new browser, nor is one without a request, by code of the host.
    """
    sign_ins = SecurityEvent.objects.filter(user_id=user.pk, kind__in=SIGN_INS)
    if request is None or known_browsers.has_signed_in(request, user) or not sign_ins.exists():
        _record(Kind.SIGNED_IN, user, request, email=False)
    else:
        _new_browser(request, user)


def _new_browser(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Record a sign-in from a browser that is new to the account. Email the owner at most five times a day."""
    tries = limits.new_browser_email(user)
    with transaction.atomic():  # parallel sign-ins wait here, so only one of them finds that no email is left
        email = conf.new_browser_email() and tries.charge()
        is_last = email and not tries.left()
    _record(Kind.NEW_BROWSER, user, request, email=email, is_last=is_last)


def sessions_ended(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Record that the owner ended all other sessions."""
    _record(Kind.SESSIONS_ENDED, user, request, email=False)


def account_changed(kind: Kind, user: AbstractBaseUser, request: HttpRequest | None, *, by_owner: bool = True) -> None:
    """Record a change of the password or of an address. allauth emails the owner."""
    _record(kind, user, request, email=False, by_owner=by_owner)


def accepted(request: HttpRequest, user: AbstractBaseUser, *, method: str) -> None:
    """Send the signal only. The sign-in has a row of its own."""
    _signal(signals.accepted, user, request, method=method)


def password_refused(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Log a wrong password typed in a session. There is no row and no signal."""
    ip = get_adapter().get_client_ip(request)
    log(logger, logging.WARNING, "password_refused", user=user.pk, ip=ip)


def refused(request: HttpRequest, user: AbstractBaseUser, method: Method, refusal: Refused) -> None:
    """Log a refused second factor and send the signal. There is no row, because attackers could fill the table."""
    ip = get_adapter().get_client_ip(request)
    log(logger, logging.WARNING, method.refused_event, user=user.pk, factor=method.key, why=refusal.why, ip=ip)
    _signal(signals.failed, user, request, method=method.key, why=refusal.code)


def log(to: logging.Logger, level: int, event: str, /, **fields: object) -> None:
    """Log one line of `name=value` pairs. Structured formatters find the same values in `record.fields`."""
    pairs = " ".join(f"{name}={_log_value(value)}" for name, value in fields.items())
    to.log(level, "event=%s %s", event, pairs, extra={"fields": {"event": event, **fields}})


def _log_value(value: object) -> str:
    """Quote and escape a value, unless it is a single word."""
    return str(value) if re.fullmatch(r"[\w.:-]+", str(value)) else repr(str(value))


def _signal(signal: signals.Signal, user: AbstractBaseUser, request: HttpRequest | None, **more: object) -> None:
    signal.after_commit(SecondFactor, user=user, request=request, **more)


def _record(
    kind: Kind,
    user: AbstractBaseUser,
    request: HttpRequest | None,
    *,
    email: bool = True,
    by_owner: bool = True,
    **context: object,
) -> None:
    """Write the row and the log line, and send the email.

    `by_owner=False`: staff did it. The row and the email omit the staff member's IP address and browser. The log has
    the address and the staff member's primary key, None from a command.
    """
    ip = get_adapter().get_client_ip(request) if request else None
    agent = request.headers.get("User-Agent", "")[:200].replace("\0", "") if request else ""
    by_staff = {} if by_owner else {"staff": getattr(getattr(request, "user", None), "pk", None)}
    event = SecurityEvent.objects.record(user, kind, ip=ip if by_owner else None, user_agent=agent if by_owner else "")
    log(logger, logging.INFO, kind.value, user=user.pk, ip=ip, **by_staff, **context)
    if email and event:
        context |= {
            "user": user,
            "site_name": adapter.current().issuer(request),
            "when": event.created_at,
            "ip": event.ip,
            "user_agent": event.user_agent,
            "url": conf.not_me_url() if kind in ABOUT_SIGN_INS else conf.settings_url(),
        }
        mail.send(f"twofactor/email/{kind}.html", context, user=user)
