"""The docs agree with the code."""

import ast
import re
from pathlib import Path

from django.conf import settings

from dev import COMMANDS, SERVER

ROOT = Path(settings.BASE_DIR)
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
# `file.py` or `file.py:Class.method`; a path that does not start at the root is inside twofactor/.
REFERENCES = sorted(set(re.findall(r"`([\w./]+\.\w+)(?::([\w.]+))?`", (ROOT / "docs" / "architecture.md").read_text())))
FOLDERS = re.findall(r"`([\w./]+/)`", (ROOT / "docs" / "architecture.md").read_text())
RULES = sorted({rule for page in PAGES for rule in re.findall(r"`(test_\w+)::(test_\w+)`", page.read_text())})


def test_no_file_tells_a_reader_to_install_the_unrelated_twofactor_package():
    """The distribution is django-allauth-twofactor. `twofactor` on PyPI is an unrelated package."""
    folders = ("accounts", "bench", "config", "docs", "e2e", "static", "templates", "twofactor")
    files = [*ROOT.glob("*.*"), *(path for folder in folders for path in (ROOT / folder).rglob("*.*"))]
    texts = [path for path in files if path.suffix in {".html", ".js", ".md", ".po", ".py", ".toml", ".txt"}]
    assert PAGES[0] in texts
    assert [path for path in texts if re.search(r"pip install(?: -\S+)* twofactor\b", path.read_text())] == []


def test_commands_in_the_docs_use_the_python_of_the_virtual_environment():
    """Plain `python` does not find the packages in .venv."""
    texts = [(ROOT / page).read_text() for page in ("README.md", "docs/deploy.md")]
    without = [re.findall(r"^.*(?<!\.venv/bin/python )\bmanage\.py [a-z].*$", text, re.MULTILINE) for text in texts]
    assert without == [[], []]
    assert all(".venv/bin/python manage.py" in text for text in texts)


def test_every_command_of_dev_py_that_a_page_names_exists():
    named = {name for page in PAGES for name in re.findall(r"dev\.py ([a-z]+)", page.read_text())}
    assert named - {*COMMANDS, "help"} == set()
    readme = (ROOT / "README.md").read_text()
    assert re.search(r"python3 dev\.py run \d{4}\b", readme)
    assert re.search(r"^\| `SITE_URL` .*http://localhost:8000", readme, re.MULTILINE)


def test_every_test_named_in_the_docs_exists():
    found = set()
    for path in ROOT.glob("*/tests/**/test_*.py"):
        found |= {(path.stem, rule) for rule in re.findall(r"^def (\w+)\(", path.read_text(), re.MULTILINE)}
    assert set(RULES) - found == set()


def test_every_file_that_a_page_links_to_exists():
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())]
    assert [link for page, link in links if not (page.parent / link).exists()] == []


def test_every_excerpt_is_in_its_file():
    """An excerpt starts with a comment that names the file."""
    pattern = re.compile(r"^```\w+\n(?:#|//|{#) (twofactor/\S+)(?: #})?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    excerpts = [found for page in PAGES for found in pattern.findall(page.read_text())]
    assert excerpts
    assert [path for path, excerpt in excerpts if excerpt not in (ROOT / path).read_text()] == []


def test_the_readme_names_every_setting_of_the_environment():
    read = set(re.findall(r"(?:env\.\w+|needed)\(\s*\"(\w+)\"", (ROOT / "config" / "settings.py").read_text()))
    documented = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(), flags=re.MULTILINE))
    assert read <= documented


def test_the_deployment_page_has_the_server_command_of_dev_py():
    deploying = (ROOT / "docs" / "deploy.md").read_text().replace("\\\n", " ")
    assert " ".join(SERVER) in " ".join(deploying.split())


def test_the_deployment_page_lists_every_check_of_the_site():
    checks = re.findall(r'id="(site\.\w+)"', (ROOT / "config" / "checks.py").read_text())
    assert checks
    assert [name for name in checks if name not in (ROOT / "docs" / "deploy.md").read_text()] == []


def names_in(body, prefix=""):
    """Yield the classes, functions and assigned names of a module, those in a class with the name of the class."""
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from names_in(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.Assign):
            yield from (prefix + target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield prefix + node.target.id


def test_every_folder_file_and_function_that_the_architecture_page_names_exists():
    assert [name for name in FOLDERS if not ((ROOT / name).is_dir() or (ROOT / "twofactor" / name).is_dir())] == []
    for file, name in REFERENCES:
        path = next((path for path in (ROOT / file, ROOT / "twofactor" / file) if path.is_file()), None)
        assert path, f"{file} does not exist"
        assert not name or name in names_in(ast.parse(path.read_text()).body), f"{file} has no {name}"


def test_the_page_on_decisions_names_every_internal_module_of_allauth_that_is_imported():
    files = [path for folder in ("accounts", "config", "twofactor") for path in (ROOT / folder).rglob("*.py")]
    texts = [path.read_text() for path in files if "tests" not in path.parts]
    imported = re.findall(r"^ *from (allauth\.\S*internal\S*) import (\w+)", "\n".join(texts), flags=re.MULTILINE)
    decisions = (ROOT / "docs" / "decisions.md").read_text()
    assert imported
    assert [names for names in imported if f"`{'.'.join(names)}`" not in decisions] == []
