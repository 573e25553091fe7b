"""Password checks: normalization (RFC 8265), the number of hashes, and hash upgrades that end no session."""

import unicodedata

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from accounts.hashers import Argon2idHasher
from accounts.models import User
from conftest import PASSWORD, SECRET
from twofactor.models import Authenticator, TrustedBrowser
from twofactor.tests.helpers import (
    DISABLE,
    REGENERATE,
    SETTINGS,
    SETUP,
    VERIFY_LOGIN,
    VERIFY_SETUP,
    code_now,
    give_password,
    is_signed_in,
    new_client,
    redirect_target,
    sign_in,
)

pytestmark = pytest.mark.usefixtures("real_hasher")

CHANGE, REAUTHENTICATE = "/accounts/password/change/", "/accounts/2fa/reauthenticate/"
NFC = unicodedata.normalize("NFC", "naïve über pässwörd")
NFD = unicodedata.normalize("NFD", NFC)


def cheap_hash(password=PASSWORD):
    """Return a hash of the site's algorithm with cheaper parameters."""
    hasher = Argon2idHasher()
    hasher.memory_cost, hasher.time_cost = 8, 1
    return hasher.encode(password, "saltsaltsalt")


def pbkdf2_hash(password=PASSWORD):
    return PBKDF2PasswordHasher().encode(password, "saltsaltsalt", iterations=1000)


@pytest.fixture
def hashes(monkeypatch):
    """The calls of the hasher so far."""
    computed = []
    for name in ("encode", "verify"):
        real = getattr(Argon2idHasher, name)
        monkeypatch.setattr(
            Argon2idHasher, name, lambda *args, name=name, real=real: computed.append(name) or real(*args)
        )
    return computed


# --- Hash upgrades --------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [cheap_hash, pbkdf2_hash])
def test_a_hash_upgrade_keeps_the_session_hash(user, old):
    User.objects.update(password=old())
    user.refresh_from_db()
    before = user.get_session_auth_hash()
    assert user.check_password(PASSWORD)
    after = User.objects.get()
    assert after.password == user.password != old()
    assert after.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert after.get_session_auth_hash() == user.get_session_auth_hash() == before


@pytest.mark.parametrize("password", ["basalt-9-Lantern-heron", PASSWORD, None])
def test_setting_a_password_changes_the_session_hash_even_if_it_is_the_same(user, password):
    before = user.get_session_auth_hash()
    user.set_password(password)
    assert user.get_session_auth_hash() != before


def test_setting_an_unusable_password_changes_the_session_hash(user):
    before = user.get_session_auth_hash()
    user.set_unusable_password()
    assert user.get_session_auth_hash() != before


def test_users_with_the_same_password_have_different_session_hashes(user, make_user):
    assert user.get_session_auth_hash() != make_user("bob@example.com").get_session_auth_hash()


def test_a_session_signed_with_an_earlier_secret_key_stays_valid(user, settings):
    client = sign_in(new_client(), user)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another-secret-key" * 4
    assert list(user.get_session_auth_fallback_hash()) == [client.session["_auth_user_hash"]]
    assert user.get_session_auth_hash() != client.session["_auth_user_hash"]


def test_a_hash_upgrade_does_not_undo_a_concurrent_password_change(user):
    User.objects.update(password=cheap_hash())
    user.refresh_from_db()
    meanwhile = User.objects.get()
    meanwhile.set_password("basalt-9-Lantern-heron")
    meanwhile.save()
    user.check_password(PASSWORD)
    assert User.objects.get().check_password("basalt-9-Lantern-heron")


def test_acheck_password_gives_the_same_results(user):
    before = user.get_session_auth_hash()
    User.objects.update(password=pbkdf2_hash())
    user.refresh_from_db()
    assert async_to_sync(user.acheck_password)(PASSWORD)
    assert not async_to_sync(user.acheck_password)("wrong-wrong-wrong")
    assert user.get_session_auth_hash() == before


def proof():
    Authenticator.objects.update(last_time_step=-1)
    return {"password": PASSWORD, "code": code_now(SECRET)}


PASSWORD_CHECKS = {
    "sign-in": lambda browser, user: give_password(new_client(), user),
    "a new phone": lambda browser, user: browser.post(SETUP, proof()),
    "new backup codes, refused": lambda browser, user: browser.post(REGENERATE, {**proof(), "code": "000000"}),
    "turning 2FA off, refused": lambda browser, user: browser.post(DISABLE, {**proof(), "code": "000000"}),
    "reauthentication": lambda browser, user: browser.post(REAUTHENTICATE, proof()),
    "password change, refused": lambda browser, user: browser.post(
        CHANGE, {"oldpassword": PASSWORD, "password1": "short"}
    ),
}


