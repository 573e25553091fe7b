"""A password is one text in every spelling, costs a known number of hashes, and is not changed by a better hash."""

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

CHANGE, REAUTHENTICATE = "/accounts/password/change/", "/accounts/reauthenticate/"
NFC = unicodedata.normalize("NFC", "naïve über pässwörd")
NFD = unicodedata.normalize("NFD", NFC)
CHEAPER = "argon2$argon2id$v=19$m=8,t=1,p=1$"


def cheaper_hash(password=PASSWORD):
    """A hash by the site's hasher as it was before its cost was raised."""
    hasher = Argon2idHasher()
    hasher.memory_cost, hasher.time_cost = 8, 1
    return hasher.encode(password, "saltsaltsalt")


def older_hash(password=PASSWORD):
    return PBKDF2PasswordHasher().encode(password, "saltsaltsalt", iterations=1000)


@pytest.fixture
def hashes(monkeypatch):
    """The hashes that were computed so far."""
    computed = []
    for name in ("encode", "verify"):
        real = getattr(Argon2idHasher, name)
        monkeypatch.setattr(
            Argon2idHasher, name, lambda *args, name=name, real=real: computed.append(name) or real(*args)
        )
    return computed


# --- A better hash is no change -------------------------------------------------------------------


@pytest.mark.parametrize("old", [cheaper_hash, older_hash])
def test_a_better_hash_of_the_same_password_changes_no_session_hash(user, old):
    User.objects.update(password=old())
    user.refresh_from_db()
    before = user.get_session_auth_hash()
    assert user.check_password(PASSWORD)
    after = User.objects.get()
    assert after.password == user.password != old()
    assert after.password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert after.get_session_auth_hash() == user.get_session_auth_hash() == before


@pytest.mark.parametrize("password", ["basalt-9-Lantern-heron", PASSWORD, None])
def test_a_password_that_is_set_changes_the_session_hash_even_if_it_is_the_same(user, password):
    before = user.get_session_auth_hash()
    user.set_password(password)
    assert user.get_session_auth_hash() != before


def test_taking_the_password_away_changes_the_session_hash(user):
    before = user.get_session_auth_hash()
    user.set_unusable_password()
    assert user.get_session_auth_hash() != before


def test_two_users_with_one_password_have_different_session_hashes(user, make_user):
    assert user.get_session_auth_hash() != make_user("bob@example.com").get_session_auth_hash()


def test_a_session_signed_with_an_earlier_secret_key_goes_on(user, settings):
    client = sign_in(new_client(), user)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another-secret-key" * 4
    assert list(user.get_session_auth_fallback_hash()) == [client.session["_auth_user_hash"]]
    assert user.get_session_auth_hash() != client.session["_auth_user_hash"]


def test_a_better_hash_does_not_undo_a_change_that_came_meanwhile(user):
    User.objects.update(password=cheaper_hash())
    user.refresh_from_db()
    meanwhile = User.objects.get()
    meanwhile.set_password("basalt-9-Lantern-heron")
    meanwhile.save()
    user.check_password(PASSWORD)
    assert User.objects.get().check_password("basalt-9-Lantern-heron")


def test_an_async_caller_is_answered_alike(user):
    before = user.get_session_auth_hash()
    User.objects.update(password=older_hash())
    user.refresh_from_db()
    assert async_to_sync(user.acheck_password)(PASSWORD)
    assert not async_to_sync(user.acheck_password)("wrong-wrong-wrong")
    assert user.get_session_auth_hash() == before


def proof():
    Authenticator.objects.update(last_time_step=-1)
    return {"password": PASSWORD, "code": code_now(SECRET)}


CHECKED_BY = {
    "sign-in": lambda browser, user: give_password(new_client(), user),
    "a new phone": lambda browser, user: browser.post(SETUP, proof()),
    "new backup codes, refused": lambda browser, user: browser.post(REGENERATE, {**proof(), "code": "000000"}),
    "turning 2FA off, refused": lambda browser, user: browser.post(DISABLE, {**proof(), "code": "000000"}),
    "reauthentication": lambda browser, user: browser.post(REAUTHENTICATE, proof()),
    "a change that is refused": lambda browser, user: browser.post(
        CHANGE, {"oldpassword": PASSWORD, "password1": "short"}
    ),
}


