"""The README's block of commands "By hand", run as it is printed; only the virtual environment is there already."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings

from twofactor.tests.hosts.fresh import HttpBrowser

ROOT = Path(settings.BASE_DIR)
README = (ROOT / "README.md").read_text()
SITE = ("accounts", "config", "static", "templates", "twofactor")


@pytest.fixture
def checkout(tmp_path):
    """A copy of the site without a .env, and this virtual environment in it."""
    for name in SITE:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    shutil.copy(ROOT / "manage.py", tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def test_the_site_runs_by_the_commands_of_the_readme_and_emails_link_to_it(checkout):
    block = re.search(r"^### By hand$.*?^```sh\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)[1]
    assert block.startswith("python3 -m venv .venv\n.venv/bin/pip install ")
    commands = block.split("\n", 2)[2]
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = str(probe.getsockname()[1])
    script = commands.replace("8000", port).replace(" runserver", " runserver --noreload")
    with (checkout / "said").open("w") as said:
        # In a session of its own, since the shell does not pass a signal on to the server.
        server = subprocess.Popen(
            ["bash", "-euc", script],
            cwd=checkout,
            env={"PATH": "/usr/bin:/bin"},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        browser = HttpBrowser(f"http://127.0.0.1:{port}", alive=lambda: server.poll() is None)
        browser.post("/accounts/password/reset/", email="demo@example.com")
        give_up = time.monotonic() + 20
        while "/password/reset/key/" not in (checkout / "said").read_text():
            assert time.monotonic() < give_up, (checkout / "said").read_text()
            time.sleep(0.1)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)
    assert f"http://127.0.0.1:{port}/accounts/password/reset/key/" in (checkout / "said").read_text()
