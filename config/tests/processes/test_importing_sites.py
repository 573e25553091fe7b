"""Imports from real packages: users turn 2FA on there, each package in an environment of its own, and sign in here."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev import IN_VENV, ROOT, install

HERE = ROOT / "twofactor/tests/importing_sites"


def python_of(environment):
    """Return the Python of this environment, which is created once. Parallel tests wait for it."""
    venv = ROOT / f".venv-import-{environment}"
    with Path(f"{venv}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            install(HERE / f"{environment}.txt", venv=venv)
        except (subprocess.CalledProcessError, SystemExit) as error:
            pytest.skip(f"cannot install {environment}.txt, is there no network? {error}")
    return venv / IN_VENV


def run(python, module, *arguments, data=None):
    command = [python, "-m", f"twofactor.tests.importing_sites.{module}", *arguments]
    env = os.environ | {"PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": ""}
    done = subprocess.run(
        command, cwd=ROOT, env=env, input=json.dumps(data), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture
def database(tmp_path):
    return tmp_path / "site.sqlite3"


def run_old_site(database, environment, site, *arguments):
    """Create users on a site with another app. Return what they have."""
    return run(python_of(environment), "sites", site, database, *arguments)[0]


def run_new_site(database, app, users, expected, *, python=sys.executable, apps=(), **settings):
    """Import the users and try to sign them in. Return the output of a dry run, of the import, and of a second import.

    `expected` is a list of username, field, value, and whether signing in with that must succeed.
    """
    attempts = [each[:3] for each in expected]
    result, log = run(python, "new_site", database, app, json.dumps(settings), *apps, data=attempts)
    assert list(zip(attempts, result["attempts"], strict=True)) == [(each[:3], each[3]) for each in expected]
    printed = "".join(result["outputs"]) + log
    for user in users.values():
        private = user.get("passkey", {}).get("private")
        secrets = [user.get("secret"), user.get("code"), *user.get("unused", []), *user.get("used", []), private]
        assert [secret for secret in secrets if secret and secret in printed] == []
    return result["outputs"]


def code_of(user, *, steps_ahead=0):
    return {"secret": user["secret"], "after": 30 * steps_ahead}


def attempts_of(users, *, spell=str):
    """Ada turned 2FA on long ago and has used two recovery codes. Bob turned it on just now."""
    ada, bob = users["ada"], users["bob"]
    return [
        ["ada", "code", code_of(ada), True],
        ["ada", "backup_code", ada["used"][0], False],
        ["ada", "backup_code", spell(ada["unused"][0]), True],
        ["ada", "backup_code", ada["unused"][0], False],
        ["ada", "backup_code", bob["unused"][0], False],
        ["ada", "backup_code", ada["unused"][1], True],
        ["bob", "code", bob["code"], False],
        ["bob", "backup_code", bob["unused"][0], True],
    ]


def attempts_with_passkeys(users, *names, counts=()):
    """Each signs in with their passkey. `counts`: those whose passkey counts cannot use an older copy of it."""
    attempts = [[name, "passkey", users[name]["passkey"], True] for name in names]
    return attempts + [[name, "passkey", users[name]["passkey"], name not in counts] for name in names]


def assert_outputs(outputs, users, *, totals=(2, 18, 1), passkeys="", confirmed=False, **lines):
    """The dry run and the import print the same, except for the summary. A second import finds nothing to do."""
    imported, codes, refused = totals
    rest = f"{codes} unused recovery codes; 0 already have 2FA on here; {refused} cannot be imported"
    rest = f"{passkeys} and {rest}" if passkeys else rest
    lines = [f"user {users[name]['key']}: {words}" for name, words in lines.items()]
    if not confirmed:
        lines.append(f"{imported} of them have no confirmed email address and will get no notifications")
    dry = [f"Users: {imported} would be imported, with {rest}", "Nothing was written: this was a dry run."]
    assert sorted(outputs[0].splitlines()) == sorted([*lines, *dry])
    assert sorted(outputs[1].splitlines()) == sorted([*lines, f"Users: {imported} imported, with {rest}"])
    assert outputs[2].splitlines()[-1] == (
        f"Users: 0 imported, with 0 unused recovery codes; {imported} already have 2FA on here;"
        f" {refused} cannot be imported"
    )


UNREADABLE = "cannot be imported: has unreadable passkeys only"
ADAPTER = "twofactor.tests.importing_sites.allauth_adapter.ReversingAdapter"


def assert_outputs_of_allauth(outputs, users):
    assert_outputs(
        outputs,
        users,
        eve="cannot be imported: has passkeys of another domain only",
        gus="not imported: recovery codes, which need an authenticator app (10)",
        totals=(4, 27, 1),
        passkeys="2 passkeys",
        confirmed=True,
    )


def test_import_from_allauth(database):
    users = run_old_site(database, "allauth", "allauth_site")
    expected = attempts_of(users, spell=lambda code: f" {code[:4]}-{code[4:]} ")
    expected += attempts_with_passkeys(users, "gus", "ivy", counts=["ivy"])
    expected += [["ivy", "code", code_of(users["ivy"], steps_ahead=2) | {"later": True}, True]]
    outputs = run_new_site(database, "allauth", users, expected, MFA_TOTP_TOLERANCE=1)
    assert_outputs_of_allauth(outputs, users)


def test_import_from_allauth_with_an_adapter_that_encrypts(database):
    users = run_old_site(database, "allauth", "allauth_site", ADAPTER)
    # allauth.mfa, which the adapter needs, is installed for the import only.
    options = {"python": python_of("allauth"), "apps": ["allauth.mfa"]}
    outputs = run_new_site(database, "allauth", users, [], MFA_ADAPTER=ADAPTER, MFA_TOTP_TOLERANCE=1, **options)
    assert_outputs_of_allauth(outputs, users)
    run_new_site(database, "allauth", users, attempts_of(users) + attempts_with_passkeys(users, "gus"))


def test_import_from_django_otp_with_uuids_as_user_keys(database):
    users = run_old_site(database, "django_otp", "otp_site")
    fay = users["fay"]
    expected = attempts_of(users, spell=lambda code: f"{code[:4]}-{code[4:]}".upper())
    expected += [["fay", "code", code_of(fay), True], ["fay", "backup_code", fay["unused"][0], True]]
    apps = ["twofactor.tests.importing_sites.people"]
    outputs = run_new_site(database, "django-otp", users, expected, apps=apps, AUTH_USER_MODEL="people.Person")
    assert_outputs(
        outputs,
        users,
        carol="cannot be imported: its codes have 8 digits, not 6",
        dan="cannot be imported: the app was never confirmed",
        eve="cannot be imported: has email only",
        fay="the clock of the phone is off by -120 s",
        totals=(3, 24, 3),
    )


def test_import_from_two_factor_auth(database):
    users = run_old_site(database, "django_otp", "two_factor_site")
    expected = attempts_of(users, spell=str.upper) + attempts_with_passkeys(users, "gus")
    outputs = run_new_site(database, "two-factor-auth", users, expected)
    eve = "cannot be imported: has SMS or calls only"
    assert_outputs(outputs, users, eve=eve, totals=(3, 18, 1), passkeys="1 passkey")


def test_import_from_django_otp_webauthn(database):
    users = run_old_site(database, "django_otp_webauthn", "otp_webauthn_site")
    expected = attempts_with_passkeys(users, "ada", "gus", counts=["ada"])
    outputs = run_new_site(database, "django-otp", users, expected, OTP_WEBAUTHN_RP_ID="testserver")
    assert_outputs(outputs, users, eve=UNREADABLE, totals=(2, 0, 1), passkeys="2 passkeys")


def test_import_from_django_mfa(database):
    """Its recovery codes are case-sensitive, because their hashes are imported unchanged."""
    users = run_old_site(database, "django_mfa", "mfa_site")
    expected = attempts_of(users, spell=lambda code: f"{code[:5]}-{code[5:]}")
    expected.insert(0, ["ada", "backup_code", users["ada"]["unused"][2].swapcase(), False])
    keys = ["signs-what-django-mfa-keeps-" + "t" * 30]
    expected += attempts_with_passkeys(users, "gus", "ivy", counts=["ivy"])
    settings = {"MFA_SECRET_ENCRYPTION_KEYS": keys, "MFA_FIDO2_RP_ID": "testserver"}
    outputs = run_new_site(database, "django-mfa", users, expected, **settings)
    assert_outputs(outputs, users, eve=UNREADABLE, totals=(4, 27, 1), passkeys="2 passkeys")


def test_import_from_django_mfa_before_version_4(database):
    users = run_old_site(database, "django_mfa", "mfa_site", "old")
    ada = users["ada"]
    expected = [
        ["ada", "code", ada["code"], False],
        ["ada", "code", code_of(ada, steps_ahead=1), True],
        ["ada", "backup_code", ada["used"][0], False],
        ["ada", "backup_code", ada["unused"][0].upper(), True],
        ["ada", "backup_code", ada["unused"][0], False],
    ]
    eve = "cannot be imported: has a security key only"
    assert_outputs(run_new_site(database, "django-mfa", users, expected), users, eve=eve, totals=(1, 9, 1))


def test_import_from_the_pair(database):
    """Its rows do not say which code was used last, and it accepts codes of the next time step."""
    users, _ = run(sys.executable, "sites", "pair_site", database)
    expected = attempts_of(users, spell=lambda code: f"{code[:4]}-{code[4:]}".lower())
    expected[0][3] = False
    later = [[name, "code", code_of(users[name], steps_ahead=2) | {"later": True}, True] for name in ("ada", "bob")]
    expected = [[f"{name}@example.com", *rest] for name, *rest in expected + later]
    settings = {"ACCOUNT_LOGIN_METHODS": ["email"], "ACCOUNT_USER_MODEL_USERNAME_FIELD": None}
    settings |= {"apps": ["twofactor.tests.importing_sites.pair"], "AUTH_USER_MODEL": "pair.User"}
    outputs = run_new_site(database, "pair", users, expected, **settings)
    assert_outputs(outputs, users, dan="cannot be imported: 2FA is on without a secret")
