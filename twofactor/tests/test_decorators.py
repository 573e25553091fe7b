"""A host's own view that asks for a second factor used within so many minutes."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.test import RequestFactory
from django.utils.cache import get_cache_key
from django.utils.decorators import method_decorator
from django.views.generic import View

from conftest import NOW
from twofactor import sessions
from twofactor.decorators import second_factor_required
from twofactor.mixins import SecondFactorRequiredMixin
from twofactor.models import Authenticator
from twofactor.tests.helpers import (
    CONFIRM,
    LOGIN,
    SETUP,
    VERIFY_LOGIN,
    age_second_factor,
    code_now,
    give_password,
    is_full_page,
    message_levels,
    new_client,
    redirect_target,
    sign_in,
)
from twofactor.tests.hosts import pages
from twofactor.tests.hosts.pages import BY_CLASS, CACHED, DELETE, DISPATCH, ELSEWHERE, HOST, ONE, REPORT, ROW, WRAPPED

NEEDLE = "the-words-of-the-note"
ON_THE_HOSTS_PAGE = {"HX-Current-URL": f"http://testserver{HOST}?page=2"}


@pytest.fixture(autouse=True)
def a_host(settings):
    """One whose own middleware asks nobody to sign in, and keeps nothing out of caches."""
    own = ("config.", "django.contrib.auth.middleware.LoginRequired")
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.startswith(own)]
    settings.ROOT_URLCONF = "twofactor.tests.hosts.pages"
    pages.deleted.clear()


@pytest.fixture
def plain(user, authenticator, secret):
    """A plain browser whose second factor was used an hour ago."""
    browser = sign_in(new_client(), user, code=code_now(secret))
    Authenticator.objects.update(last_time_step=-1)
    age_second_factor(browser, 3600)
    return browser


@pytest.fixture
def htmx(plain):
    """The same browser, as htmx asks from the host's page."""
    plain.defaults["HTTP_HX_REQUEST"] = "true"
    return plain


def asked_for(response):
    """Where the way to the form leads back to, and whether something has to be sent again."""
    target = urlsplit(redirect_target(response))
    assert target.path == CONFIRM
    query = parse_qs(target.query)
    return query.get("next", [""])[0], "unsent" in query


# --- Who is let in --------------------------------------------------------------------------------


@pytest.mark.parametrize("method, ago, is_enough", [
    ("code", 0, True), ("code", 600, True), ("code", 601, False), ("backup", 600, True), ("backup", 601, False),
    ("trusted browser", 0, False), ("", 0, False),
])  # fmt: skip
def test_only_what_somebody_typed_counts_and_only_for_so_long(user, authenticator, method, ago, is_enough):
    request = RequestFactory().get("/")
    request.session = {sessions.KEY: {"version": authenticator.version, "method": method, "at": NOW - ago}}
    assert sessions.used_recently(request, authenticator, within=600, now=NOW) is is_enough
    assert not sessions.used_recently(request, None, within=600, now=NOW)


def test_a_mark_of_another_version_of_2fa_does_not_count(user, authenticator):
    request = RequestFactory().get("/")
    request.session = {sessions.KEY: {"version": "older", "method": "code", "at": NOW}}
    assert not sessions.used_recently(request, authenticator, within=600, now=NOW)


@pytest.mark.parametrize("path", [REPORT, ROW, BY_CLASS, WRAPPED, DISPATCH, ONE, ELSEWHERE])
def test_whoever_used_it_lately_sees_the_page_and_nothing_stores_it(client_with_2fa, path):
    response = client_with_2fa.get(path)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]


def test_the_view_gets_its_arguments_and_what_was_posted(client_with_2fa):
    assert client_with_2fa.get(ONE).content == b"number 7"
    assert redirect_target(client_with_2fa.post(DELETE, {"note": NEEDLE})) == HOST
    assert pages.deleted == [NEEDLE]


def test_cache_page_above_the_decorator_stores_nothing(client_with_2fa):
    response = client_with_2fa.get(CACHED)
    assert response.status_code == 200
    assert get_cache_key(response.wsgi_request) is None


