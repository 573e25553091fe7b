"""Password hashing and validation: Argon2id with OWASP's parameters, hash upgrades, 12 to 128 characters."""

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


def test_passwords_are_hashed_with_argon2id_19_mib_two_passes_one_lane():
    assert make_password(PASSWORD).startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


def test_two_hashes_of_a_password_differ_and_both_verify():
    first, second = make_password(PASSWORD), make_password(PASSWORD)
    assert first != second
    assert check_password(PASSWORD, first)
    assert check_password(PASSWORD, second)
    assert not check_password(PASSWORD + "x", first)


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


@pytest.mark.parametrize("length, expected", [
    (11, ["password_too_short"]), (12, []), (64, []), (128, []),
    (129, ["password_too_long"]), (10**6, ["password_too_long"]),
])  # fmt: skip
def test_a_password_has_12_to_128_characters(length, expected):
    password = ("qz7 Ümläut~" * (length // 11 + 1))[:length]
    if not expected:
        validate_password(password)
        return
    with pytest.raises(ValidationError) as raised:
        validate_password(password)
    assert codes(raised) == expected


@pytest.mark.parametrize("password, expected", [
    ("1qaz2wsx3edc", "password_too_common"), ("ada@example.com", "password_too_similar"),
    ("ada example x", "password_too_similar"),
])  # fmt: skip
def test_common_passwords_and_the_users_own_name_are_refused(password, expected):
    with pytest.raises(ValidationError) as raised:
        validate_password(password, User(email="ada@example.com", full_name="Ada Example"))
    assert expected in codes(raised)


@pytest.mark.parametrize(
    "password", ["onlylowercaseletters", "8471 9930 2265 71", "ÄÖÜß ÄÖÜß ÄÖÜ", "🐟🐠🐡🦈🐙🦑🦐🦞🦀🐚🐳🐋"]
)
def test_there_are_no_rules_about_character_classes(password):
    validate_password(password)


def test_a_process_computes_at_most_two_hashes_at_a_time(monkeypatch):
    real = Argon2PasswordHasher.verify
    lock = threading.Lock()
    running = set()
    counts = []

    def verify(*args):
        with lock:
            running.add(threading.get_ident())
            counts.append(len(running))
        try:
            return real(*args)
        finally:
            with lock:
                running.remove(threading.get_ident())

    monkeypatch.setattr(Argon2PasswordHasher, "verify", verify)
    encoded = Argon2idHasher().encode(PASSWORD, "saltsaltsalt")
    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(lambda _: Argon2idHasher().verify(PASSWORD, encoded), range(24)))
    assert max(counts) == 2
