"""`second_factor_required`: a view of another site that requires a recent second factor."""

import itertools
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.test import RequestFactory
from django.utils.cache import get_cache_key
from django.utils.decorators import method_decorator
from django.views.generic import View

from twofactor import sessions
from twofactor.decorators import second_factor_required
from twofactor.mixins import SecondFactorRequiredMixin
from twofactor.tests.constants import CONFIRM, HTMX, LOGIN, NOW, SETUP
from twofactor.tests.helpers import age_second_factor
from twofactor.tests.hosts import pages
from twofactor.tests.hosts.pages import BY_CLASS, CACHED, DELETE, DISPATCH, ELSEWHERE, HOST, ONE, REPORT, ROW, WRAPPED
from twofactor.tests.responses import is_full_page, message_levels, redirect_target

NOTE = "the-words-of-the-note"
FROM_HOST_PAGE = {"HX-Current-URL": f"http://testserver{HOST}?page=2"}


@pytest.fixture(autouse=True)
def nothing_deleted():
    pages.deleted.clear()


@pytest.fixture
def plain_client(client_with_2fa):
    age_second_factor(client_with_2fa, 3600)
    return client_with_2fa


@pytest.fixture
def htmx_client(plain_client):
    plain_client.defaults["HTTP_HX_REQUEST"] = "true"
    return plain_client


def confirm_query(response):
    """Return `next` of the redirect to the confirm page, and whether it has `unsent`."""
    target = urlsplit(redirect_target(response))
    assert target.path == CONFIRM
    query = parse_qs(target.query)
    return query.get("next", [""])[0], "unsent" in query


# --- Which second factor is accepted --------------------------------------------------------------


@pytest.mark.parametrize("method, ago, is_recent", [
    ("code", 600, True), ("code", 601, False), ("backup", 600, True), ("backup", 601, False),
    ("trusted browser", 0, False), ("", 0, False),
])  # fmt: skip
def test_only_a_typed_code_counts_and_only_within_the_time_limit(user, second_factor, method, ago, is_recent):
    request = RequestFactory().get("/")
    mark = {"version": second_factor.version, "method": method, "at": NOW - ago}
    request.session = {sessions.KEY: mark}
    assert sessions.used_recently(request, second_factor, within=600, now=NOW) is is_recent
    assert not sessions.used_recently(request, None, within=600, now=NOW)
    request.session = {sessions.KEY: {**mark, "version": "older"}}
    assert not sessions.used_recently(request, second_factor, within=600, now=NOW)


def test_each_view_has_its_own_max_age_and_is_not_cached(client_with_2fa):
    views = {ONE: 60, BY_CLASS: 120, WRAPPED: 120, DISPATCH: 120, REPORT: 600, ROW: 600, ELSEWHERE: 600}
    for before, at in itertools.pairwise((0, 50, 61, 110, 121, 590, 601)):
        age_second_factor(client_with_2fa, at - before)
        responses = [client_with_2fa.get(path) for path in views]
        assert [response.status_code == 200 for response in responses] == [at <= most for most in views.values()]
        assert all("no-store" in response["Cache-Control"] for response in responses)


def test_the_view_gets_its_arguments_and_post_data(client_with_2fa):
    assert client_with_2fa.get(ONE).content == b"number 7"
    assert redirect_target(client_with_2fa.post(DELETE, {"note": NOTE})) == HOST
    assert pages.deleted == [NOTE]


def test_cache_page_above_the_decorator_stores_nothing(client_with_2fa):
    response = client_with_2fa.get(CACHED)
    assert (response.status_code, get_cache_key(response.wsgi_request)) == (200, None)


def test_a_signed_out_user_is_redirected_to_login_and_back(client, db):
    assert redirect_target(client.get(REPORT)) == f"{LOGIN}?next={REPORT}"


def test_a_user_without_2fa_is_redirected_to_setup_or_to_the_hosts_url(signed_in_client):
    assert redirect_target(signed_in_client.get(REPORT)) == f"{SETUP}?next=%2Fhost%2Freport%2F"
    assert message_levels(signed_in_client.get(SETUP))[-1:] == ["info"]
    assert redirect_target(signed_in_client.get(ELSEWHERE)) == "/accounts/email/"
    assert redirect_target(signed_in_client.post(DELETE, {"note": NOTE})).startswith(SETUP)
    assert pages.deleted == []
    response = signed_in_client.get(REPORT, headers={"Accept": "application/json"})
    assert (response.status_code, response.json()["url"]) == (403, f"{SETUP}?next=%2Fhost%2Freport%2F")


@pytest.mark.parametrize("too_short", [-1, 59, timedelta(seconds=59)])
def test_a_max_age_below_a_minute_is_refused_at_decoration(too_short):
    with pytest.raises(ValueError, match="max_age"):
        second_factor_required(max_age=too_short)


# --- Async views ----------------------------------------------------------------------------------


class AsyncView(View):
    async def get(self, request):
        raise AssertionError("an async view ran")


