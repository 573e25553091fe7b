"""The ways over: people turn 2FA on in the real packages, each in its own environment, and sign in here afterwards."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev import IN_VENV, ROOT, install

HERE = Path(__file__).parent / "importing_sites"


def python_of(environment):
    """The Python of this environment, made once; whoever comes at the same time waits for it."""
    venv = ROOT / f".venv-import-{environment}"
    with Path(f"{venv}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            install(HERE / f"{environment}.txt", venv=venv)
        except (subprocess.CalledProcessError, SystemExit) as error:
            pytest.skip(f"cannot install {environment}.txt, is there no network? {error}")
    return venv / IN_VENV


def run(python, module, *arguments, said=None):
    done = subprocess.run(
        [python, "-m", f"twofactor.tests.importing_sites.{module}", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": ""},
        input=json.dumps(said),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture
def database(tmp_path):
    return tmp_path / "site.sqlite3"


def story(database, environment, site, *how):
    """Let it happen on the old site; return its people."""
    people, _ = run(python_of(environment), site, database, *how)
    return people


def bring(database, app, people, wanted, *, here=sys.executable, apps=(), **settings):
    """Bring the people over and let them try to sign in; return what the command said: dry, for real, once more.

    `wanted`: username, field, value, and whether that should get in.
    """
    attempts = [each[:3] for each in wanted]
    told, log = run(here, "new_site", database, app, json.dumps(settings), *apps, said=attempts)
    assert list(zip(attempts, told["tries"], strict=True)) == [(each[:3], each[3]) for each in wanted]
    assert_silent(people, "".join(told["said"]) + log)
    return told["said"]


def assert_silent(people, told):
    for person in people.values():
        words = [person.get("secret"), person.get("code"), *person.get("unused", []), *person.get("used", [])]
        assert [word for word in words if word and word in told] == []


def now(person, *, steps_ahead=0):
    return {"secret": person["secret"], "after": 30 * steps_ahead}


def both_ways(people, *, spelt):
    """Ada turned it on long ago and used two recovery codes up, Bob did it a moment ago."""
    ada, bob = people["ada"], people["bob"]
    return [
        ["ada", "code", now(ada), True],
        ["ada", "backup_code", ada["used"][0], False],
        ["ada", "backup_code", spelt(ada["unused"][0]), True],
        ["ada", "backup_code", ada["unused"][0], False],
        ["ada", "backup_code", bob["unused"][0], False],
        ["ada", "backup_code", ada["unused"][1], True],
        ["bob", "code", bob["code"], False],
        ["bob", "backup_code", bob["unused"][0], True],
    ]


def assert_said(said, *lines, totals, confirmed=False):
    """Dry and for real the same, but for who has come; and once more, nothing is left to do."""
    came, codes, stayed = totals
    words = f"{codes} unused recovery codes; 0 have 2FA on here already; {stayed} could not come"
    notes = [] if confirmed else [f"{came} of them have no confirmed email address: notices do not reach them"]
    end = [f"{came} would come, with {words}", *notes, "Nothing was written: this was a dry run."]
    assert said[0].splitlines() == [*lines, *end]
    assert said[1].splitlines() == [*lines, f"{came} came, with {words}", *notes]
    assert said[2].splitlines()[-1] == (
        f"0 came, with 0 unused recovery codes; {came} have 2FA on here already; {stayed} could not come"
    )


def only(people, name, words):
    return f"user {people[name]['key']}: could not come: has {words} only"


def test_from_allauth(database):
    people = story(database, "allauth", "allauth_site")
    wanted = both_ways(people, spelt=lambda code: f" {code[:4]}-{code[4:]} ")
    said = bring(database, "allauth", people, wanted, MFA_TOTP_TOLERANCE=1)
    assert_said(said, only(people, "eve", "a security key"), totals=(2, 18, 1), confirmed=True)


def test_from_allauth_with_an_adapter_that_encrypts(database):
    adapter = "twofactor.tests.importing_sites.allauth_adapter.ReversingAdapter"
    people = story(database, "allauth", "allauth_site", adapter)
    # Beside allauth.mfa, which its adapter needs, for the command alone.
    beside = {"here": python_of("allauth"), "apps": ["allauth.mfa"], "SILENCED_SYSTEM_CHECKS": ["fields.E305"]}
    said = bring(database, "allauth", people, [], MFA_ADAPTER=adapter, MFA_TOTP_TOLERANCE=1, **beside)
    assert_said(said, only(people, "eve", "a security key"), totals=(2, 18, 1), confirmed=True)
    bring(database, "allauth", people, both_ways(people, spelt=str))


def test_from_django_otp_where_the_key_of_a_user_is_a_uuid(database):
    people = story(database, "django_otp", "otp_site")
    wanted = both_ways(people, spelt=lambda code: f"{code[:4]}-{code[4:]}".upper())
    wanted += [["fay", "code", now(people["fay"]), True], ["fay", "backup_code", people["fay"]["unused"][0], True]]
    apps = ["twofactor.tests.importing_sites.people"]
    said = bring(database, "django-otp", people, wanted, apps=apps, AUTH_USER_MODEL="people.Person")
    lines = {
        "carol": "could not come: its codes have 8 digits, not 6",
        "dan": "could not come: never confirmed the app",
        "eve": "could not come: has e-mail only",
        "fay": "comes, but: their clock is off by -120 s",
    }
    told = sorted(f"user {people[name]['key']}: {words}" for name, words in lines.items())
    in_order = ["\n".join(sorted(each.splitlines()[:4]) + each.splitlines()[4:]) for each in said[:2]]
    assert_said([*in_order, said[2]], *told, totals=(3, 24, 3))


def test_from_two_factor_auth(database):
    people = story(database, "django_otp", "two_factor_site")
    said = bring(database, "two-factor-auth", people, both_ways(people, spelt=str.upper))
    assert_said(said, only(people, "eve", "SMS or calls"), totals=(2, 18, 1))


def test_from_django_mfa(database):
    """Its recovery codes tell capitals from small letters: their hashes come as they are."""
    people = story(database, "django_mfa", "mfa_site")
    wanted = both_ways(people, spelt=lambda code: f"{code[:5]}-{code[5:]}")
    wanted.insert(0, ["ada", "backup_code", people["ada"]["unused"][2].swapcase(), False])
    keys = ["signs-what-django-mfa-keeps-" + "t" * 30]
    said = bring(database, "django-mfa", people, wanted, MFA_SECRET_ENCRYPTION_KEYS=keys)
    assert_said(said, only(people, "eve", "a security key"), totals=(2, 18, 1))


def test_from_django_mfa_as_it_was_before_its_fourth_version(database):
    people = story(database, "django_mfa", "mfa_site", "old")
    ada = people["ada"]
    wanted = [
        ["ada", "code", ada["code"], False],
        ["ada", "code", now(ada, steps_ahead=1), True],
        ["ada", "backup_code", ada["used"][0], False],
        ["ada", "backup_code", ada["unused"][0].upper(), True],
        ["ada", "backup_code", ada["unused"][0], False],
    ]
    said = bring(database, "django-mfa", people, wanted)
    assert_said(said, only(people, "eve", "a security key"), totals=(1, 9, 1))


def test_from_the_pair(database):
    """Its rows do not say which code was used last, and it takes one of the step ahead too."""
    people, _ = run(sys.executable, "pair_site", database)
    ada, bob = people["ada"], people["bob"]
    wanted = both_ways(people, spelt=lambda code: f"{code[:4]}-{code[4:]}".lower())
    wanted[0] = ["ada", "code", now(ada), False]
    wanted += [
        ["ada", "code", now(ada, steps_ahead=2) | {"later": True}, True],
        ["bob", "code", now(bob, steps_ahead=2) | {"later": True}, True],
    ]
    wanted = [[f"{name}@example.com", *rest] for name, *rest in wanted]
    here = {
        "AUTH_USER_MODEL": "pair.User",
        "ACCOUNT_LOGIN_METHODS": ["email"],
        "ACCOUNT_USER_MODEL_USERNAME_FIELD": None,
    }
    said = bring(database, "pair", people, wanted, apps=["twofactor.tests.importing_sites.pair"], **here)
    assert_said(said, f"user {people['dan']['key']}: could not come: it is on, but has no secret", totals=(2, 18, 1))
