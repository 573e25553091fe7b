"""Run the commands of the README's "By hand" as they are printed. Only the virtual environment exists already."""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from django.conf import settings

from config.tests.processes.running_site import wait_until
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
    port = str(free_port())
    script = commands.replace("8000", port).replace(" runserver", " runserver --noreload")
    output = checkout / "output"
    with output.open("w") as log:
        # A new session: the shell does not forward a signal to the server.
        options = {"cwd": checkout, "env": {"PATH": "/usr/bin:/bin"}, "stdout": log, "stderr": log}
        server = subprocess.Popen(["bash", "-euc", script], start_new_session=True, **options)
    client = new_client(f"http://127.0.0.1:{port}")

    def is_served():
        assert server.poll() is None, output.read_text()
        with suppress(httpx.TransportError):
            return post(client, "/accounts/password/reset/", {"email": "demo@example.com"})

    try:
        wait_until(is_served, "the site", seconds=60)
        link = f"http://127.0.0.1:{port}/accounts/password/reset/key/"
        wait_until(lambda: link in output.read_text(), "the email")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)
