"""The translations: complete, compiled, and used in every language of the footer."""

import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.utils import formats, translation

from twofactor import useragent
from twofactor.tests.responses import redirect_target

ROOT = Path(settings.BASE_DIR)
CATALOGUES = sorted(ROOT.glob("*/locale/*/LC_MESSAGES/django.po"))


def name_of(path):
    return f"{path.parts[-5]}-{path.parts[-3]}"


def forms_of(entry):
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


def marks(text):
    return sorted(re.findall(r"%\(\w+\)[sd]|%[sd]|</?\w+>", text))


def test_app_and_site_have_a_catalog_for_each_language():
    languages = [translation.to_locale(code) for code, name in settings.LANGUAGES if code != "en"]
    expected = {f"{part}-{language}" for part in ("config", "twofactor") for language in languages}
    assert {name_of(path) for path in CATALOGUES} == expected


@pytest.mark.parametrize("path", CATALOGUES, ids=name_of)
def test_every_string_is_translated_with_its_plurals_and_placeholders_and_compiled(path):
    catalogue = polib.pofile(str(path))
    assert [entry.msgid for entry in catalogue if entry.fuzzy or not all(forms_of(entry))] == []
    count = int(re.search(r"nplurals=(\d)", catalogue.metadata["Plural-Forms"])[1])
    assert [e.msgid for e in catalogue if e.msgid_plural and len(e.msgstr_plural) != count] == []
    # A singular form may write its number in words. The last form is the general one: it needs all placeholders.
    assert [e.msgid for e in catalogue if marks(forms_of(e)[-1]) != marks(e.msgid_plural or e.msgid)] == []
    compiled = {entry.msgid: forms_of(entry) for entry in polib.mofile(str(path.with_suffix(".mo")))}
    assert compiled == {entry.msgid: forms_of(entry) for entry in catalogue}


@pytest.mark.parametrize("part, others", [("twofactor", []), ("config", ["twofactor"])])
def test_every_string_of_the_sources_is_in_the_catalogs(part, others, tmp_path):
    if not shutil.which("xgettext"):
        pytest.skip("xgettext is not installed")
    copy = tmp_path / "site"
    ignored = shutil.ignore_patterns(".*", "tests", "e2e", "staticfiles", "*.sqlite3*", *others)
    shutil.copytree(ROOT, copy, ignore=ignored)
    catalogue = str(copy / part / "locale" / "de" / "LC_MESSAGES" / "django.po")
    before = {entry.msgid for entry in polib.pofile(catalogue)}
    command = [sys.executable, "-m", "django", "makemessages", "--locale=de", "--no-obsolete", "--no-location"]
    if part == "config":
        (copy / "locale").symlink_to(copy / "config" / "locale")
    options = {"cwd": copy / "twofactor" if part == "twofactor" else copy, "env": {"PATH": "/usr/bin:/bin"}}
    subprocess.run(command, check=True, capture_output=True, timeout=60, **options)
    assert {entry.msgid for entry in polib.pofile(catalogue)} - before == set()


def test_the_chosen_language_overrides_accept_language(client):
    german = {"Accept-Language": "de"}
    assert 'lang="de"' in client.get("/accounts/login/", headers=german).content.decode()
    answer = client.post("/language/", {"language": "ar", "next": "/accounts/login/"})
    assert answer["Location"] == "/accounts/login/"
    assert '<html lang="ar" dir="rtl">' in client.get("/accounts/login/", headers=german).content.decode()
    answer = client.post("/language/", {"language": "de", "next": "https://evil.example/"})
    assert "evil.example" not in answer["Location"]


@pytest.mark.parametrize("current_url, target", [
    ("http://testserver/accounts/password/reset/", "/accounts/password/reset/"),
    ("http://testserver/accounts/login/?next=/accounts/email/", "/accounts/login/?next=/accounts/email/"),
    ("https://evil.example/accounts/", "/accounts/signup/"),
    ("http://testserver//evil.example/", "/accounts/signup/"),
    ("", "/accounts/signup/"),
])  # fmt: skip
def test_the_language_form_returns_to_the_page_shown_after_a_swap(client, current_url, target):
    headers = {"HX-Request": "true", "HX-Target": "panel", "HX-Current-URL": current_url}
    answer = client.post("/language/?next=/accounts/signup/", {"language": "de"}, headers=headers)
    assert redirect_target(answer) == target
    assert answer.cookies["django_language"].value == "de"


def test_browser_and_date_of_an_event_are_in_the_language_of_the_page():
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    moment = datetime(2026, 11, 22, 14, 4, tzinfo=UTC)
    with translation.override("ar"):
        assert useragent.describe(firefox) == "Firefox على Linux"
        assert formats.date_format(moment, "DATETIME_FORMAT") == "22 نوفمبر، 2026، 2:04 م"


def test_english_dates_have_the_format_that_the_script_uses():
    moment = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
    assert formats.date_format(moment, "DATE_FORMAT") == "Nov 24, 2026"
    assert formats.date_format(moment, "DATETIME_FORMAT") == "Nov 24, 2026, 5:00 PM"
