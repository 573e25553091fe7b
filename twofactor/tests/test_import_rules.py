"""Rules for imports and lengths: the app never imports the site, pure modules import no Django, functions are short."""

import ast
import functools
import re
import sys
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


@functools.cache
def nodes(path):
    return list(ast.walk(ast.parse(path.read_text())))


@functools.cache
def imported(path):
    """Return the dotted names of all modules that the file imports, at its top or in a function."""
    names = {alias.name for node in nodes(path) if isinstance(node, ast.Import) for alias in node.names}
    origins = [node for node in nodes(path) if isinstance(node, ast.ImportFrom)]
    assert all(node.level == 0 for node in origins), "relative imports hide what is imported"
    return names | {f"{node.module}.{alias.name}" for node in origins for alias in node.names}


def roots(path):
    return {module.split(".")[0] for module in imported(path)}


def strings(path):
    return {node.value for node in nodes(path) if isinstance(node, ast.Constant)}


def test_twofactor_and_its_tests_never_import_or_name_the_site():
    assert [name_of(path) for path in [*FILES, *TESTS] if roots(path) & SITE] == []
    named = [(name_of(path), s) for path in FILES for s in strings(path) if isinstance(s, str)]
    assert [each for each in named if each[1].startswith(("accounts.", "bench.", "config."))] == []
    tests = [path for path in TESTS if path.name != Path(__file__).name]
    assert not set().union(*map(strings, tests)) & {"config.urls", "config.settings", "accounts.User"}


def test_nothing_imports_bench_and_the_site_imports_no_browser_test():
    folders = {name: sorted((ROOT / name).rglob("*.py")) for name in ("accounts", "config", "e2e", "twofactor")}
    files = [path for paths in [ROOT.glob("*.py"), *folders.values()] for path in paths]
    assert [str(path) for path in files if "bench" in roots(path)] == []
    site = [path for path in folders["accounts"] + folders["config"] if "tests" not in path.parts]
    assert [str(path) for path in site if "e2e" in roots(path)] == []


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_import_no_django_and_read_no_clock(name):
    stdlib = set(sys.stdlib_module_names) - {"time", "datetime"}
    assert roots(APP / name) <= stdlib | {"pyotp", "argon2", "cryptography", "twofactor"}
    own = {module.split(".")[1] for module in imported(APP / name) if module.startswith("twofactor.")}
    assert {f"{module}.py" for module in own} <= set(PURE)


def test_only_one_file_uses_each_private_part_of_allauth():
    modules = [(name_of(path), module) for path in FILES for module in imported(path)]
    for part, file in (
        (r"allauth\.account\.stages", "stages.py"),
        (r"allauth\.account\.internal", "reauthentication.py"),
        (r"allauth\..*eauthentication", "reauthentication.py"),
        ("cryptography", "crypto.py"),
    ):
        assert {name for name, module in modules if re.match(part, module)} == {file}, part


def test_only_htmx_checks_for_htmx_requests():
    attributes = {path: {node.attr for node in nodes(path) if isinstance(node, ast.Attribute)} for path in FILES}
    names = {"htmx", "HX-Request", "HTTP_HX_REQUEST"}
    using = [name_of(path) for path in FILES if "htmx" in attributes[path] or names & strings(path)]
    assert using == ["htmx.py"]


def test_the_parts_of_allauth_that_the_app_uses_exist():
    from allauth.account.stages import LoginStage, LoginStageController
    from allauth.core.exceptions import ReauthenticationRequired
    from allauth.core.internal.ratelimit import consume, get_cache_key, get_rates

    assert issubclass(ReauthenticationRequired, Exception)
    assert all(map(callable, (consume, get_cache_key, get_rates, LoginStageController.enter)))
    attributes = {*dir(LoginStage), *LoginStage.__annotations__}
    assert {"exit", "abort", "handle", "is_resumable", "key", "urlname"} <= attributes


def test_no_view_module_is_longer_than_80_lines_and_no_function_longer_than_30():
    files = [path for app in ("twofactor", "accounts", "config") for path in (ROOT / app).rglob("*.py")]
    files = [path for path in files if not {"tests", "migrations"} & set(path.parts)]
    views = [path for path in files if path.parent.name == "views" or path.name == "views.py"]
    assert [path for path in views if len(path.read_text().splitlines()) > 80] == []
    functions = [(path, node) for path in files for node in nodes(path) if isinstance(node, ast.FunctionDef)]
    assert [f"{path}:{f.name}" for path, f in functions if f.end_lineno - f.lineno >= 30] == []
