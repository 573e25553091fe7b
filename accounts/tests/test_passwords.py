"""Passwords: validation, hashing, normalization (RFC 8265), the number of hashes, and upgrades that end no session."""

import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.hashers import Argon2PasswordHasher, PBKDF2PasswordHasher, ScryptPasswordHasher, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from accounts.hashers import Argon2idHasher
from accounts.models import User
from twofactor.models import AuthenticatorApp, TrustedBrowser
from twofactor.tests.constants import PASSWORD, REAUTHENTICATE, SECRET, SETTINGS, VERIFY_LOGIN
from twofactor.tests.helpers import code_now, give_password, is_signed_in, new_client, sign_in

pytestmark = pytest.mark.usefixtures("real_hasher")

NEW_PASSWORD = "basalt-9-Lantern-heron"
ARGON2ID = "argon2$argon2id$v=19$m=19456,t=2,p=1$"
NFC = unicodedata.normalize("NFC", "naïve² über pässwörd")
NFD = unicodedata.normalize("NFD", NFC)


def cheap_hash():
    """Return a hash of the site's algorithm with cheaper parameters."""
    hasher = Argon2idHasher()
    hasher.memory_cost, hasher.time_cost = 8, 1
    return hasher.encode(PASSWORD, "saltsaltsalt")


def pbkdf2_hash():
    return PBKDF2PasswordHasher().encode(PASSWORD, "saltsaltsalt", iterations=1000)


def validation_errors(password):
    try:
        return validate_password(password, User(email="ada@example.com", full_name="Ada Example"))
    except ValidationError as error:
        return [each.code for each in error.error_list]


# --- Validation and hashing -----------------------------------------------------------------------


@pytest.mark.parametrize("length, expected", [
    (11, ["password_too_short"]), (12, None), (128, None), (129, ["password_too_long"]), (10**6, ["password_too_long"]),
])  # fmt: skip
def test_a_password_has_12_to_128_characters(length, expected):
    assert validation_errors(("qz7 Ümläut~" * (length // 11 + 1))[:length]) == expected


def test_a_letter_of_two_code_points_counts_as_one_character():
    assert validation_errors(unicodedata.normalize("NFD", "üöä" * 3)) == ["password_too_short"]
    assert not validation_errors(unicodedata.normalize("NFD", "üöä" * 4))


def test_common_passwords_and_the_users_own_name_are_refused():
    assert validation_errors("1qaz2wsx3edc") == ["password_too_common"]
    assert validation_errors("ada@example.com") == ["password_too_similar"]
    assert validation_errors("ada example x") == ["password_too_similar"]


@pytest.mark.parametrize("password", ["onlylowercaseletters", "8471 9930 2265 71", "🐟🐠🐡🦈🐙🦑🦐🦞🦀🐚🐳🐋"])
def test_there_are_no_rules_about_character_classes(password):
    assert not validation_errors(password)


def test_passwords_are_hashed_with_argon2id_19_mib_two_passes_one_lane():
    assert make_password(PASSWORD).startswith(ARGON2ID)


def test_a_process_computes_at_most_two_hashes_at_a_time(monkeypatch):
    running, counts, never = [], [], threading.Event()

    def verify(*args):
        running.append(args)
        counts.append(len(running))
        never.wait(0.02)  # Give the other threads time to start.
        return bool(running.pop())

    monkeypatch.setattr(Argon2PasswordHasher, "verify", verify)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: Argon2idHasher().verify(PASSWORD, "hash"), range(8)))
    assert max(counts) == 2


# --- Hash upgrades --------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [
    cheap_hash, pbkdf2_hash, lambda: ScryptPasswordHasher().encode(PASSWORD, "saltsaltsalt", n=2),
])  # fmt: skip
def test_a_hash_upgrade_keeps_the_session_hash(user, old):
    User.objects.update(password=old())
    user.refresh_from_db()
    before = user.get_session_auth_hash()
    assert not async_to_sync(user.acheck_password)("wrong-wrong-wrong")
    assert user.password == old()
    assert async_to_sync(user.acheck_password)(PASSWORD)
    after = User.objects.get()
    assert after.password == user.password
    assert after.password.startswith(ARGON2ID)
    assert after.get_session_auth_hash() == user.get_session_auth_hash() == before


