"""Rules for imports, methods and lengths: the app never imports the site, and pure modules import no Django."""

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
OLD_SALT = ("known_browsers.py", "accounts.known_browsers")  # keeps the cookies of earlier releases valid
SITE = {"accounts", "bench", "config", "conftest", "dev", "e2e"}
PURE = [
    "backup_codes.py",
    "canonical.py",
    "cose.py",
    "crypto.py",
    "providers.py",
    "refusals.py",
    "totp.py",
    "webauthn.py",
]


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
    assert [each for each in named if each != OLD_SALT and each[1].startswith(("accounts.", "bench.", "config."))] == []
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
    assert roots(APP / name) <= stdlib | {"pyotp", "argon2", "cryptography", "fido2", "twofactor"}
    own = {module.split(".")[1] for module in imported(APP / name) if module.startswith("twofactor.")}
    assert {f"{module}.py" for module in own} <= set(PURE)


def test_only_one_file_uses_each_private_part_of_allauth():
    modules = [(name_of(path), module) for path in FILES for module in imported(path)]
    for part, file in (
        (r"allauth\.account\.stages", "stages.py"),
        (r"allauth\.account\.internal", "reauthentication.py"),
        (r"allauth\..*eauthentication", "reauthentication.py"),
        (r"cryptography\.hazmat", "crypto.py"),
        ("fido2.cose", "cose.py"),
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


def test_only_forms_compares_methods():
    """A new method of the second factor is one form class, so no other file asks which method it has."""
    found = re.compile(r"method (==|!=|in)|== \"backup\"")
    files = [path for kind in ("py", "html", "js") for path in APP.rglob(f"*.{kind}") if "tests" not in path.parts]
    lines = [(name_of(path), line.strip()) for path in files for line in path.read_text().splitlines()]
    methods = [(name, line) for name, line in lines if found.search(line) and "request.method" not in line]
    assert [each for each in methods if each[0] != "forms.py"] == []


def lengths(files, kind):
    """Return the lines of each class or function of these files."""
    found = [(path, node) for path in files for node in nodes(path) if isinstance(node, kind)]
    return {f"{path}:{node.name}": node.end_lineno - node.lineno + 1 for path, node in found}


def longer_than(limit, lines):
    return {name: length for name, length in lines.items() if length > limit}


def test_modules_classes_and_functions_are_short():
    files = [path for name in ("twofactor", "accounts", "config") for path in (ROOT / name).rglob("*.py")]
    files = [path for path in files if not {"tests", "migrations"} & set(path.parts)]
    modules = {path: len(path.read_text().splitlines()) for path in files}
    views = [path for path in files if path.parent.name == "views" or path.name == "views.py"]
    app = [path for path in files if APP in path.parents]
    assert longer_than(250, {path: modules[path] for path in app}) == {}
    assert longer_than(80, {path: modules[path] for path in views}) == {}
    assert longer_than(130, lengths(files, ast.ClassDef)) == {}
    assert longer_than(30, lengths(files, ast.FunctionDef)) == {}
