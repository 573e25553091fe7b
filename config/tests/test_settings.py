"""The settings, loaded by a new process with a clean environment and no `.env`."""

import email.policy
import json
import re
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from twofactor.crypto import Keyring

ROOT = Path(__file__).resolve().parents[2]
KEYS = "k1:dHdvZmFjdG9yLXRlc3RzLTMyLWJ5dGVzLWxvbmchISE="
REQUIRED = {"SECRET_KEY": "s" * 60, "ALLOWED_HOSTS": "2fa.example,other.example", "TWOFACTOR_KEYS": KEYS}
PRINT_SETTINGS = Path(__file__).with_name("print_settings.py")
COOKIES = ["SESSION", "CSRF", "LANGUAGE"]
CSP = {name: ["'none'"] for name in ("default-src", "frame-ancestors", "base-uri")}
CSP |= {name: ["'self'"] for name in ("script-src", "style-src", "img-src", "font-src", "connect-src", "form-action")}


@pytest.fixture
def folder(tmp_path):
    """A copy of the settings, without the developer's `.env`."""
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    return tmp_path


@pytest.fixture
def start(folder):
    """Return a function that loads the settings with this environment only, in a new process."""
    command = [sys.executable, PRINT_SETTINGS]
    options = {"cwd": folder, "capture_output": True, "text": True, "timeout": 20}
    return lambda **env: subprocess.run(command, env=env, check=False, **options)


@pytest.fixture
def load(start):

    def load(**env):
        done = start(**env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return load


@pytest.mark.parametrize("name, value", [("ALLOWED_HOSTS", " , "), *product(REQUIRED, [None, "", "  "])])
def test_the_site_does_not_start_without_a_required_setting_and_names_it(start, name, value):
    env = REQUIRED | {name: value}
    done = start(**{each: env[each] for each in env if env[each] is not None})
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert [each for each in REQUIRED if each in last] == [name]
    assert "DEBUG=true" in last, "the message names the setting for development"
    assert not [each for each in ("SECRET_KEY", "TWOFACTOR_KEYS") if REQUIRED[each] in done.stderr]


def test_no_setting_is_required_with_debug_on_and_secrets_can_be_opened_after_keys_are_set(load):
    first = load(DEBUG="true")
    assert (first["DEBUG"], first["USE_HTTPS"], first["SITE_URL"]) == (True, False, "http://localhost:8000")
    keyring = Keyring.parse(load(DEBUG="true", TWOFACTOR_KEYS=KEYS)["TWOFACTOR_KEYS"])
    assert keyring.unseal(Keyring.parse(first["TWOFACTOR_KEYS"]).seal("secret", owner="1"), owner="1") == "secret"
    assert keyring.sealing_kid == "k1"


def test_the_env_file_is_read_and_the_environment_takes_precedence(load, folder):
    lines = [f"{name}={value}" for name, value in {**REQUIRED, "TWOFACTOR_ISSUER": "File"}.items()]
    (folder / ".env").write_text("\n".join(lines))
    assert load()["TWOFACTOR_ISSUER"] == "File"
    assert load(TWOFACTOR_ISSUER="Environment")["TWOFACTOR_ISSUER"] == "Environment"


def test_the_defaults(load, folder):
    settings = load(**REQUIRED)
    expected = {
        "DEBUG": False, "TWOFACTOR_KEYS": REQUIRED["TWOFACTOR_KEYS"], "SITE_URL": "https://2fa.example",
        "SESSION_COOKIE_NAME": "__Host-sessionid", "CSRF_COOKIE_NAME": "__Host-csrftoken",
        "LANGUAGE_COOKIE_NAME": "__Host-language",
        **dict.fromkeys([f"{cookie}_COOKIE_SECURE" for cookie in COOKIES], True),
        **dict.fromkeys([f"{cookie}_COOKIE_HTTPONLY" for cookie in COOKIES], True),
        **dict.fromkeys([f"{cookie}_COOKIE_SAMESITE" for cookie in COOKIES], "Lax"),
        "SECURE_SSL_REDIRECT": True, "SECURE_HSTS_SECONDS": 31536000, "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
        "CONTENT_SECURITY_POLICY": {"DIRECTIVES": CSP}, "PASSWORD_RESET_TIMEOUT": 3600,
        "DATA_UPLOAD_MAX_MEMORY_SIZE": 65536, "DATA_UPLOAD_MAX_NUMBER_FIELDS": 50,
        "TWOFACTOR_REQUIRED": "staff", "TWOFACTOR_TRUST_DAYS": 0, "TWOFACTOR_NEW_BROWSER_EMAIL": True,
        "TWOFACTOR_EVENT_DAYS": 365, "TWOFACTOR_SUPPORT_EMAIL": "",
        "EMAIL_BACKEND": "config.mail.TerminalBackend", "DEFAULT_FROM_EMAIL": "Twofactor <no-reply@2fa.example>",
    }  # fmt: skip
    assert {name: settings.get(name) for name in expected} == expected
    assert not {
        "SECURE_PROXY_SSL_HEADER", "CONTENT_SECURITY_POLICY_REPORT_ONLY", "SESSION_COOKIE_DOMAIN", "CSRF_COOKIE_DOMAIN",
    } & set(settings)  # fmt: skip
    database, cache = settings["DATABASES"]["default"], settings["CACHES"]["default"]
    assert Path(database["NAME"]).parent == folder
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]
    assert cache["BACKEND"] == "django.core.cache.backends.db.DatabaseCache"


