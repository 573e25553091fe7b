"""The app in other sites. Each is a process of its own, because a process has one user model."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from twofactor.tests import with_django

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = ROOT / "twofactor/templates/twofactor"


@pytest.mark.parametrize("user, extras", [
    ("auth.User", ""),                              # user name, integer
    ("hosts.NamedUser", "social sessions naive"),    # user name, UUID, and times without a time zone
    ("hosts.NumberedUser", "social"),                # email, integer
    ("hosts.KeyedUser", "sessions login-code"),      # email, UUID
    ("hosts.KeyedUser", "mfa"),                      # together with allauth.mfa
])  # fmt: skip
def test_the_app_works_with_any_user_model_and_any_part_of_allauth(user, extras):
    command = [sys.executable, "-W", "error", "-m", with_django.__name__, "twofactor.tests.hosts"]
    env = {"PATH": os.environ["PATH"], "HOST_USER": user, "HOST_EXTRAS": extras}
    env["DJANGO_SETTINGS_MODULE"] = "twofactor.tests.hosts.settings"
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "done on Django" in done.stdout


def test_every_page_extends_the_base_template_that_a_site_may_override():
    page = (TEMPLATES / "page.html").read_text()
    assert page.startswith('{% extends "twofactor/base.html" %}\n')
    assert "{% block panel %}" in page
    others = [path.name for path in TEMPLATES.glob("*.html") if "{% extends" in path.read_text()]
    assert sorted(others) == ["base.html", "page.html"]
