"""The settings, loaded by a new process with a clean environment and no `.env`."""

import email.policy
import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from twofactor.crypto import Keyring

ROOT = Path(__file__).resolve().parents[2]
REQUIRED = {
    "SECRET_KEY": "s" * 60,
    "ALLOWED_HOSTS": "2fa.example,other.example",
    "TWOFACTOR_KEYS": "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
}
KEY = "k1:dHdvZmFjdG9yLXRlc3RzLTMyLWJ5dGVzLWxvbmchISE="
PRINT_SETTINGS = """
import json, config.settings as s
print(json.dumps({name: getattr(s, name) for name in dir(s) if name.isupper()}, default=str))
"""
CSP = {
    "default-src": ["'none'"], "script-src": ["'self'"], "style-src": ["'self'"], "img-src": ["'self'"],
    "font-src": ["'self'"], "connect-src": ["'self'"], "form-action": ["'self'"],
    "frame-ancestors": ["'none'"], "base-uri": ["'none'"],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A copy of the settings, without the developer's `.env`."""
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    return tmp_path


@pytest.fixture
def start(folder):
    """Return a function that runs a script with this environment only."""

    def start(script=PRINT_SETTINGS, /, **environment):
        return subprocess.run(
            [sys.executable, "-c", script],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    return start


@pytest.fixture
def load(start):
    """Return a function that loads the settings with this environment, as a dict."""

    def load(**environment):
        done = start(**environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return load


# --- Required settings ----------------------------------------------------------------------------


@pytest.mark.parametrize("debug", [{}, {"DEBUG": "false"}, {"DEBUG": "0"}])
@pytest.mark.parametrize("missing", REQUIRED)
def test_the_site_does_not_start_without_a_required_setting_and_names_it(start, missing, debug):
    done = start(**{name: value for name, value in REQUIRED.items() if name != missing}, **debug)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert [name for name in REQUIRED if name in last] == [missing]
    assert "DEBUG=true" in last, "the message names the setting for development"
    assert "python3 dev.py run" in last


@pytest.mark.parametrize("empty", ["", "  "])
@pytest.mark.parametrize("name", REQUIRED)
def test_an_empty_required_setting_is_missing(start, name, empty):
    done = start(**{**REQUIRED, name: empty})
    assert done.returncode != 0
    assert name in done.stderr.strip().splitlines()[-1]


def test_allowed_hosts_with_only_commas_is_missing(start):
    done = start(**{**REQUIRED, "ALLOWED_HOSTS": " , "})
    assert done.returncode != 0
    assert "ALLOWED_HOSTS" in done.stderr.strip().splitlines()[-1]


def test_no_key_is_in_a_traceback(start):
    done = start(**{**REQUIRED, "ALLOWED_HOSTS": ""})
    assert REQUIRED["SECRET_KEY"] not in done.stderr
    assert REQUIRED["TWOFACTOR_KEYS"] not in done.stderr


def test_debug_is_off_by_default(load):
    assert load(**REQUIRED)["DEBUG"] is False


def test_no_setting_is_required_with_debug_on(load):
    settings = load(DEBUG="true")
    assert settings["DEBUG"] is True
    assert settings["USE_HTTPS"] is False
    assert settings["SITE_URL"] == "http://127.0.0.1:8000"


def test_with_debug_on_secrets_sealed_without_keys_can_be_opened_after_keys_are_set(load):
    first = load(DEBUG="true")
    later = load(DEBUG="true", TWOFACTOR_KEYS=KEY)
    sealed = Keyring.parse(first["TWOFACTOR_KEYS"]).seal("secret", owner="1")
    keyring = Keyring.parse(later["TWOFACTOR_KEYS"])
    assert keyring.unseal(sealed, owner="1") == "secret"
    assert keyring.sealing_kid == "k1"


def test_with_debug_off_only_the_configured_keys_are_used(load):
    assert load(**{**REQUIRED, "TWOFACTOR_KEYS": KEY})["TWOFACTOR_KEYS"] == KEY


def test_the_env_file_is_read_and_the_environment_takes_precedence(load, folder):
    (folder / ".env").write_text(
        "".join(f"{name}={value}\n" for name, value in REQUIRED.items()) + "TWOFACTOR_ISSUER=File\n"
    )
    assert load()["TWOFACTOR_ISSUER"] == "File"
    assert load(TWOFACTOR_ISSUER="Environment")["TWOFACTOR_ISSUER"] == "Environment"


# --- HTTPS ----------------------------------------------------------------------------------------


def test_https_sets_host_cookies_and_hsts(load):
    settings = load(**REQUIRED)
    assert (settings["SESSION_COOKIE_NAME"], settings["CSRF_COOKIE_NAME"]) == ("__Host-sessionid", "__Host-csrftoken")
    assert (
        settings["SESSION_COOKIE_SECURE"] is settings["CSRF_COOKIE_SECURE"] is settings["SECURE_SSL_REDIRECT"] is True
    )
    assert (settings["SECURE_HSTS_SECONDS"], settings["SECURE_HSTS_INCLUDE_SUBDOMAINS"]) == (31536000, True)
    assert settings["SITE_URL"] == "https://2fa.example"
    assert "SECURE_PROXY_SSL_HEADER" not in settings


def test_without_https_cookies_are_plain_and_nothing_is_redirected(load):
    settings = load(**REQUIRED, USE_HTTPS="false")
    assert not {"SESSION_COOKIE_NAME", "SESSION_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS"} & set(
        settings
    )
    assert settings["SITE_URL"] == "http://2fa.example"


@pytest.mark.parametrize("use_https", ["true", "false"])
def test_cookies_are_httponly_and_samesite_lax(load, use_https):
    settings = load(**REQUIRED, USE_HTTPS=use_https)
    for cookie in ("SESSION", "CSRF"):
        assert (settings[f"{cookie}_COOKIE_HTTPONLY"], settings[f"{cookie}_COOKIE_SAMESITE"]) == (True, "Lax")
        assert f"{cookie}_COOKIE_DOMAIN" not in settings


def test_x_forwarded_proto_is_trusted_only_with_a_trusted_proxy(load):
    assert load(**REQUIRED, TRUSTED_PROXY_COUNT="1")["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]


# --- Other settings -------------------------------------------------------------------------------


def test_the_content_security_policy_is_exactly_this(load):
    settings = load(**REQUIRED)
    assert settings["CONTENT_SECURITY_POLICY"] == {"DIRECTIVES": CSP}
    assert "CONTENT_SECURITY_POLICY_REPORT_ONLY" not in settings


def test_bodies_are_limited_to_64_kib_and_fifty_fields(load):
    settings = load(**REQUIRED)
    assert (settings["DATA_UPLOAD_MAX_MEMORY_SIZE"], settings["DATA_UPLOAD_MAX_NUMBER_FIELDS"]) == (65536, 50)


def test_2fa_is_required_of_staff_and_browsers_are_not_trusted_by_default(load):
    settings = load(**REQUIRED)
    assert (settings["TWOFACTOR_REQUIRED"], settings["TWOFACTOR_TRUST_DAYS"]) == ("staff", 0)
    changed = load(
        **REQUIRED,
        TWOFACTOR_REQUIRED="all",
        TWOFACTOR_TRUST_DAYS="30",
        TWOFACTOR_ISSUER="Acme",
        TRUSTED_PROXY_COUNT="2",
    )
    assert (changed["TWOFACTOR_REQUIRED"], changed["TWOFACTOR_TRUST_DAYS"], changed["TWOFACTOR_ISSUER"]) == (
        "all",
        30,
        "Acme",
    )
    assert changed["ALLAUTH_TRUSTED_PROXY_COUNT"] == 2


def test_database_and_cache_are_files_beside_manage_py_by_default(load, folder):
    settings = load(**REQUIRED)
    database = settings["DATABASES"]["default"]
    cache = settings["CACHES"]["default"]
    assert Path(database["NAME"]).parent == Path(cache["LOCATION"]).parent == folder
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]
    assert cache["BACKEND"] == "config.cache.SQLiteCache"


def test_postgresql_and_redis_are_set_by_two_urls(load):
    settings = load(**REQUIRED, DATABASE_URL="postgres://u:p@db:5432/site", CACHE_URL="redis://cache:6379/1")
    assert settings["DATABASES"]["default"]["ENGINE"] == "django.db.backends.postgresql"
    assert settings["DATABASES"]["default"]["OPTIONS"]["pool"]["max_size"] == 8
    assert settings["CACHES"]["default"]["BACKEND"] == "config.cache.RedisCache"


def test_key_prefix_and_timeout_can_be_set_in_the_cache_url(load):
    settings = load(**REQUIRED, CACHE_URL="redis://cache:6379/1?key_prefix=one&timeout=60")
    assert (settings["CACHES"]["default"]["KEY_PREFIX"], settings["CACHES"]["default"]["TIMEOUT"]) == ("one", 60)


def test_emails_go_to_the_terminal_by_default(load):
    assert load(**REQUIRED)["EMAIL_BACKEND"] == "config.mail.TerminalBackend"


def test_email_url_sets_the_backend_and_the_timeout_is_ten_seconds(load, tmp_path):
    settings = load(**REQUIRED, EMAIL_URL=f"filemail:///{tmp_path}")
    assert settings["EMAIL_BACKEND"] == "django.core.mail.backends.filebased.EmailBackend"
    assert Path(settings["EMAIL_FILE_PATH"]) == tmp_path
    assert settings["EMAIL_TIMEOUT"] == 10
    assert settings["DEFAULT_FROM_EMAIL"] == "Twofactor <no-reply@2fa.example>"


def test_any_site_name_makes_one_valid_sender(load):
    settings = load(**REQUIRED, TWOFACTOR_ISSUER='Acme, "Inc." <x@y>;\n (a/b) \\ 二要素🔐')
    (sender,) = email.policy.default.header_factory("from", settings["DEFAULT_FROM_EMAIL"]).addresses
    assert (sender.display_name, sender.addr_spec) == (settings["TWOFACTOR_ISSUER"], "no-reply@2fa.example")
    assert sender.display_name == 'Acme, "Inc." <x@y>; (a/b) \\ 二要素🔐'


def test_a_redis_that_never_answers_behaves_as_an_empty_cache(start):
    ask = "import django; django.setup(); from django.core.cache import cache; print(cache.get('x', 'nothing'))"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        script = f"import config.settings as s; s.INSTALLED_APPS = []; {ask}"
        try:
            done = start(script, **REQUIRED, CACHE_URL=url, DJANGO_SETTINGS_MODULE="config.settings")
        except subprocess.TimeoutExpired:
            pytest.fail("the site waits forever")
    assert done.stdout == "nothing\n"


# --- The settings of the tests ------------------------------------------------------------------


def test_the_tests_set_every_variable_that_the_settings_read():
    """Otherwise a developer's `.env` would change the result of a test."""
    read = set(re.findall(r"(?:env\.\w+|needed)\(\s*\"(\w+)\"", (ROOT / "config" / "settings.py").read_text()))
    fixed = set(re.findall(r"^    (\w+)=", (ROOT / "config" / "settings_test.py").read_text(), flags=re.MULTILINE))
    assert read - fixed == set()
