"""The settings, each time loaded anew by a process with a clean environment and no `.env`."""

import email.policy
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from twofactor.crypto import Keyring

ROOT = Path(__file__).resolve().parents[2]
NEEDED = {
    "SECRET_KEY": "s" * 60,
    "ALLOWED_HOSTS": "2fa.example,other.example",
    "TWOFACTOR_KEYS": "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
}
KEY = "k1:dHdvZmFjdG9yLXRlc3RzLTMyLWJ5dGVzLWxvbmchISE="
SAY = """
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
    """The settings where no `.env` of whoever runs the tests lies beside them."""
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("tests", "__pycache__"))
    return tmp_path


@pytest.fixture
def start(folder):
    """Load the settings with this environment and nothing else of ours."""

    def start(script=SAY, /, **environment):
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
    """The settings by name."""

    def load(**environment):
        done = start(**environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return load


# --- What must be there ---------------------------------------------------------------------------


@pytest.mark.parametrize("debug", [{}, {"DEBUG": "false"}, {"DEBUG": "0"}])
@pytest.mark.parametrize("missing", NEEDED)
def test_with_debug_off_it_refuses_to_start_and_names_what_is_missing(start, missing, debug):
    done = start(**{name: value for name, value in NEEDED.items() if name != missing}, **debug)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert [name for name in NEEDED if name in last] == [missing]
    assert "DEBUG=true" in last, "it says what to set on a machine for development"
    assert "python3 dev.py run" in last


@pytest.mark.parametrize("empty", ["", "  "])
@pytest.mark.parametrize("name", NEEDED)
def test_what_is_there_but_empty_is_missing(start, name, empty):
    done = start(**{**NEEDED, name: empty})
    assert done.returncode != 0
    assert name in done.stderr.strip().splitlines()[-1]


def test_hosts_that_are_only_commas_are_missing(start):
    done = start(**{**NEEDED, "ALLOWED_HOSTS": " , "})
    assert done.returncode != 0
    assert "ALLOWED_HOSTS" in done.stderr.strip().splitlines()[-1]


def test_no_traceback_holds_the_keys(start):
    done = start(**{**NEEDED, "ALLOWED_HOSTS": ""})
    assert NEEDED["SECRET_KEY"] not in done.stderr
    assert NEEDED["TWOFACTOR_KEYS"] not in done.stderr


def test_debug_is_off_unless_told(load):
    assert load(**NEEDED)["DEBUG"] is False


def test_with_debug_on_nothing_is_needed(load):
    settings = load(DEBUG="true")
    assert settings["DEBUG"] is True
    assert settings["USE_HTTPS"] is False
    assert settings["SITE_URL"] == "http://127.0.0.1:8000"


def test_with_debug_on_what_a_first_run_without_keys_sealed_still_opens_later(load):
    first, later = load(DEBUG="true"), load(DEBUG="true", TWOFACTOR_KEYS=KEY)
    sealed = Keyring.parse(first["TWOFACTOR_KEYS"]).seal("secret", owner="1")
    keyring = Keyring.parse(later["TWOFACTOR_KEYS"])
    assert keyring.unseal(sealed, owner="1") == "secret"
    assert keyring.sealing_kid == "k1"


def test_with_debug_off_nothing_opens_but_by_the_keys_that_are_set(load):
    assert load(**{**NEEDED, "TWOFACTOR_KEYS": KEY})["TWOFACTOR_KEYS"] == KEY


def test_a_file_beside_manage_py_is_read_and_the_environment_comes_first(load, folder):
    (folder / ".env").write_text(
        "".join(f"{name}={value}\n" for name, value in NEEDED.items()) + "TWOFACTOR_ISSUER=File\n"
    )
    assert load()["TWOFACTOR_ISSUER"] == "File"
    assert load(TWOFACTOR_ISSUER="Environment")["TWOFACTOR_ISSUER"] == "Environment"


# --- HTTPS ----------------------------------------------------------------------------------------


def test_with_https_cookies_are_bound_to_the_host_and_browsers_to_https(load):
    settings = load(**NEEDED)
    assert (settings["SESSION_COOKIE_NAME"], settings["CSRF_COOKIE_NAME"]) == ("__Host-sessionid", "__Host-csrftoken")
    assert (
        settings["SESSION_COOKIE_SECURE"] is settings["CSRF_COOKIE_SECURE"] is settings["SECURE_SSL_REDIRECT"] is True
    )
    assert (settings["SECURE_HSTS_SECONDS"], settings["SECURE_HSTS_INCLUDE_SUBDOMAINS"]) == (31536000, True)
    assert settings["SITE_URL"] == "https://2fa.example"
    assert "SECURE_PROXY_SSL_HEADER" not in settings


def test_without_https_cookies_are_plain_and_nothing_is_redirected(load):
    settings = load(**NEEDED, USE_HTTPS="false")
    assert not {"SESSION_COOKIE_NAME", "SESSION_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS"} & set(
        settings
    )
    assert settings["SITE_URL"] == "http://2fa.example"


@pytest.mark.parametrize("use_https", ["true", "false"])
def test_cookies_are_out_of_reach_for_scripts_and_other_sites(load, use_https):
    settings = load(**NEEDED, USE_HTTPS=use_https)
    for cookie in ("SESSION", "CSRF"):
        assert (settings[f"{cookie}_COOKIE_HTTPONLY"], settings[f"{cookie}_COOKIE_SAMESITE"]) == (True, "Lax")
        assert f"{cookie}_COOKIE_DOMAIN" not in settings


def test_a_forwarding_header_is_believed_only_behind_a_proxy(load):
    assert load(**NEEDED, TRUSTED_PROXY_COUNT="1")["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]


# --- The rest of the numbers ----------------------------------------------------------------------


def test_the_content_security_policy_is_exactly_this_with_no_exception(load):
    settings = load(**NEEDED)
    assert settings["CONTENT_SECURITY_POLICY"] == {"DIRECTIVES": CSP}
    assert "CONTENT_SECURITY_POLICY_REPORT_ONLY" not in settings


def test_bodies_have_64_kib_and_fifty_fields(load):
    settings = load(**NEEDED)
    assert (settings["DATA_UPLOAD_MAX_MEMORY_SIZE"], settings["DATA_UPLOAD_MAX_NUMBER_FIELDS"]) == (65536, 50)


def test_the_second_factor_is_asked_of_staff_and_no_browser_trusted_unless_told(load):
    settings = load(**NEEDED)
    assert (settings["TWOFACTOR_REQUIRED"], settings["TWOFACTOR_TRUST_DAYS"]) == ("staff", 0)
    told = load(
        **NEEDED, TWOFACTOR_REQUIRED="all", TWOFACTOR_TRUST_DAYS="30", TWOFACTOR_ISSUER="Acme", TRUSTED_PROXY_COUNT="2"
    )
    assert (told["TWOFACTOR_REQUIRED"], told["TWOFACTOR_TRUST_DAYS"], told["TWOFACTOR_ISSUER"]) == ("all", 30, "Acme")
    assert told["ALLAUTH_TRUSTED_PROXY_COUNT"] == 2


def test_database_and_cache_lie_beside_manage_py_unless_told(load, folder):
    settings = load(**NEEDED)
    database, cache = settings["DATABASES"]["default"], settings["CACHES"]["default"]
    assert Path(database["NAME"]).parent == Path(cache["LOCATION"]).parent == folder
    assert database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in database["OPTIONS"]["init_command"]
    assert cache["BACKEND"] == "config.cache.SQLiteCache"


def test_postgresql_and_redis_are_a_matter_of_two_addresses(load):
    settings = load(**NEEDED, DATABASE_URL="postgres://u:p@db:5432/site", CACHE_URL="redis://cache:6379/1")
    assert settings["DATABASES"]["default"]["ENGINE"] == "django.db.backends.postgresql"
    assert settings["DATABASES"]["default"]["OPTIONS"]["pool"]["max_size"] == 8
    assert settings["CACHES"]["default"]["BACKEND"] == "config.cache.RedisCache"


def test_two_sites_on_one_redis_keep_apart_by_a_prefix(load):
    settings = load(**NEEDED, CACHE_URL="redis://cache:6379/1?key_prefix=one&timeout=60")
    assert (settings["CACHES"]["default"]["KEY_PREFIX"], settings["CACHES"]["default"]["TIMEOUT"]) == ("one", 60)


def test_mail_goes_to_the_terminal_unless_told(load):
    assert load(**NEEDED)["EMAIL_BACKEND"] == "config.mail.TerminalBackend"


def test_mail_goes_where_it_is_told_and_waits_ten_seconds_at_most(load, tmp_path):
    settings = load(**NEEDED, EMAIL_URL=f"filemail:///{tmp_path}")
    assert settings["EMAIL_BACKEND"] == "django.core.mail.backends.filebased.EmailBackend"
    assert Path(settings["EMAIL_FILE_PATH"]) == tmp_path
    assert settings["EMAIL_TIMEOUT"] == 10
    assert settings["DEFAULT_FROM_EMAIL"] == "Twofactor <no-reply@2fa.example>"


def test_any_site_name_is_the_name_of_one_sender(load):
    settings = load(**NEEDED, TWOFACTOR_ISSUER='Acme, "Inc." <x@y>;\n (a/b) \\ 二要素🔐')
    (sender,) = email.policy.default.header_factory("from", settings["DEFAULT_FROM_EMAIL"]).addresses
    assert (sender.display_name, sender.addr_spec) == (settings["TWOFACTOR_ISSUER"], "no-reply@2fa.example")
    assert sender.display_name == 'Acme, "Inc." <x@y>; (a/b) \\ 二要素🔐'


def test_a_redis_that_accepts_and_never_answers_is_an_empty_cache_too(start):
    ask = "import django; django.setup(); from django.core.cache import cache; print(cache.get('x', 'nothing'))"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        script = f"import config.settings as s; s.INSTALLED_APPS = []; {ask}"
        try:
            done = start(script, **NEEDED, CACHE_URL=url, DJANGO_SETTINGS_MODULE="config.settings")
        except subprocess.TimeoutExpired:
            pytest.fail("the site waits for ever")
    assert done.stdout == "nothing\n"
