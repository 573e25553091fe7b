"""The commands of docs/importing.md, run as printed, in a site that had allauth.mfa."""

import json
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from config.tests.processes.fresh_host import ROOT, FreshSite
from twofactor.tests.constants import PASSWORD, SECRET

PAGE = (ROOT / "docs/importing.md").read_text()
COMMANDS = "".join(re.findall(r"^ *```sh\n(.*?)^ *```$", PAGE, flags=re.MULTILINE | re.DOTALL)).splitlines()
IMPORT_SETTINGS = re.search(r"^```python\n# import_settings\.py\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)[1]
ADAPTER = """
from allauth.mfa.adapter import DefaultMFAAdapter


class Adapter(DefaultMFAAdapter):
    def decrypt(self, encrypted_text):
        return encrypted_text.removeprefix("sealed:")
"""


@pytest.fixture
def site(tmp_path):
    """A new site with the table of allauth.mfa and one user."""
    site = FreshSite(Path(sys.executable), tmp_path / "site")
    site.env |= {
        "PYTHONPATH": str(ROOT),
        "TWOFACTOR_KEYS": "k1:dHdvZmFjdG9yLXRlc3RzLTMyLWJ5dGVzLWxvbmchISE=",
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
    }
    (site.folder / "import_settings.py").write_text(IMPORT_SETTINGS)
    site.run("python", "manage.py", "migrate", "--settings", "import_settings")
    site.run("python", "manage.py", "createsuperuser", "--no-input", "--username=ada", "--email=ada@example.com")
    return site


def store_secret(site, secret):
    """Store the user's secret in the table of allauth.mfa."""
    with closing(sqlite3.connect(site.folder / "db.sqlite3", isolation_level=None)) as database:
        database.execute("DELETE FROM mfa_authenticator")
        insert = "INSERT INTO mfa_authenticator (user_id, type, created_at, data) VALUES (1, 'totp', '2026-01-01', ?)"
        database.execute(insert, (json.dumps({"secret": secret}),))


def test_the_commands_of_the_page_run_as_printed(site):
    outputs = (site.run("bash", "-euc", command) for command in COMMANDS)
    store_secret(site, SECRET)
    assert next(outputs).startswith("Users: 1 would be imported")
    assert next(outputs).startswith("Users: 1 imported")
    assert "1 of 1 secrets open" in next(outputs)
    next(outputs)
    assert "0 of 0 secrets open" in site.run("python", "manage.py", "twofactor", "report")
    store_secret(site, f"sealed:{SECRET}")
    (site.folder / "adapter.py").write_text(ADAPTER)
    with (site.folder / "mysite/settings.py").open("a") as file:
        file.write('MFA_ADAPTER = "adapter.Adapter"\n')
    assert next(outputs).startswith("Users: 1 would be imported")
    assert next(outputs).startswith("Users: 1 imported")
    assert list(outputs) == []


def test_every_command_of_the_page_is_in_a_code_block():
    assert "manage.py" not in re.sub(r"^ *```.*?^ *```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
