"""Rules for imports: the app never imports the site, pure modules import no Django, nothing imports `bench`."""

import ast
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parent.parent
ROOT = APP.parent
FILES = sorted(path for path in APP.rglob("*.py") if "tests" not in path.parts)
TESTS = sorted(APP.glob("tests/**/*.py"))
SITE = {"accounts", "bench", "config", "conftest", "dev", "e2e"}
PURE = ["canonical.py", "totp.py", "codes.py", "crypto.py"]


def name_of(path):
    return str(path.relative_to(APP))


def imported(path):
    """Yield the dotted name of every module that the file imports, at its top or in a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide what is imported"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def roots(path):
    return {module.split(".")[0] for module in imported(path)}


def strings(path):
    return {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_twofactor_never_imports_the_site(path):
    assert not roots(path) & SITE


def test_the_tests_of_the_app_never_import_the_site():
    assert [name_of(path) for path in TESTS if roots(path) & SITE] == []


def test_the_tests_of_the_app_never_name_its_urls_or_settings():
    files = [path for path in TESTS if path.name != Path(__file__).name]
    assert [
        name_of(path) for path in files if {"config.urls", "config.settings", "accounts.User"} & strings(path)
    ] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_twofactor_never_names_a_module_of_the_site_in_a_string(path):
    assert not {s for s in strings(path) if isinstance(s, str) and s.startswith(("accounts.", "bench.", "config."))}


def test_nothing_imports_bench():
    folders = [ROOT / name for name in ("accounts", "config", "e2e", "twofactor")]
    files = {*ROOT.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.py"))}
    assert [str(path.relative_to(ROOT)) for path in files if "bench" in roots(path)] == []


def test_the_site_imports_no_browser_test():
    files = [path for name in ("accounts", "config") for path in (ROOT / name).rglob("*.py")]
    assert [str(path.relative_to(ROOT)) for path in files if "tests" not in path.parts and "e2e" in roots(path)] == []


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_import_no_django(name):
    allowed = {"pyotp", "argon2", "cryptography", "twofactor"}
    assert roots(APP / name) - set(__import__("sys").stdlib_module_names) <= allowed
    own = {module.split(".")[1] for module in imported(APP / name) if module.startswith("twofactor.")}
    assert {f"{module}.py" for module in own} <= set(PURE)


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_read_no_clock(name):
    assert not roots(APP / name) & {"time", "datetime"}


@pytest.mark.parametrize("part, file", [
    ("allauth.account.stages", "stages.py"), ("allauth.account.internal", "reauthentication.py"),
    ("allauth.core.internal", "limits.py"),
])  # fmt: skip
def test_only_one_file_uses_each_private_part_of_allauth(part, file):
    modules = {(name_of(path), module) for path in FILES for module in imported(path)}
    assert {name for name, module in modules if module.startswith(part)} == {file}


def test_only_reauthentication_uses_reauthentication_of_allauth():
    using = {name_of(path) for path in FILES if any("eauthentication" in m for m in imported(path) if "allauth." in m)}
    assert using == {"reauthentication.py"}


def test_only_htmx_checks_for_htmx_requests():
    using = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            is_attribute = isinstance(node, ast.Attribute) and node.attr == "htmx"
            is_getattr = isinstance(node, ast.Constant) and node.value in ("htmx", "HX-Request", "HTTP_HX_REQUEST")
            if is_attribute or is_getattr:
                using.add(name_of(path))
    assert using == {"htmx.py"}


def test_only_crypto_imports_cryptography():
    importing = {name_of(path) for path in FILES if "cryptography" in roots(path)}
    assert importing == {"crypto.py"}


def test_the_parts_of_allauth_that_the_app_uses_exist():
    from allauth.account.decorators import reauthentication_required
    from allauth.account.stages import LoginStage, LoginStageController
    from allauth.core.exceptions import ReauthenticationRequired
    from allauth.core.internal.ratelimit import consume, get_cache_key, get_rates

    assert callable(reauthentication_required)
    assert issubclass(ReauthenticationRequired, Exception)
    assert callable(consume)
    assert callable(get_cache_key)
    assert callable(get_rates)
    assert {"exit", "abort", "handle", "is_resumable", "key", "urlname"} <= set(dir(LoginStage)) | set(
        LoginStage.__annotations__
    )
    assert hasattr(LoginStageController, "enter")
