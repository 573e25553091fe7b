"""Passwords: Argon2id with OWASP's numbers, older hashes upgraded, 12 to 128 characters."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, check_password, make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from accounts.hashers import Argon2idHasher
from accounts.models import User
from conftest import PASSWORD
from twofactor.tests.helpers import give_password, is_signed_in, new_client

pytestmark = pytest.mark.usefixtures("real_hasher")


def codes(raised):
    return [error.code for error in raised.value.error_list]


def test_a_password_is_argon2id_with_19_mib_two_passes_and_one_lane():
    assert make_password(PASSWORD).startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


def test_two_hashes_of_one_password_differ_and_both_fit():
    one, other = make_password(PASSWORD), make_password(PASSWORD)
    assert one != other
    assert check_password(PASSWORD, one)
    assert check_password(PASSWORD, other)
    assert not check_password(PASSWORD + "x", one)


@pytest.mark.parametrize("algorithm", ["pbkdf2_sha256", "scrypt"])
def test_an_older_hash_is_upgraded_at_sign_in(make_user, algorithm):
    user = make_user()
    User.objects.update(password=make_password(PASSWORD, hasher=algorithm))
    give_password(new_client(), user, password="wrong")
    assert User.objects.get().password.startswith(algorithm)
    client = new_client()
    give_password(client, user)
    assert is_signed_in(client)
    assert User.objects.get().password.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert client.get("/accounts/2fa/").status_code == 200


@pytest.mark.parametrize("length, why", [
    (11, ["password_too_short"]), (12, []), (64, []), (128, []),
    (129, ["password_too_long"]), (10**6, ["password_too_long"]),
])  # fmt: skip
def test_a_password_has_12_to_128_characters(length, why):
    password = ("qz7 Ümläut~" * (length // 11 + 1))[:length]
    if not why:
        validate_password(password)
        return
    with pytest.raises(ValidationError) as raised:
        validate_password(password)
    assert codes(raised) == why


@pytest.mark.parametrize("password, why", [
    ("1qaz2wsx3edc", "password_too_common"), ("ada@example.com", "password_too_similar"),
    ("ada example x", "password_too_similar"),
])  # fmt: skip
def test_a_password_is_neither_common_nor_the_users_own_name(password, why):
    with pytest.raises(ValidationError) as raised:
        validate_password(password, User(email="ada@example.com", full_name="Ada Example"))
    assert why in codes(raised)


@pytest.mark.parametrize(
    "password", ["onlylowercaseletters", "8471 9930 2265 71", "ÄÖÜß ÄÖÜß ÄÖÜ", "🐟🐠🐡🦈🐙🦑🦐🦞🦀🐚🐳🐋"]
)
def test_there_are_no_rules_about_what_it_is_made_of(password):
    validate_password(password)


def test_a_process_hashes_two_passwords_at_a_time_at_most(monkeypatch):
    real, lock, under_way, most = Argon2PasswordHasher.verify, threading.Lock(), set(), []

    def verify(*args):
        with lock:
            under_way.add(threading.get_ident())
            most.append(len(under_way))
        try:
            return real(*args)
        finally:
            with lock:
                under_way.remove(threading.get_ident())

    monkeypatch.setattr(Argon2PasswordHasher, "verify", verify)
    encoded = Argon2idHasher().encode(PASSWORD, "saltsaltsalt")
    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(lambda _: Argon2idHasher().verify(PASSWORD, encoded), range(24)))
    assert max(most) == 2