@pytest.mark.parametrize("password", [NEW_PASSWORD, PASSWORD, None])
def test_setting_a_password_changes_the_session_hash_even_if_it_is_the_same(user, password):
    hashes = {user.get_session_auth_hash()}
    for change in (lambda: user.set_password(password), user.set_unusable_password):
        change()
        hashes.add(user.get_session_auth_hash())
    assert len(hashes) == 3


def test_a_session_signed_with_an_earlier_secret_key_stays_valid(user, settings):
    client = sign_in(new_client(), user)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another-secret-key" * 4
    assert list(user.get_session_auth_fallback_hash()) == [client.session["_auth_user_hash"]]
    assert user.get_session_auth_hash() != client.session["_auth_user_hash"]


def test_a_hash_upgrade_does_not_undo_a_concurrent_password_change(user):
    User.objects.update(password=cheap_hash())
    user.refresh_from_db()
    meanwhile = User.objects.get()
    meanwhile.set_password(NEW_PASSWORD)
    meanwhile.save()
    user.check_password(PASSWORD)
    assert User.objects.get().check_password(NEW_PASSWORD)


def test_a_hash_upgrade_ends_no_session_pending_sign_in_or_trusted_browser(user, second_factor, settings):
    def code():
        AuthenticatorApp.objects.update(last_time_step=-1)
        return code_now(SECRET)

    settings.TWOFACTOR_TRUST_DAYS = 30
    current, pending, trusted = (new_client(REMOTE_ADDR=f"192.0.2.{number}") for number in range(1, 4))
    for browser, fields in [(current, {}), (trusted, {"trust": "on"})]:
        give_password(browser, user)
        browser.post(VERIFY_LOGIN, {"code": code(), **fields})
    trusted.post("/accounts/logout/")
    give_password(pending, user)
    User.objects.update(password=pbkdf2_hash())
    current.post(REAUTHENTICATE, {"password": PASSWORD, "code": code()})
    assert User.objects.get().password.startswith(ARGON2ID), "The hash was not upgraded."
    assert list(current.get(SETTINGS).context["browsers"]) == list(TrustedBrowser.objects.all()) != []
    pending.post(VERIFY_LOGIN, {"code": code()})
    assert is_signed_in(pending)
    give_password(trusted, user)
    assert is_signed_in(trusted)


# --- Normalization and the number of hashes (timing equalization) ---------------------------------


def test_a_password_matches_in_every_unicode_normalization():
    for chosen in (NFC, NFD):
        user = User()
        user.set_password(chosen)
        assert user.check_password(NFC)
        assert user.check_password(NFD)
        assert not user.check_password(unicodedata.normalize("NFKC", NFC)), "Similar characters count as equal."


def test_a_hash_without_normalization_is_replaced_by_one_of_nfc(user):
    User.objects.update(password=make_password(NFD))
    user.refresh_from_db()
    before = user.get_session_auth_hash()
    assert user.check_password(NFD)
    assert User.objects.get().check_password(NFC)
    assert User.objects.get().get_session_auth_hash() == before


@pytest.mark.parametrize("fields", [{}, {"password": None}, {"is_active": False}, None],
                         ids=["active", "without password", "inactive", "unknown"])  # fmt: skip
def test_a_wrong_password_takes_the_same_number_of_hashes_for_every_account(make_user, monkeypatch, fields):
    user = User(email="nobody@example.com") if fields is None else make_user(**fields)
    hashes = []
    monkeypatch.setattr(Argon2idHasher, "encode", lambda *args: hashes.append(args) or "hash")
    monkeypatch.setattr(Argon2idHasher, "verify", lambda *args: bool(hashes.append(args)))
    for typed, count in (("wrong-wrong-wrong", 1), (NFC, 1), (NFD, 2), ("x" * 129, 0)):
        hashes.clear()
        assert give_password(new_client(), user, password=typed).context["form"].errors
        assert len(hashes) == count, typed


def test_a_sign_up_takes_the_same_number_of_hashes_whether_or_not_the_address_is_taken(user, monkeypatch):
    hashes = []
    monkeypatch.setattr(Argon2idHasher, "encode", lambda *args: hashes.append(args) or "argon2$hash")
    for email in (user.email, "free@example.com"):
        hashes.clear()
        fields = {"full_name": "Ada Example", "email": email, "password1": PASSWORD}
        assert new_client().post("/accounts/signup/", fields).status_code == 302
        assert len(hashes) == 1, email
        assert new_client().post("/accounts/signup/", {**fields, "password1": "x" * 129}).context["form"].errors
        assert len(hashes) == 1, "A password that is too long is hashed."
