"""Rate limits. Each try is charged before the check, and given back if it was right. The rows are in the database."""

from dataclasses import dataclass
from ipaddress import ip_network

from allauth.account.adapter import get_adapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from twofactor import conf
from twofactor.models import Limit
from twofactor.models.limit import CLOSED, limit_key

HOUR, DAY = 60 * 60, 24 * 60 * 60  # seconds
# The hits of a pending sign-in that was completed, or ended because its tries were used up.
COMPLETED, USED_UP = CLOSED, CLOSED + 1


@dataclass(frozen=True)
class Tries:
    """At most `amount` tries in `seconds`, counted from the first one."""

    key: str
    amount: int
    seconds: int

    def charge(self) -> bool:
        """Use one try before the check; False if none is left."""
        return Limit.objects.hit(self.key, self.amount, self.seconds)

    def left(self) -> int:
        return max(0, self.amount - Limit.objects.hits_and_wait(self.key)[0])

    def wait(self) -> int:
        """Return for how many more seconds tries are refused, at least 1."""
        return max(1, Limit.objects.hits_and_wait(self.key)[1])

    def clear(self) -> None:
        Limit.objects.clear(self.key)


def give_back(*tries: Tries) -> None:
    """Give back one try each, in one statement."""
    Limit.objects.give_back(*[one.key for one in tries])


def source_of(request: HttpRequest) -> str:
    """Return the IPv4 address or the IPv6 /64 of this request."""
    ip = get_adapter().get_client_ip(request)
    return str(ip_network(f"{ip}/64", strict=False)) if ":" in ip else ip


def codes_of_source(request: HttpRequest) -> Tries:
    """Wrong codes from one source, over all accounts."""
    return Tries(limit_key("codes", source_of(request)), *conf.SOURCE_RATE)


def setup(sealed_secret: str) -> Tries:
    """Wrong codes typed in one setup."""
    return Tries(limit_key("setup", sealed_secret), conf.PENDING_TRIES, conf.SETUP_SECONDS)


def use_challenge(challenge: bytes) -> bool:
    """Return True to the one request that may accept an answer to this challenge of a passkey."""
    # The row outlives the challenge.
    return Limit.objects.create_once(limit_key("challenge", challenge.hex()), 2 * conf.CEREMONY_SECONDS)


def passwords_of_session(session_key: str | None) -> Tries:
    """Wrong passwords in a row in one session. Other sessions cannot use them up."""
    return Tries(limit_key("passwords", session_key), *conf.STEP_UP_RATE)


def session_end(session_key: str | None) -> Tries:
    """The one record of the end of a session by wrong passwords, which parallel requests may all cause."""
    return Tries(limit_key("session_end", session_key), 1, DAY)


def failure_email(kind: str, user: AbstractBaseUser) -> Tries:
    """The one email an hour to a user about wrong codes or passwords."""
    return Tries(limit_key(kind, user.pk), 1, HOUR)


def new_browser_email(user: AbstractBaseUser) -> Tries:
    """The emails a day to a user about sign-ins from new browsers."""
    return Tries(limit_key("new_browser_email", user.pk), conf.NEW_BROWSER_EMAILS, DAY)


def email_to(kind: str, address: str) -> Tries:
    """The emails of one kind that anyone can trigger to this address."""
    return Tries(limit_key(f"email_{kind}", address.lower()), 3, HOUR)


class SignInTries(Tries):
    """The five tries of one pending sign-in, and its end, which happens once."""

    def complete(self) -> bool:
        """Return True to the one request that completes the sign-in. A copy of its session cannot repeat it.

        It succeeds after `end` too: the right code was one of the five tries, and was still being checked.
        """
        return Limit.objects.filter(pk=self.key).exclude(hits=COMPLETED).update(hits=COMPLETED) == 1

    def complete_without_charge(self) -> bool:
        """Do what `complete` does after an answer that was not charged. It does not succeed after `end`."""
        if Limit.objects.create_once(self.key, self.seconds, hits=COMPLETED):
            return True
        return Limit.objects.filter(pk=self.key, hits__lt=CLOSED).update(hits=COMPLETED) == 1

    def end(self) -> bool:
        """Return True to the one request that ends the sign-in after its tries are used up."""
        return Limit.objects.filter(pk=self.key, hits__lte=self.amount).update(hits=USED_UP) == 1

    @property
    def hits(self) -> int:
        return Limit.objects.hits_and_wait(self.key)[0]


def sign_in(pending_id: str) -> SignInTries:
    return SignInTries(limit_key("sign_in", pending_id), conf.PENDING_TRIES, conf.SIGN_IN_LIMIT_SECONDS)
