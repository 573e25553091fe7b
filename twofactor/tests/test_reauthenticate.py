"""The step-up page: allauth's pages and the admin require password and code together."""

from urllib.parse import parse_qs, quote, urlsplit

import pytest
from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.reauthentication import stash_and_reauthenticate
from django.contrib.admin import AdminSite
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import include, path
from django.views.decorators.http import require_POST

from twofactor.reauthentication import required_step_up_url
from twofactor.tests.constants import HTMX, LOGIN, PASSWORD, REAUTHENTICATE
from twofactor.tests.helpers import code_now, proof, sign_in_with_2fa
from twofactor.tests.responses import errors, message_levels, redirect_target

ADMIN = "/admin/twofactor/secondfactor/"
EMAIL, CLOSE = "/accounts/email/", "/close/"

# A site with a view that accepts only POST, and with a second admin site.
SECOND = AdminSite("second")
urlpatterns = [
    path("second/", SECOND.urls),
    path("close/", require_POST(reauthentication_required(lambda request: HttpResponse("closed")))),
    path("", include("twofactor.tests.urls")),
]


def resume(request, state):
    return HttpResponseRedirect(f"/resumed/{state['of']}/")


def add_address(client):
    """Add an address on allauth's page, and return the redirect target."""
    return redirect_target(client.post(EMAIL, {"email": "second@example.com", "action_add": ""}))


def test_the_posted_form_is_dropped_and_can_be_sent_again(client_with_2fa, user, secret):
    page = add_address(client_with_2fa)
    assert page == f"{REAUTHENTICATE}?next={quote(EMAIL, safe='')}&unsent=1"
    assert "second@example.com" not in str(dict(client_with_2fa.session))
    assert redirect_target(client_with_2fa.post(page, proof(secret))) == EMAIL
    assert not user.emailaddress_set.filter(email="second@example.com").exists()
    assert add_address(client_with_2fa) == EMAIL
    assert user.emailaddress_set.filter(email="second@example.com").exists()


@pytest.mark.parametrize("headers, target", [
    ({}, CLOSE), ({"Referer": "http://testserver/orders/?page=2"}, "/orders/?page=2"),
    ({"Referer": "http://evil.example/orders/"}, CLOSE), ({"Referer": "http://[evil"}, CLOSE),
    ({**HTMX, "HX-Current-URL": "http://testserver/orders/?page=2"}, "/orders/?page=2"),
    ({**HTMX, "HX-Current-URL": "http://[evil"}, CLOSE),
])  # fmt: skip
def test_a_view_that_accepts_only_post_redirects_back_to_the_page_of_its_form(user, settings, headers, target):
    settings.ROOT_URLCONF = __name__
    page = redirect_target(sign_in_with_2fa(user).post(CLOSE, headers=headers))
    assert parse_qs(urlsplit(page).query) == {"next": [target], "unsent": ["1"]}


def test_a_flow_that_allauth_suspended_is_resumed(client_with_2fa, secret):
    request = HttpRequest()
    request.session = client_with_2fa.session
    page = stash_and_reauthenticate(request, {"of": 7}, f"{__name__}.resume")["Location"]
    request.session.save()
    page = redirect_target(client_with_2fa.get(page))
    assert redirect_target(client_with_2fa.post(page, proof(secret))) == "/resumed/7/"


def test_the_password_page_of_allauth_redirects_to_the_step_up_page(client_with_2fa):
    query = f"?next={quote(EMAIL, safe='')}"
    for method in (client_with_2fa.get, client_with_2fa.post):
        assert redirect_target(method(f"/accounts/reauthenticate/{query}")) == REAUTHENTICATE + query


def test_the_page_and_the_message_after_it_say_that_the_form_was_not_kept(client_with_2fa, secret):
    page = f"{REAUTHENTICATE}?next={EMAIL}&unsent=1"
    assert b"wasn't saved" not in client_with_2fa.get(f"{REAUTHENTICATE}?next={EMAIL}").content
    assert b"What you changed or selected wasn't saved" in client_with_2fa.get(page).content
    typed = {"password": PASSWORD, "next": EMAIL, "unsent": "1"}
    assert b"What you changed or selected wasn't saved" in client_with_2fa.post(REAUTHENTICATE, typed).content
    assert redirect_target(client_with_2fa.post(REAUTHENTICATE, {**typed, "code": code_now(secret)})) == EMAIL
    assert message_levels(client_with_2fa.get(EMAIL)) == ["info"]


def test_without_2fa_it_requires_the_password_alone(signed_in_client):
    page = add_address(signed_in_client)
    assert page.startswith(REAUTHENTICATE)
    assert list(signed_in_client.get(page).context["form"].fields) == ["password"]
    assert errors(signed_in_client.post(page, {"password": "wrong"})) == {"password": ["wrong_password"]}
    assert redirect_target(signed_in_client.post(page, {"password": PASSWORD})) == EMAIL
    assert add_address(signed_in_client) == EMAIL


def test_a_user_without_2fa_and_without_a_password_has_nothing_to_prove(signed_out_client, user):
    user.set_unusable_password()
    user.save()
    signed_out_client.force_login(user)
    assert add_address(signed_out_client) == EMAIL
    assert signed_out_client.get(REAUTHENTICATE).status_code == 403


def test_cancel_leads_back_to_the_form_or_to_the_index_of_its_admin_site_or_home(make_user, settings):
    settings.ROOT_URLCONF = __name__
    staff = sign_in_with_2fa(make_user("root@example.com", is_staff=True, is_superuser=True))
    form = "/second/auth/group/add/"
    for query, target in (
        ({"next": EMAIL, "unsent": 1}, EMAIL), ({"next": EMAIL}, "/"), ({"next": "//evil.example/", "unsent": 1}, "/"),
        ({"next": ADMIN}, "/admin/"), ({"next": form}, "/second/"), ({"next": form, "unsent": 1}, form),
    ):  # fmt: skip
        page = staff.get(REAUTHENTICATE, query)
        assert f'href="{target}" hx-boost="false">Cancel<' in page.content.decode()


def test_a_signed_out_request_is_sent_to_sign_in(rf):
    request = rf.get(ADMIN)
    request.user, request.session = AnonymousUser(), {}
    assert required_step_up_url(request) == f"{LOGIN}?next={quote(ADMIN, safe='')}"
