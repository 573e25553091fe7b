"""Limits of length: 80 lines for a module of views, 30 for a function."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = sorted(
    path
    for app in ("twofactor", "accounts", "config")
    for path in (ROOT / app).rglob("*.py")
    if not {"tests", "migrations"} & set(path.parts)
)
VIEWS = [path for path in FILES if path.parent.name == "views" or path.name == "views.py"]


def name_of(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", VIEWS, ids=name_of)
def test_no_view_module_is_longer_than_80_lines(path):
    assert len(path.read_text().splitlines()) <= 80


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_function_is_longer_than_30_lines(path):
    functions = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]
    lengths = {f.name: f.end_lineno - f.lineno + 1 for f in functions}
    assert {name: lines for name, lines in lengths.items() if lines > 30} == {}
