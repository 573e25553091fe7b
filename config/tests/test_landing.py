"""The landing page: what it offers to whom, and what other sites and devices show of it."""

import re

import pytest
from django.core.management import call_command

from accounts.models import User
from twofactor.tests.constants import LOGIN
from twofactor.tests.helpers import give_password, is_signed_in, new_client

pytestmark = pytest.mark.django_db
HIDDEN = re.compile(r'<input type="hidden" name="(login|password)" value="([^"]+)">')
LOCAL = {"REMOTE_ADDR": "127.0.0.1", "headers": {"Host": "localhost:8000"}}


def offer(**request):
    """Return the fields of the form "Try it"."""
    return dict(HIDDEN.findall(new_client().get("/", **{**LOCAL, **request}).content.decode()))


@pytest.fixture
def demo(settings):
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = ["*"]
    call_command("demo")


def test_try_it_signs_in_with_the_demo_account(demo):
    client = new_client()
    client.post(LOGIN, offer(), **LOCAL)
    assert is_signed_in(client)


@pytest.mark.parametrize("request_", [
    {"REMOTE_ADDR": "::1"}, {"REMOTE_ADDR": "127.0.0.9"},
    {"headers": {"Host": "127.0.0.1:8000"}}, {"headers": {"Host": "[::1]:8000"}},
])  # fmt: skip
def test_try_it_is_offered_on_this_machine(demo, request_):
    assert offer(**request_)


@pytest.mark.parametrize("request_", [
    {"REMOTE_ADDR": "192.0.2.7"}, {"REMOTE_ADDR": ""},
    {"headers": {"Host": "demo.example"}}, {"headers": {"Host": "192.0.2.7:8000"}},
    {"headers": {"Host": "localhost", "X-Forwarded-For": "192.0.2.7"}},
    {"headers": {"Host": "localhost", "Forwarded": "for=192.0.2.7"}},
])  # fmt: skip
def test_try_it_is_not_offered_to_other_machines(demo, request_):
    assert not offer(**request_)


def test_try_it_is_not_offered_without_debug_or_without_the_account(demo, settings):
    settings.DEBUG = False
    assert not offer()
    settings.DEBUG = True
    User.objects.all().delete()
    assert not offer()


def test_a_pending_sign_in_is_continued_and_no_sign_up_is_offered(user, second_factor):
    client = new_client()
    give_password(client, user)
    page = client.get("/").content.decode()
    assert "Continue signing in" in page
    assert "/accounts/signup/" not in page
    assert "/accounts/signup/" in new_client().get("/").content.decode()


def test_links_to_the_source_need_its_address(settings):
    assert "Source code" not in new_client().get("/").content.decode()
    settings.SOURCE_URL = "https://code.example/twofactor"
    page = new_client().get("/").content.decode()
    assert 'href="https://code.example/twofactor">' in page
    assert 'href="https://code.example/twofactor#documentation">' in page


@pytest.mark.parametrize("path", ["/", LOGIN, "/security/"])
def test_every_page_describes_itself_and_names_its_picture_and_colors(path, settings):
    settings.SITE_URL = "https://2fa.example"
    page = new_client().get(path).content.decode()
    metas = dict(re.findall(r'<meta (?:name|property)="([^"]+)"\s+content="([^"]+)"', page))
    assert len(metas["description"]) > 50
    assert metas["og:image"] == "https://2fa.example/static/img/preview.png"
    assert metas["og:url"] == "https://2fa.example/"
    assert metas.keys() >= {"og:title", "og:description", "og:type", "og:image:width", "og:image:height", "theme-color"}
    assert re.findall(r"prefers-color-scheme: (\w+)", page)[:2] == ["light", "dark"]
