"""The stylesheets: twofactor.css has the components, site.css the site's frame, admin.css its colors for the admin."""

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
STYLESHEETS = {"app": ROOT / "twofactor/static/twofactor/twofactor.css", "site": ROOT / "static/css/site.css"}
ADMIN = ROOT / "static/css/admin.css"
FOLDERS = {"app": ROOT / "twofactor/templates", "site": ROOT / "templates"}


def rules_of(name):
    return re.sub(r"/\*.*?\*/", "", STYLESHEETS[name].read_text(), flags=re.DOTALL)


def classes_of(name):
    return set(re.findall(r"\.([a-z][\w-]*)", rules_of(name)))


def classes_used_by(name):
    """Leave out emails, which carry their own style, and the app's page in the admin, which has the admin's look."""
    paths = [path for path in FOLDERS[name].rglob("*.html") if name == "site" or not {"admin", "email"} & {*path.parts}]
    values = [value for path in paths for value in re.findall(r'\bclass="([^"]*)"', path.read_text())]
    return {word for value in values for word in re.sub(r"\{[{%].*?[%}]\}", " ", value).split() if word != "tf-"}


def test_no_class_is_defined_in_both_stylesheets():
    assert classes_of("app") & classes_of("site") == set()


@pytest.mark.parametrize("name", STYLESHEETS)
def test_each_declaration_has_its_own_line(name):
    lines = rules_of(name).splitlines()
    assert [line for line in lines if line.count(";") > 1 or (";" in line and re.search("[{}]", line))] == []


def test_every_class_of_the_app_is_prefixed_and_defined_by_the_app():
    used = classes_used_by("app")
    assert {name for name in used if not name.startswith("tf-")} == {"twofactor"}
    assert used - classes_of("app") == set()


def test_every_class_of_the_sites_pages_is_defined():
    assert classes_used_by("site") - classes_of("app") - classes_of("site") == set()


def test_the_admin_has_the_colors_of_the_site():
    admin, site = (set(re.findall(r"#[0-9a-f]{3,6}\b", path.read_text())) for path in (ADMIN, STYLESHEETS["site"]))
    assert admin
    assert admin - site == set()
