"""docs/reuse.md describes settings and signals correctly, and its examples run as printed."""

import ast
import importlib
import logging
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from django.contrib.admin import site
from django.urls import include, path

from twofactor import conf, signals
from twofactor.refusals import Refused
from twofactor.support import reset
from twofactor.tests.constants import CONFIRM
from twofactor.tests.helpers import age_second_factor
from twofactor.tests.responses import redirect_target

PAGE = (Path(conf.__file__).parent.parent / "docs" / "reuse.md").read_text()
EXAMPLES = dict(re.findall(r"```python\n# shop/(\w+)\.py\n(.*?)```", PAGE, flags=re.DOTALL))
TABLE = dict(re.findall(r"^\| `(TWOFACTOR_\w+)` \| (.*?) \|", PAGE, flags=re.MULTILINE))
SETTINGS = {
    function.__doc__.split(maxsplit=1)[0].strip(":,"): function
    for function in vars(conf).values()
    if getattr(function, "__module__", "") == conf.__name__ and (function.__doc__ or "").startswith("TWOFACTOR_")
}


@pytest.fixture
def shop(monkeypatch):
    """Import the examples as modules of a host. Return a function that returns one of them."""
    monkeypatch.setitem(sys.modules, "shop", ModuleType("shop"))
    for name, code in EXAMPLES.items():
        module = ModuleType(f"shop.{name}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(code, vars(module))  # noqa: S102 - the code is from our own page
    return lambda name: importlib.import_module(f"shop.{name}")


def test_the_table_has_every_setting_that_the_code_reads_and_its_default(settings):
    app = Path(conf.__file__).parent
    texts = [path.read_text() for path in app.rglob("*.py") if "tests" not in path.parts]
    read = re.findall(r"settings(?:\.|, \")(TWOFACTOR_\w+)", "\n".join(texts))
    assert set(read) == SETTINGS.keys() == TABLE.keys()
    settings.ALLOWED_HOSTS = []  # the defaults for passkeys are those of a site without a name
    for name in SETTINGS:
        if hasattr(settings, name):
            delattr(settings, name)
    for name in SETTINGS.keys() - {"TWOFACTOR_KEYS"}:
        assert SETTINGS[name]() == ast.literal_eval(TABLE[name].strip("`"))


def test_the_checks_in_the_table_exist():
    checks = (Path(conf.__file__).parent / "checks.py").read_text()
    named = re.findall(r"^\| `TWOFACTOR_.*\((E\d+)\)", PAGE, flags=re.MULTILINE)
    assert len(named) == 6
    assert [number for number in named if f'"{number}"' not in checks] == []


def test_the_table_has_every_signal_and_every_reason_for_a_failure():
    sent = [name for name, value in vars(signals).items() if isinstance(value, signals.Signal)]
    section = PAGE.partition("\n## Signals\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([a-z_]+)` \|", section, flags=re.MULTILINE) == sent
    reasons = re.search(r"^\| `failed` \|.*`why`: (.*) \|$", PAGE, flags=re.MULTILINE)[1]
    codes = " ".join(re.findall(r"- (.*?):", Refused.__doc__))
    assert set(re.findall(r"`(\w+)`", reasons)) | {"signed_out"} == set(re.findall(r"`(\w+)`", codes))  # sent as wrong


def test_the_example_receiver_is_called(shop, user, second_factor, caplog, django_capture_on_commit_callbacks):
    receivers = shop("receivers")
    with caplog.at_level(logging.WARNING, "shop"), django_capture_on_commit_callbacks(execute=True):
        reset(user, reason="lost phone")
    signals.turned_off.disconnect(receivers.log_turned_off)
    assert caplog.messages[-1] == f"2FA of user {user.pk} is off, by staff"


def test_the_example_adapter_works(shop, user, rf, settings):
    settings.ALLOWED_HOSTS = ["test.shop.example"]
    own = shop("adapter").ShopAdapter()
    assert own.issuer() == "Shop"
    assert own.issuer(rf.get("/", headers={"Host": "test.shop.example"})) == "Shop (test)"
    assert own.label(user) == "Ada Example"
    user.first_name = user.last_name = ""
    assert own.label(user) == user.email
    assert not own.is_required(user)
    user.is_superuser = True
    assert own.is_required(user)
    assert own.recovery_help(rf.get("/")).endswith("\n\nOr come to the shop, and bring an ID.")


def test_the_example_views_require_step_up(shop, client_with_2fa, settings):
    views = shop("views")
    views.Ledger.template_name = "twofactor/base.html"
    views.urlpatterns = [
        path("refund/<int:pk>/", views.refund),
        path("ledger/", views.Ledger.as_view()),
        path("", include("twofactor.tests.urls")),
    ]
    settings.ROOT_URLCONF = "shop.views"
    assert client_with_2fa.post("/refund/7/").content == b"Order 7 is refunded."
    age_second_factor(client_with_2fa, 5 * 60 + 1)
    assert redirect_target(client_with_2fa.post("/refund/7/")).startswith(CONFIRM)
    assert client_with_2fa.get("/ledger/").status_code == 200
    age_second_factor(client_with_2fa, 10 * 60)
    assert redirect_target(client_with_2fa.get("/ledger/")).startswith(CONFIRM)


def test_the_example_test_signs_in(shop, user, client):
    shop("tests").sign_in_with_2fa(client, user)
    assert client.get("/accounts/2fa/").context["second_factor"] == user.second_factor


def test_the_example_user_admin_shows_2fa(shop, user, second_factor):
    own = shop("admin").ShopUserAdmin(type(user), site)
    assert own.has_2fa(user)
    assert own.get_list_display(None)[-1] == "has_2fa"
    assert own.get_fieldsets(None, user)[-1][1]["fields"] == own.fields_if_on
