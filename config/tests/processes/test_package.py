"""The package that `python -m build` makes contains the app and nothing else."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from config.tests.processes.fresh_host import build

ROOT = Path(__file__).resolve().parents[3]
NOT_PACKAGED = {"tests", "__pycache__", "pytest.ini", ".pytest_cache"}
LANGUAGES = ["ar", "de", "es", "fr", "ja", "pt_BR", "zh_Hans"]
OTHER_FILES = [
    "py.typed", "static/twofactor/twofactor.css", "static/twofactor/twofactor.js", "static/twofactor/passkeys.js",
    "migrations/0001_initial.py", "management/commands/twofactor.py", "templates/twofactor/verify_login.html",
    *[f"locale/{language}/LC_MESSAGES/django.mo" for language in LANGUAGES],
]  # fmt: skip


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", f"--outdir={folder}", ROOT]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return folder


@pytest.fixture(scope="module")
def wheel(dist):
    (path,) = dist.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def app_files():
    files = (path for path in (ROOT / "twofactor").rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in files if not NOT_PACKAGED & set(path.parts)}


def test_the_wheel_contains_exactly_the_files_of_the_app(wheel):
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == {name for name in app_files() if not name.endswith(".po")}
    assert packed >= {f"twofactor/{name}" for name in OTHER_FILES}


def test_a_wheel_built_from_the_checkout_equals_one_built_from_the_sdist(wheel, tmp_path):
    with zipfile.ZipFile(build(tmp_path)) as built:
        assert sorted(built.namelist()) == sorted(wheel.namelist())


def test_the_sdist_contains_the_app_and_its_translation_sources(dist):
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as opened:
        names = {name.split("/", 1)[1] for name in opened.getnames()}
    assert names - {".gitignore", "PKG-INFO", "pyproject.toml", "docs/reuse.md", "LICENSE"} == app_files()


def test_reuse_md_installs_the_wheel_that_is_built(wheel):
    page = (ROOT / "docs" / "reuse.md").read_text()
    assert {Path(found).name for found in re.findall(r"\S+\.whl", page)} == {Path(wheel.filename).name}


def test_the_wheel_is_not_called_twofactor_and_requires_what_the_app_imports(wheel):
    """On PyPI, `twofactor` is another author's package."""
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(wheel.read(name).decode())
    assert metadata["Name"] == "django-allauth-twofactor"
    assert sorted(metadata.get_all("Requires-Dist")) == [
        "argon2-cffi>=25.1", "cryptography>=46", "django-allauth<66,>=65.21.1", "django-htmx>=1.27", "django<7,>=5.2",
        "fido2<3,>=2.2", "pyotp<3,>=2.12", "qrcode<9,>=8.2",
    ]  # fmt: skip
    site = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["site"]
    assert "django>=5.2,<5.3" in site


def test_twine_accepts_the_distributions(dist):
    command = [sys.executable, "-m", "twine", "check", "--strict", *dist.iterdir()]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("PASSED") == 2
