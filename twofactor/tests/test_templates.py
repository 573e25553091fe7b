"""The app's templates and views link to pages of the app, of allauth and, in the admin, of Django only."""

import re
from pathlib import Path

from allauth.account import urls as account
from allauth.usersessions import urls as usersessions

from twofactor import urls

APP = Path(urls.__file__).parent
IN_TEMPLATES = re.compile(r"""\{% url ["']([\w:-]+)["']""")
IN_PYTHON = re.compile(r"""\b(?:reverse|redirect|resolve_url)\(\s*["']([\w:-]+)["']""")


def named(pattern, suffix):
    files = [path for path in APP.rglob(f"*.{suffix}") if "tests" not in path.parts]
    return {name for path in files for name in pattern.findall(path.read_text())}


def test_no_page_of_the_site_is_named():
    of_the_app = {f"{urls.app_name}:{pattern.name}" for pattern in urls.urlpatterns}
    of_allauth = {pattern.name for module in (account, usersessions) for pattern in module.urlpatterns}
    of_the_admin = {"admin:index", "admin:app_list"}
    assert named(IN_TEMPLATES, "html") - of_the_app - of_allauth == of_the_admin
    assert named(IN_PYTHON, "py") - of_the_app - of_allauth == set()
