"""Step-up where a site has the app's adapter: for allauth's pages, password and code are one proof."""

from urllib.parse import parse_qs, quote, urlsplit

import pytest
from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.reauthentication import stash_and_reauthenticate
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import include, path
from django.views.decorators.http import require_POST

from conftest import PASSWORD
from twofactor.tests.helpers import (
    code_now,
    errors,
    message_levels,
    redirect_target,
    sign_in,
    sign_in_with_2fa,
    wrong_code,
)

ADMIN = "/admin/twofactor/authenticator/"
REAUTHENTICATE = "/accounts/2fa/reauthenticate/"
EMAIL, CLOSE = "/accounts/email/", "/close/"

# A host with a view that takes a POST alone.
urlpatterns = [
    path("close/", require_POST(reauthentication_required(lambda request: HttpResponse("closed")))),
    path("", include("config.urls")),
]


def carry_on(request, state):
    return HttpResponseRedirect(f"/carried-on/{state['of']}/")


@pytest.fixture(autouse=True)
def the_apps_adapter(settings):
    settings.ACCOUNT_ADAPTER = "twofactor.account.AccountAdapter"
    settings.ACCOUNT_FORMS = {}


def asked_for_proof(client):
    """Where allauth leads to before it adds an address."""
    client.get(EMAIL)
    return redirect_target(client.post(EMAIL, {"email": "second@example.com", "action_add": ""}))


def test_password_and_code_lead_back_to_what_waited(client_with_2fa, secret):
    page = asked_for_proof(client_with_2fa)
    assert page == f"{REAUTHENTICATE}?next={quote(EMAIL, safe='')}&unsent=1"
    answer = client_with_2fa.post(page, {"password": PASSWORD, "code": code_now(secret)})
    assert redirect_target(answer) == EMAIL
    assert message_levels(client_with_2fa.get(EMAIL)) == ["info"]


def test_what_was_posted_is_dropped_and_can_be_sent_again(client_with_2fa, user, secret):
    page = asked_for_proof(client_with_2fa)
    assert "second@example.com" not in str(dict(client_with_2fa.session))
    client_with_2fa.post(page, {"password": PASSWORD, "code": code_now(secret)})
    assert not user.emailaddress_set.filter(email="second@example.com").exists()
    assert asked_for_proof(client_with_2fa) == EMAIL
    assert user.emailaddress_set.filter(email="second@example.com").exists()


@pytest.mark.parametrize("headers, there", [
    ({}, CLOSE),
    ({"Referer": "http://testserver/orders/?page=2"}, "/orders/?page=2"),
    ({"Referer": "http://evil.example/orders/"}, CLOSE),
    ({"Referer": "http://[evil"}, CLOSE),
    ({"HX-Request": "true", "HX-Current-URL": "http://testserver/orders/?page=2"}, "/orders/?page=2"),
    ({"HX-Request": "true", "HX-Current-URL": "http://[evil"}, CLOSE),
])  # fmt: skip
def test_where_an_address_takes_a_post_alone_it_leads_back_to_the_page_of_the_form(user, settings, headers, there):
    settings.ROOT_URLCONF = __name__
    page = redirect_target(sign_in_with_2fa(user).post(CLOSE, headers=headers))
    assert parse_qs(urlsplit(page).query) == {"next": [there], "unsent": ["1"]}


def test_what_allauths_own_flows_keep_for_after_the_proof_goes_on(client_with_2fa, secret):
    request = HttpRequest()
    request.session = client_with_2fa.session
    page = stash_and_reauthenticate(request, {"of": 7}, f"{__name__}.carry_on")["Location"]
    request.session.save()
    page = redirect_target(client_with_2fa.get(page))
    answer = client_with_2fa.post(page, {"password": PASSWORD, "code": code_now(secret)})
    assert redirect_target(answer) == "/carried-on/7/"


def test_neither_alone_is_a_proof(client_with_2fa, user, secret):
    page = asked_for_proof(client_with_2fa)
    for fields, wrong in (
        ({"password": PASSWORD}, {"code": ["required"]}),
        ({"code": code_now(secret)}, {"password": ["required"]}),
        ({"password": PASSWORD, "code": wrong_code(secret)}, {"code": ["wrong_code"]}),
    ):
        answer = client_with_2fa.post(page, {**fields, "next": EMAIL})
        assert answer.status_code == 422
        assert errors(answer) == wrong
    assert not user.emailaddress_set.filter(email="second@example.com").exists()


def test_allauths_page_for_the_password_alone_leads_to_ours(client_with_2fa):
    assert redirect_target(client_with_2fa.post("/accounts/reauthenticate/", {"password": PASSWORD})).startswith(
        REAUTHENTICATE
    )


def test_a_backup_code_will_do(client_with_2fa, backup_codes):
    page = asked_for_proof(client_with_2fa)
    assert "backup_code" in client_with_2fa.get(f"{REAUTHENTICATE}?method=backup&next={EMAIL}").context["form"].fields
    answer = client_with_2fa.post(page, {"password": PASSWORD, "backup_code": backup_codes[0], "next": EMAIL})
    assert redirect_target(answer) == EMAIL


def test_it_says_before_and_after_the_proof_that_a_form_was_not_kept(client_with_2fa, secret):
    page = f"{REAUTHENTICATE}?next={EMAIL}&unsent=1"
    assert b"not kept" not in client_with_2fa.get(f"{REAUTHENTICATE}?next={EMAIL}").content
    assert b"What you sent was not kept" in client_with_2fa.get(page).content
    typed = {"password": PASSWORD, "next": EMAIL, "unsent": "1"}
    assert b"What you sent was not kept" in client_with_2fa.post(REAUTHENTICATE, typed).content
    assert redirect_target(client_with_2fa.post(REAUTHENTICATE, {**typed, "code": code_now(secret)})) == EMAIL
    assert message_levels(client_with_2fa.get(EMAIL)) == ["info"]


def test_cancel_leads_back_to_the_form_or_home(client_with_2fa):
    for query, there in (
        ({"next": EMAIL, "unsent": 1}, EMAIL),
        ({"next": EMAIL}, "/"),
        ({"next": "//evil.example/", "unsent": 1}, "/"),
    ):
        page = client_with_2fa.get(REAUTHENTICATE, query)
        assert f'href="{there}" hx-boost="false">Cancel<' in page.content.decode()


def test_the_admin_leads_straight_to_it_and_says_what_was_sent(make_user):
    staff = sign_in_with_2fa(make_user("root@example.com", is_staff=True, is_superuser=True))
    assert redirect_target(staff.post(ADMIN)) == f"{REAUTHENTICATE}?next={quote(ADMIN, safe='')}&unsent=1"


def test_without_2fa_it_is_allauths_own_page(signed_out_client, user):
    sign_in(signed_out_client, user)
    assert asked_for_proof(signed_out_client).startswith("/accounts/reauthenticate/")
