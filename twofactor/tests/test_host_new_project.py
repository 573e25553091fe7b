"""docs/reuse.md, followed to the letter: a new environment, a new site, and a person who goes all the way."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from twofactor.tests.hosts import journey
from twofactor.tests.hosts.fresh import FreshSite, build, environment
from twofactor.tests.hosts.journey import PASSWORD, SETTINGS, code, give_code, give_password, sign_in_elsewhere

NEWEST_DJANGO = "6.1.3"
FORGOTTEN = {
    'INSTALLED_APPS += ["twofactor"]': ["ImproperlyConfigured", '"twofactor" in INSTALLED_APPS'],
    "ACCOUNT_ADAPTER": ["twofactor.E001", 'ACCOUNT_ADAPTER = "twofactor.account.AccountAdapter"'],
    "HtmxMiddleware": ["twofactor.E018", '"django_htmx.middleware.HtmxMiddleware" to MIDDLEWARE'],
    "TwofactorMiddleware": ["twofactor.E002", '"twofactor.middleware.TwofactorMiddleware" to MIDDLEWARE'],
    "urlpatterns": ["twofactor.E013", 'path("accounts/2fa/", include("twofactor.urls"))'],
    "TWOFACTOR_KEYS": ["twofactor.E007", 'TWOFACTOR_KEYS = "kid:base64key,..."'],
}


def newer_python() -> Path | None:
    """A Python that Django 6 runs on: this one, one on the path, or one of pyenv's."""
    if sys.version_info >= (3, 12):
        return Path(sys.executable).resolve()
    for name in ("python3.14", "python3.13", "python3.12"):
        for found in (shutil.which(name), *Path.home().glob(f".pyenv/versions/*/bin/{name}")):
            # A shim of pyenv's is there for each version, and runs the one that is chosen.
            if found and "shims" not in Path(found).parts:
                return Path(found).resolve()
    return None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel):
    return environment(wheel, Path(sys.executable).resolve())


def sign_up(site, browser):
    """A user name, a password, and an address whose link is followed."""
    fields = {"username": "ada", "email": "ada@example.com", "password1": PASSWORD, "password2": PASSWORD}
    browser.post("/accounts/signup/", **fields)
    link = re.search(r"https?://\S+(/accounts/confirm-email/\S+)", site.mails())[1]
    assert browser.get(link).path == link
    browser.post(link)


def all_the_way(site, browser):
    sign_up(site, browser)
    elsewhere = {"id": "7", "email": "ada@example.com", "email_verified": "on"}
    sign_in_elsewhere(browser, "connect", **elsewhere)
    secret, codes = journey.turn_on(browser, password=PASSWORD)
    journey.sign_out(browser)
    give_code(browser, give_password(browser, "ada"), code=code(secret))
    journey.sign_out(browser)
    give_code(browser, sign_in_elsewhere(browser, **elsewhere), code=code(secret, steps_ahead=1))
    journey.turn_off(browser, password=PASSWORD, backup_code=codes[0])
    journey.sign_out(browser)
    page = give_password(browser, "ada")
    assert page.path == SETTINGS
    assert page.html.count("Successfully signed in") == 1


def follow(python, folder, *, looks):
    site = FreshSite(python, folder, looks=looks)
    assert "System check identified no issues (0 silenced)." in site.make_key()
    with site.serving() as browser:
        all_the_way(site, browser)
        page = browser.get(SETTINGS)
        assert "twofactor/twofactor.css" in page.html
        assert ("My site" in page.html) is looks
        assert browser.get("/static/twofactor/twofactor.css").html.startswith("/*")
        journey.sign_out(browser)
        assert browser.get("/admin/").path == "/accounts/login/"
    return site


def test_from_startproject_by_the_page_to_2fa_and_off_again(python, tmp_path):
    site = follow(python, tmp_path / "site", looks=True)
    assert "http://localhost:8000/accounts/2fa/" in site.mails()


def test_the_same_on_the_newest_django(wheel, tmp_path):
    newer = newer_python()
    if newer is None:
        pytest.skip("Django 6 needs Python 3.12 or newer, and there is none on this machine")
    python = environment(wheel, newer, django=NEWEST_DJANGO)
    site = follow(python, tmp_path / "site", looks=False)
    assert site.run(python, "-m", "django", "--version").strip() == NEWEST_DJANGO


@pytest.mark.parametrize("line", FORGOTTEN)
def test_each_line_that_is_forgotten_is_named_with_what_to_write(line, python, tmp_path):
    site = FreshSite(python, tmp_path / "site", forgotten=line)
    site.env["TWOFACTOR_KEYS"] = "k1:dHdvZmFjdG9yLXRlc3RzLTMyLWJ5dGVzLWxvbmchISE="
    said = site.run(python, "manage.py", "check", fails=True)
    for words in FORGOTTEN[line]:
        assert words in said
    assert set(re.findall(r"twofactor\.E\d+", said)) <= set(FORGOTTEN[line])