@pytest.mark.parametrize("form", PASSWORD_CHECKS)
def test_a_hash_upgrade_ends_no_session_pending_sign_in_or_trusted_browser(user, authenticator, settings, form):
    settings.TWOFACTOR_TRUST_DAYS = 30
    current, other, pending, trusted = (new_client(REMOTE_ADDR=f"192.0.2.{number}") for number in range(1, 5))
    for browser, fields in [(current, {}), (other, {}), (trusted, {"trust": "on"})]:
        give_password(browser, user)
        browser.post(VERIFY_LOGIN, {"code": proof()["code"], **fields})
    trusted.post("/accounts/logout/")
    give_password(pending, user)
    User.objects.update(password=pbkdf2_hash())
    PASSWORD_CHECKS[form](current, user)
    assert User.objects.get().password.startswith("argon2$"), "The hash was not upgraded."
    assert current.get(SETTINGS).status_code == other.get(SETTINGS).status_code == 200
    pending.post(VERIFY_LOGIN, {"code": proof()["code"]})
    assert is_signed_in(pending)
    assert list(current.get(SETTINGS).context["browsers"]) == list(TrustedBrowser.objects.all()) != []
    give_password(trusted, user)
    assert is_signed_in(trusted)


def test_a_hash_upgrade_ends_no_setup(user):
    current, other = (sign_in(new_client(), user) for _ in range(2))
    key = current.post(SETUP, {"password": PASSWORD}).context["key"].replace(" ", "")
    User.objects.update(password=pbkdf2_hash())
    other.post(SETUP, {"password": PASSWORD})
    assert User.objects.get().password.startswith("argon2$")
    assert len(current.post(VERIFY_SETUP, {"code": code_now(key)}).context["codes"]) == 10


# --- Normalization --------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [NFC, NFD])
@pytest.mark.parametrize("typed", [NFC, NFD])
def test_a_password_matches_in_every_unicode_normalization(make_user, chosen, typed):
    user = make_user(password=chosen)
    client = new_client()
    give_password(client, user, password=typed)
    assert is_signed_in(client)
    answer = client.post(SETUP, {"password": typed})
    assert "key" in answer.context


def test_a_hash_without_normalization_is_replaced_by_one_of_nfc(user):
    User.objects.update(password=make_password(NFD))
    user.refresh_from_db()
    before = user.get_session_auth_hash()
    assert user.check_password(NFD)
    assert User.objects.get().check_password(NFC)
    assert User.objects.get().get_session_auth_hash() == before


def test_a_letter_of_two_code_points_counts_as_one_character(db):
    with pytest.raises(ValidationError) as raised:
        validate_password(unicodedata.normalize("NFD", "üöä" * 3))
    assert [error.code for error in raised.value.error_list] == ["password_too_short"]
    validate_password(unicodedata.normalize("NFD", "üöä" * 4))


# --- Number of hashes (timing equalisation) -------------------------------------------------------


def unknown_user(make_user):
    return User(email="nobody@example.com")


def user_without_password(make_user):
    user = make_user()
    user.set_unusable_password()
    user.save()
    return user


def inactive_user(make_user):
    return make_user(is_active=False)


@pytest.mark.parametrize(
    "make_account", [lambda make_user: make_user(), unknown_user, user_without_password, inactive_user]
)
@pytest.mark.parametrize("typed, count", [("wrong-wrong-wrong", 1), (NFC, 1), (NFD, 2), ("x" * 129, 0)])
def test_a_wrong_password_takes_the_same_number_of_hashes_for_every_account(
    make_user, hashes, make_account, typed, count
):
    user = make_account(make_user)
    hashes.clear()
    response = give_password(new_client(), user, password=typed)
    assert response.context["form"].errors
    assert len(hashes) == count


def test_sign_up_refuses_a_too_long_password_without_hashing_it(db, hashes):
    fields = {"full_name": "Bob New", "email": "bob@example.com", "password1": "x" * 129}
    assert new_client().post("/accounts/signup/", fields).context["form"].errors
    assert not hashes


def test_a_password_change_does_not_hash_a_too_long_old_password(hashes, user):
    client = sign_in(new_client(), user)
    hashes.clear()
    client.post(CHANGE, {"oldpassword": "x" * 129, "password1": "basalt-9-Lantern-heron"})
    assert not hashes
    assert redirect_target(client.get(SETTINGS)) == ""
