"""Limits of length: 80 lines for a module of views, 30 for a function."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = [
    path
    for app in ("twofactor", "accounts", "config")
    for path in (ROOT / app).rglob("*.py")
    if not {"tests", "migrations"} & set(path.parts)
]


def test_no_view_module_is_longer_than_80_lines_and_no_function_longer_than_30():
    long = []
    for path in FILES:
        text = path.read_text()
        if (path.parent.name == "views" or path.name == "views.py") and len(text.splitlines()) > 80:
            long.append(str(path))
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
        long += [f"{path}:{f.name}" for f in functions if f.end_lineno - f.lineno >= 30]
    assert long == []