@pytest.mark.parametrize("form", CHECKED_BY)
def test_a_better_hash_ends_no_session_no_pending_sign_in_and_no_trusted_browser(user, authenticator, settings, form):
    settings.TWOFACTOR_TRUST_DAYS = 30
    here, elsewhere, pending, trusted = (new_client(REMOTE_ADDR=f"192.0.2.{number}") for number in range(1, 5))
    for browser, fields in [(here, {}), (elsewhere, {}), (trusted, {"trust": "on"})]:
        give_password(browser, user)
        browser.post(VERIFY_LOGIN, {"code": proof()["code"], **fields})
    trusted.post("/accounts/logout/")
    give_password(pending, user)
    User.objects.update(password=older_hash())
    CHECKED_BY[form](here, user)
    assert User.objects.get().password.startswith("argon2$"), "it was not hashed again"
    assert here.get(SETTINGS).status_code == elsewhere.get(SETTINGS).status_code == 200
    pending.post(VERIFY_LOGIN, {"code": proof()["code"]})
    assert is_signed_in(pending)
    assert list(here.get(SETTINGS).context["browsers"]) == list(TrustedBrowser.objects.all()) != []
    give_password(trusted, user)
    assert is_signed_in(trusted)


def test_a_better_hash_ends_no_setup(user):
    here, elsewhere = (sign_in(new_client(), user) for _ in range(2))
    key = here.post(SETUP, {"password": PASSWORD}).context["key"].replace(" ", "")
    User.objects.update(password=older_hash())
    elsewhere.post(SETUP, {"password": PASSWORD})
    assert User.objects.get().password.startswith("argon2$")
    assert len(here.post(VERIFY_SETUP, {"code": code_now(key)}).context["codes"]) == 10


# --- Every spelling -------------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [NFC, NFD])
@pytest.mark.parametrize("typed", [NFC, NFD])
def test_a_password_is_the_same_in_every_spelling(make_user, chosen, typed):
    user = make_user(password=chosen)
    client = new_client()
    give_password(client, user, password=typed)
    assert is_signed_in(client)
    answer = client.post(SETUP, {"password": typed})
    assert "key" in answer.context


def test_an_older_hash_matches_what_was_typed_then_and_from_then_on_every_spelling(user):
    User.objects.update(password=make_password(NFD))
    user.refresh_from_db()
    before = user.get_session_auth_hash()
    assert user.check_password(NFD)
    assert User.objects.get().check_password(NFC)
    assert User.objects.get().get_session_auth_hash() == before


def test_a_letter_of_two_code_points_counts_once(db):
    with pytest.raises(ValidationError) as raised:
        validate_password(unicodedata.normalize("NFD", "üöä" * 3))
    assert [error.code for error in raised.value.error_list] == ["password_too_short"]
    validate_password(unicodedata.normalize("NFD", "üöä" * 4))


# --- How many hashes ------------------------------------------------------------------------------


def nobody(make_user):
    return User(email="nobody@example.com")


def without_a_password(make_user):
    user = make_user()
    user.set_unusable_password()
    user.save()
    return user


def closed(make_user):
    return make_user(is_active=False)


@pytest.mark.parametrize("whose", [lambda make_user: make_user(), nobody, without_a_password, closed])
@pytest.mark.parametrize("typed, count", [("wrong-wrong-wrong", 1), (NFC, 1), (NFD, 2), ("x" * 129, 0)])
def test_a_wrong_password_costs_as_many_hashes_for_every_account(make_user, hashes, whose, typed, count):
    user = whose(make_user)
    hashes.clear()
    response = give_password(new_client(), user, password=typed)
    assert response.context["form"].errors
    assert len(hashes) == count


def test_a_password_that_is_too_long_is_refused_at_sign_up_without_a_hash(db, hashes):
    fields = {"full_name": "Bob New", "email": "bob@example.com", "password1": "x" * 129}
    assert new_client().post("/accounts/signup/", fields).context["form"].errors
    assert not hashes


def test_an_old_password_that_is_too_long_is_not_hashed_either(hashes, user):
    client = sign_in(new_client(), user)
    hashes.clear()
    client.post(CHANGE, {"oldpassword": "x" * 129, "password1": "basalt-9-Lantern-heron"})
    assert not hashes
    assert redirect_target(client.get(SETTINGS)) == ""