def test_without_https_cookies_are_plain_and_nothing_is_redirected(load):
    settings = load(**REQUIRED, USE_HTTPS="false")
    absent = {"SESSION_COOKIE_NAME", "SESSION_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS"}
    assert not absent & set(settings)
    kept = [(settings[f"{cookie}_COOKIE_HTTPONLY"], settings[f"{cookie}_COOKIE_SAMESITE"]) for cookie in COOKIES]
    assert kept == [(True, "Lax")] * 3
    assert settings["SITE_URL"] == "http://2fa.example"


def test_the_environment_changes_the_settings(load):
    urls = {"DATABASE_URL": "postgres://u:p@db:5432/site", "EMAIL_URL": "smtp+tls://user:password@mail.example:587"}
    numbers = {"TWOFACTOR_TRUST_DAYS": "30", "TWOFACTOR_EVENT_DAYS": "90", "TRUSTED_PROXY_COUNT": "2"}
    words = {"TWOFACTOR_REQUIRED": "all", "TWOFACTOR_NEW_BROWSER_EMAIL": "off"}
    settings = load(**REQUIRED, **urls, **numbers, **words)
    assert [settings[f"TWOFACTOR_{name}"] for name in ("REQUIRED", "TRUST_DAYS", "EVENT_DAYS")] == ["all", 30, 90]
    assert settings["TWOFACTOR_NEW_BROWSER_EMAIL"] is False
    assert settings["ALLAUTH_TRUSTED_PROXY_COUNT"] == 2
    assert settings["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]
    database = settings["DATABASES"]["default"]
    assert (database["ENGINE"], database["OPTIONS"]["pool"]["max_size"]) == ("django.db.backends.postgresql", 8)
    assert settings["EMAIL_BACKEND"] == "config.mail.BackgroundBackend"
    assert (settings["EMAIL_HOST"], settings["EMAIL_USE_TLS"], settings["EMAIL_TIMEOUT"]) == ("mail.example", True, 10)


def test_any_site_name_makes_one_valid_sender(load):
    settings = load(**REQUIRED, TWOFACTOR_ISSUER='Acme, "Inc." <x@y>;\n (a/b) \\ 二要素🔐')
    (sender,) = email.policy.default.header_factory("from", settings["DEFAULT_FROM_EMAIL"]).addresses
    assert sender.addr_spec == "no-reply@2fa.example"
    assert sender.display_name == settings["TWOFACTOR_ISSUER"] == 'Acme, "Inc." <x@y>; (a/b) \\ 二要素🔐'


def test_the_tests_set_every_variable_that_the_settings_read():
    """Otherwise a developer's `.env` would change the result of a test."""
    read = set(re.findall(r"(?:env\.\w+|needed)\(\s*\"(\w+)\"", (ROOT / "config" / "settings.py").read_text()))
    fixed = set(re.findall(r"^    (\w+)=", (ROOT / "config" / "settings_test.py").read_text(), flags=re.MULTILINE))
    assert read - fixed == set()