@pytest.mark.parametrize("path, ago", [
    (REPORT, 601), (BY_CLASS, 121), (WRAPPED, 121), (DISPATCH, 121), (ONE, 61),
])  # fmt: skip
def test_each_view_says_how_long_ago(client_with_2fa, path, ago):
    age_second_factor(client_with_2fa, ago - 10)
    assert client_with_2fa.get(path).status_code == 200
    age_second_factor(client_with_2fa, 10)
    assert redirect_target(client_with_2fa.get(path)).startswith(CONFIRM)


def test_a_trusted_browser_is_no_second_factor_used_now(user, authenticator, secret, settings):
    settings.TWOFACTOR_TRUST_DAYS = 30
    browser = new_client()
    give_password(browser, user)
    browser.post(VERIFY_LOGIN, {"code": code_now(secret), "trust": "on"})
    assert browser.get(REPORT).status_code == 200
    browser.post("/accounts/logout/")
    sign_in(browser, user)
    assert asked_for(browser.get(REPORT)) == (REPORT, False)


def test_whoever_is_signed_out_is_led_to_sign_in_and_back(client, db):
    assert redirect_target(client.get(REPORT)) == f"{LOGIN}?next={REPORT}"


def test_whoever_has_no_2fa_is_led_to_turning_it_on_or_where_the_host_says(signed_in_client):
    response = signed_in_client.get(REPORT)
    assert redirect_target(response).startswith(SETUP)
    assert message_levels(signed_in_client.get(SETUP)) == ["info"]
    assert redirect_target(signed_in_client.get(ELSEWHERE)) == "/accounts/email/"
    assert redirect_target(signed_in_client.post(DELETE, {"note": NEEDLE})).startswith(SETUP)
    assert pages.deleted == []


@pytest.mark.parametrize("too_short", [0, -1, 59, timedelta(seconds=59)])
def test_less_than_a_minute_is_refused_where_it_is_written(too_short):
    with pytest.raises(ValueError, match="max_age"):
        second_factor_required(max_age=too_short)


def test_a_view_keeps_its_name():
    assert (pages.report.__name__, pages.delete.__name__) == ("report", "delete")


# --- Async views ----------------------------------------------------------------------------------


async def async_view(request):
    raise AssertionError("an async view ran")


class AsyncView(View):
    async def get(self, request):
        raise AssertionError("an async view ran")


@pytest.mark.parametrize("view", [async_view, AsyncView.as_view()], ids=["function", "class"])
def test_an_async_view_is_refused_where_it_is_decorated(view):
    with pytest.raises(TypeError, match="async"):
        second_factor_required(view)
    with pytest.raises(TypeError, match="async"):
        second_factor_required(max_age=600)(view)


def test_an_async_class_is_refused_where_it_takes_the_mixin():
    with pytest.raises(TypeError, match="async"):
        type("Own", (SecondFactorRequiredMixin, AsyncView), {})


def test_a_decorated_dispatch_of_an_async_class_is_refused_at_the_first_request(user, rf):
    """Django's method_decorator applies the decorator at each request, not where it is written."""
    request = rf.get("/")
    request.user = user
    view = type("Own", (AsyncView,), {})
    method_decorator(second_factor_required, name="dispatch")(view)
    with pytest.raises(TypeError, match="async"):
        view(request=request).dispatch(request)


# --- The way there and back -----------------------------------------------------------------------


def test_a_page_is_come_back_to_with_its_query(plain):
    assert asked_for(plain.get(f"{REPORT}?of=may&sort=a%2Fb")) == (f"{REPORT}?of=may&sort=a%2Fb", False)


def test_after_a_form_one_comes_back_to_the_page_it_stood_on(plain):
    response = plain.post(DELETE, {"note": NEEDLE}, headers={"Referer": f"http://testserver{HOST}?page=2"})
    assert asked_for(response) == (f"http://testserver{HOST}?page=2", True)
    assert asked_for(plain.post(DELETE, {"note": NEEDLE})) == ("", True)


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_whatever_is_sent_has_to_be_sent_again(plain, method):
    assert asked_for(getattr(plain, method)(DELETE))[1]