def test_an_async_view_is_refused_at_decoration():
    for view in (AsyncView().get, AsyncView.as_view()):
        for decorate in (second_factor_required, second_factor_required(max_age=600)):
            with pytest.raises(TypeError, match="async"):
                decorate(view)
    with pytest.raises(TypeError, match="async"):
        type("Own", (SecondFactorRequiredMixin, AsyncView), {})


def test_a_decorated_dispatch_of_an_async_class_is_refused_at_the_first_request(user, rf):
    """Django's method_decorator applies the decorator at each request, not at definition."""
    request = rf.get("/")
    request.user = user
    view = type("Own", (AsyncView,), {})
    method_decorator(second_factor_required, name="dispatch")(view)
    with pytest.raises(TypeError, match="async"):
        view(request=request).dispatch(request)


# --- Redirects to the confirm page and back -------------------------------------------------------


def test_the_confirm_page_redirects_back_to_the_page_or_to_that_of_the_form(plain_client):
    assert confirm_query(plain_client.get(f"{REPORT}?of=may&sort=a%2Fb")) == (f"{REPORT}?of=may&sort=a%2Fb", False)
    response = plain_client.post(DELETE, {"note": NOTE}, headers={"Referer": f"http://testserver{HOST}?page=2"})
    assert confirm_query(response) == (f"http://testserver{HOST}?page=2", True)
    for method in ("post", "put", "patch", "delete"):
        assert confirm_query(getattr(plain_client, method)(DELETE)) == ("", True)


def test_post_data_does_not_reach_the_view_and_is_not_stored(plain_client):
    plain_client.post(f"{DELETE}?of=7", {"note": NOTE})
    plain_client.get(CONFIRM)
    plain_client.post(DELETE, {"note": NOTE}, headers={**HTMX, "HX-Target": "panel"})
    assert pages.deleted == []
    rows = [row.get_decoded() for row in Session.objects.all()]
    kept = f"{rows} {plain_client.session.items()} {plain_client.cookies}"
    assert "twofactor" in kept
    assert NOTE not in kept


def test_an_htmx_fragment_request_redirects_and_leads_back_to_its_page(htmx_client):
    response = htmx_client.get(ROW, headers={**FROM_HOST_PAGE, "HX-Target": "row"})
    assert (response.status_code, response.content) == (204, b"")
    assert confirm_query(response) == (f"{HOST}?page=2", False)
    assert confirm_query(htmx_client.post(DELETE, {"note": NOTE}, headers=FROM_HOST_PAGE)) == (f"{HOST}?page=2", True)
    for evil in ("https://evil.example/x/", "http://testserver//evil.example/"):
        assert confirm_query(htmx_client.get(ROW, headers={"HX-Current-URL": evil})) == ("", False)


@pytest.mark.parametrize("boosted, back", [({"HX-Boosted": "true"}, REPORT), ({}, f"{HOST}?page=2")])
def test_an_htmx_request_for_the_panel_gets_the_confirm_form(htmx_client, boosted, back):
    response = htmx_client.get(REPORT, headers={**FROM_HOST_PAGE, "HX-Target": "panel", **boosted})
    assert (response.status_code, is_full_page(response)) == (403, False)
    assert response.content.count(b'id="panel"') == 1
    own = urlsplit(response["HX-Push-Url"])
    assert (own.path, parse_qs(own.query)) == (CONFIRM, {"next": [back]})
    assert [response[f"HX-{name}"] for name in ("Retarget", "Reselect", "Reswap")] == ["#panel", "#panel", "outerHTML"]


def test_the_confirm_form_in_the_panel_says_that_the_post_was_not_kept(htmx_client):
    response = htmx_client.post(DELETE, {"note": NOTE}, headers={**FROM_HOST_PAGE, "HX-Target": "panel"})
    assert b"wasn't saved" in response.content
    assert NOTE.encode() not in response.content
    assert b"wasn't saved" not in htmx_client.get(REPORT, headers={"HX-Target": "panel"}).content


# --- API requests ---------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [
    {"Accept": "application/json"}, {"Sec-Fetch-Mode": "cors"}, {"Sec-Fetch-Mode": "same-origin"},
], ids=str)  # fmt: skip
def test_an_api_request_gets_403_with_the_url(plain_client, headers):
    response = plain_client.post(DELETE, {"note": NOTE}, headers=headers)
    answer = {"error": "second_factor_required", "url": f"{CONFIRM}?unsent=1"}
    assert (response.status_code, response.json()) == (403, answer)
    assert pages.deleted == []


@pytest.mark.parametrize("headers", [
    {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}, {"Accept": "*/*"},
    {**HTMX, "HX-History-Restore-Request": "true", "Sec-Fetch-Mode": "cors"},
], ids=str)  # fmt: skip
def test_a_request_that_shows_a_page_is_redirected(plain_client, headers):
    assert plain_client.get(REPORT, headers=headers).status_code == 302
