"""docs/reuse.md works as written, in a new environment and a new site, for a user who turns 2FA on and off."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from config.tests.processes.fresh_host import FreshSite, build, environment
from twofactor.tests.constants import LOGIN, PASSWORD, SETTINGS
from twofactor.tests.journeys import (
    SiteUser,
    give_password,
    pass_stage,
    post,
    redirect_target,
    sign_in_by_provider,
    sign_out,
    turn_off,
    turn_on,
    visible_text,
)

NEWEST_DJANGO = "6.1.3"
OMITTED_LINES = {
    'INSTALLED_APPS += ["twofactor"]': ["ImproperlyConfigured", '"twofactor" to INSTALLED_APPS'],
    "ACCOUNT_ADAPTER": ["twofactor.E001", 'ACCOUNT_ADAPTER = "twofactor.account.AccountAdapter"'],
    "HtmxMiddleware": ["twofactor.E018", '"django_htmx.middleware.HtmxMiddleware" to MIDDLEWARE'],
    "TwofactorMiddleware": ["twofactor.E002", '"twofactor.middleware.TwofactorMiddleware" to MIDDLEWARE'],
    "urlpatterns": ["twofactor.E013", 'path("accounts/2fa/", include("twofactor.urls"))'],
    "TWOFACTOR_KEYS": ["twofactor.E007", 'TWOFACTOR_KEYS = "kid:base64key,..."'],
}


def newer_python():
    """Return a Python that Django 6 runs on: this one, one on the path, or one of pyenv."""
    found = [Path(sys.executable)] if sys.version_info >= (3, 12) else []
    for name in ("python3.14", "python3.13", "python3.12"):
        candidates = (shutil.which(name), *Path.home().glob(f".pyenv/versions/*/bin/{name}"))
        found += [Path(path) for path in candidates if path]
    # pyenv has a shim for each version, and runs the selected one.
    return next((path.resolve() for path in found if "shims" not in path.parts), None)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel):
    return environment(wheel, Path(sys.executable).resolve())


def sign_up(site, client):
    """Sign up with a user name, a password and an address, and confirm the address."""
    fields = {"username": "ada", "email": "ada@example.com", "password1": PASSWORD, "password2": PASSWORD}
    post(client, "/accounts/signup/", fields)
    link = re.search(r"https?://\S+(/accounts/confirm-email/\S+)", site.emails())[1]
    assert client.get(link).status_code == 200
    post(client, link)


def use_2fa(site, client, new_client):
    """Turn 2FA on, use it after a password and after a provider, and turn it off."""
    sign_up(site, client)
    ada, account = SiteUser(0, "ada"), {"id": "7", "email": "ada@example.com", "email_verified": "on"}
    sign_in_by_provider(client, account, process="connect")
    turn_on(client, ada, steps_ahead=-1)
    sign_out(client)
    give_password(client, ada)
    pass_stage(client, code=ada.code())
    sign_out(client)
    sign_in_by_provider(client, account)
    pass_stage(client, code=ada.code(steps_ahead=1))
    turn_off(client, password=PASSWORD, backup_code=ada.backup_codes[0])
    other = new_client()
    assert redirect_target(give_password(other, ada)) == SETTINGS
    assert visible_text(other.get(SETTINGS)).count("Successfully signed in") == 1


def follow_the_page(python, folder, *, own_templates):
    site = FreshSite(python, folder, own_templates=own_templates)
    assert "System check identified no issues (0 silenced)." in site.make_key()
    with site.serving() as new_client:
        client = new_client()
        use_2fa(site, client, new_client)
        page = client.get(SETTINGS)
        assert "twofactor/twofactor.css" in page.text
        assert ("My site" in page.text) is own_templates
        assert client.get("/static/twofactor/twofactor.css").text.startswith("/*")
        assert redirect_target(new_client().get("/admin/login/")).startswith(LOGIN)
    return site


def test_a_new_site_works_as_the_page_says(python, tmp_path):
    site = follow_the_page(python, tmp_path / "site", own_templates=True)
    assert "http://localhost:8000/accounts/2fa/" in site.emails()


def test_a_new_site_works_on_the_newest_django(wheel, tmp_path):
    newer = newer_python()
    if newer is None:
        pytest.skip("Django 6 needs Python 3.12 or newer, and there is none on this machine")
    python = environment(wheel, newer, django=NEWEST_DJANGO)
    site = follow_the_page(python, tmp_path / "site", own_templates=False)
    assert site.run(python, "-m", "django", "--version").strip() == NEWEST_DJANGO


@pytest.fixture(scope="module")
def unchecked_site(python, tmp_path_factory):
    site = FreshSite(python, tmp_path_factory.mktemp("checks") / "site")
    site.env["TWOFACTOR_KEYS"] = "k1:dHdvZmFjdG9yLXRlc3RzLTMyLWJ5dGVzLWxvbmchISE="
    return site


@pytest.mark.parametrize("line", OMITTED_LINES)
def test_a_check_names_each_omitted_line_and_what_to_write(line, python, unchecked_site):
    unchecked_site.write_settings(omit=line)
    output = unchecked_site.run(python, "manage.py", "check", fails=True)
    for words in OMITTED_LINES[line]:
        assert words in output
    assert set(re.findall(r"twofactor\.E\d+", output)) <= set(OMITTED_LINES[line])
