"""Key rotation, and a check that TWOFACTOR_KEYS opens every secret."""

from collections.abc import Callable, Iterator

from twofactor import conf
from twofactor.crypto import Keyring, Unsealable, kid_of
from twofactor.models import AuthenticatorApp


def rotate(report: Callable[[str], object]) -> tuple[int, int]:
    """Seal every secret with the first of TWOFACTOR_KEYS. Return how many were sealed again and how many do not open.

    Call `report` with a line for each secret that does not open. Each row is written by itself, so the rotation can be
    stopped at any time and run again.
    """
    keyring = conf.keyring()
    sealed = failed = 0
    for app in _all_apps():
        try:
            sealed += _seal_again(app, keyring)
        except Unsealable as error:
            failed += 1
            report(f"user {app.second_factor.user_id}: {error}")
    return sealed, failed


def _all_apps() -> Iterator[AuthenticatorApp]:
    return AuthenticatorApp.objects.select_related("second_factor").order_by("pk").iterator()


def _seal_again(app: AuthenticatorApp, keyring: Keyring) -> int:
    secret = app.secret
    if kid_of(app.sealed_secret) == keyring.sealing_kid:
        return 0
    # Compare-and-swap: if the user moved to a new phone meanwhile, the new secret is already sealed with the first key.
    unchanged = AuthenticatorApp.objects.filter(pk=app.pk, sealed_secret=app.sealed_secret)
    return unchanged.update(sealed_secret=keyring.seal(secret, owner=str(app.second_factor.user_id)))


def check(report: Callable[[str], object]) -> tuple[int, int]:
    """Open every secret, those of inactive users too. Return how many open and how many there are.

    Call `report` with a line for each secret that does not open.
    """
    opened = total = 0
    for app in _all_apps():
        total += 1
        if error := app.unsealing_error:
            report(f"user {app.second_factor.user_id}: {error}")
        else:
            opened += 1
    return opened, total
