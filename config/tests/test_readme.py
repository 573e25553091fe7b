"""Run the commands of the README's "By hand" as they are printed. Only the virtual environment exists already."""

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

from config.tests.processes.fresh_host import HttpBrowser

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
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = str(probe.getsockname()[1])
    script = commands.replace("8000", port).replace(" runserver", " runserver --noreload")
    with (checkout / "output").open("w") as output:
        # A new session: the shell does not forward a signal to the server.
        server = subprocess.Popen(
            ["bash", "-euc", script],
            cwd=checkout,
            env={"PATH": "/usr/bin:/bin"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        browser = HttpBrowser(f"http://127.0.0.1:{port}", alive=lambda: server.poll() is None)
        browser.post("/accounts/password/reset/", email="demo@example.com")
        deadline = time.monotonic() + 20
        while "/password/reset/key/" not in (checkout / "output").read_text():
            assert time.monotonic() < deadline, (checkout / "output").read_text()
            time.sleep(0.1)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)
    assert f"http://127.0.0.1:{port}/accounts/password/reset/key/" in (checkout / "output").read_text()