def test_what_is_posted_reaches_no_view_and_is_kept_nowhere(plain):
    plain.post(f"{DELETE}?of=7", {"note": NEEDLE})
    plain.get(CONFIRM)
    plain.defaults["HTTP_HX_REQUEST"] = "true"
    plain.post(DELETE, {"note": NEEDLE}, headers={"HX-Target": "panel"})
    assert pages.deleted == []
    kept = [str(row.get_decoded()) for row in Session.objects.all()] + [str(plain.session.items()), str(plain.cookies)]
    assert "twofactor" in "".join(kept)
    assert NEEDLE not in "".join(kept)


def test_over_htmx_a_fragment_leads_to_the_form_and_back_to_the_page_it_was_asked_from(htmx):
    for target in ({}, {"HX-Target": "row"}):
        response = htmx.get(ROW, headers={**ON_THE_HOSTS_PAGE, **target})
        assert (response.status_code, response.content) == (204, b"")
        assert asked_for(response) == (f"{HOST}?page=2", False)
    assert asked_for(htmx.post(DELETE, {"note": NEEDLE}, headers=ON_THE_HOSTS_PAGE)) == (f"{HOST}?page=2", True)


@pytest.mark.parametrize("here", ["https://evil.example/x/", "http://testserver//evil.example/", "http://[", ""])
def test_htmx_that_says_it_is_elsewhere_is_not_believed(htmx, here):
    assert asked_for(htmx.get(ROW, headers={"HX-Current-URL": here})) == ("", False)


@pytest.mark.parametrize("boosted, back", [({"HX-Boosted": "true"}, REPORT), ({}, f"{HOST}?page=2")])
def test_in_the_place_of_the_panel_stands_the_form(htmx, boosted, back):
    response = htmx.get(REPORT, headers={**ON_THE_HOSTS_PAGE, "HX-Target": "panel", **boosted})
    assert response.status_code == 403
    assert not is_full_page(response)
    assert response.content.count(b'id="panel"') == 1
    own = urlsplit(response["HX-Push-Url"])
    assert (own.path, parse_qs(own.query)) == (CONFIRM, {"next": [back]})
    assert (response["HX-Retarget"], response["HX-Reselect"], response["HX-Reswap"]) == (
        "#panel",
        "#panel",
        "outerHTML",
    )
    assert "no-store" in response["Cache-Control"]


def test_in_place_it_says_that_what_was_sent_has_to_be_sent_again(htmx):
    response = htmx.post(DELETE, {"note": NEEDLE}, headers={**ON_THE_HOSTS_PAGE, "HX-Target": "panel"})
    assert b"not kept" in response.content
    assert NEEDLE.encode() not in response.content
    assert b"not kept" not in htmx.get(REPORT, headers={"HX-Target": "panel"}).content


# --- Programs -------------------------------------------------------------------------------------

PROGRAMS = [{"Accept": "application/json"}, {"Sec-Fetch-Mode": "cors"}, {"Sec-Fetch-Mode": "same-origin"}]


@pytest.mark.parametrize("headers", PROGRAMS, ids=str)
def test_a_program_is_refused_and_told_where_to_go(plain, headers):
    response = plain.post(DELETE, {"note": NEEDLE}, headers=headers)
    assert response.status_code == 403
    assert response.json() == {"error": "second_factor_required", "url": f"{CONFIRM}?unsent=1"}
    assert pages.deleted == []


def test_a_program_of_somebody_without_2fa_is_told_of_the_setup(user):
    browser = sign_in(new_client(), user)
    response = browser.get(REPORT, headers={"Accept": "application/json"})
    assert (response.status_code, response.json()["url"]) == (403, f"{SETUP}?next=%2Fhost%2Freport%2F")


@pytest.mark.parametrize("headers", [
    {}, {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}, {"Accept": "*/*"},
    {"HX-Request": "true", "HX-History-Restore-Request": "true", "Sec-Fetch-Mode": "cors"},
], ids=str)  # fmt: skip
def test_whatever_shows_pages_is_redirected(plain, headers):
    assert plain.get(REPORT, headers=headers).status_code == 302
