"""Run the commands of the README's "By hand" as they are printed. Only the virtual environment exists already."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from django.conf import settings

from config.tests.processes.running_site import running, wait_until
from twofactor.tests.journeys import free_port, new_client, post

ROOT = Path(settings.BASE_DIR)
README = (ROOT / "README.md").read_text()
SITE = ("accounts", "config", "static", "templates", "twofactor")


@pytest.fixture
def checkout(tmp_path):
    """A copy of the site without a `.env`, with a link to this virtual environment."""
    for name in SITE:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    shutil.copy(ROOT / "manage.py", tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def test_the_site_runs_by_the_commands_of_the_readme_and_emails_link_to_it(checkout):
    block = re.search(r"^### By hand$.*?^```sh\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)[1]
    assert block.startswith("python3 -m venv .venv\n.venv/bin/pip install ")
    commands = block.split("\n", 2)[2]
    url = f"http://localhost:{free_port()}"
    script = commands.replace("8000", url.rpartition(":")[2]).replace(" runserver", " runserver --noreload")
    output = checkout / "output"
    with running(["bash", "-euc", script], url, output, cwd=checkout, env={"PATH": "/usr/bin:/bin"}):
        post(new_client(url), "/accounts/password/reset/", {"email": "demo@example.com"})
        wait_until(lambda: f"{url}/accounts/password/reset/key/" in output.read_text(), "the email")
