"""Access matrix: the response of every URL pattern of the site to every method, for clients in every state.

This uses Django's test client: 2,300 requests to a running server would not show more. ModelAdmin distinguishes
only GET and POST, so the admin's pages of models are requested by three methods.
"""

import re
import time
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.models import AutoField
from django.test import Client
from django.urls import get_resolver

from twofactor.models import AuthenticatorApp, SecurityEvent
from twofactor.tests.constants import PASSWORD, SECRET
from twofactor.tests.rfc6238 import code_at

# One client for all requests: each new client loads the middleware again.
CLIENT = Client(raise_request_exception=False)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MODEL_ADMIN_METHODS = ("GET", "POST", "DELETE")
STATES = ("signed_out", "pending", "without_2fa", "with_2fa", "staff_without_2fa", "staff")

HOME = "302 /"
LOGIN = "302 /accounts/login/"
SETUP = "302 /accounts/2fa/setup/"
ADMIN = "302 /admin/login/"
NOT_FOUND = "302 /admin/"  # the admin redirects there if an object does not exist
PROOF = "302 /accounts/2fa/reauthenticate/"  # step-up: no client of the table has reauthenticated
LOOK = "GET HEAD 200; else 405"
TYPE = "GET HEAD 200; POST 422; else 405"
TO_SETUP = f"GET HEAD POST {SETUP}; else 405"
TO_SETTINGS = "GET HEAD POST 302 /accounts/2fa/; else 405"
TO_DISABLE = "GET HEAD POST 302 /accounts/2fa/disable/; else 405"
TO_HOME = f"GET HEAD POST {HOME}; else 405"
CANCEL = f"POST {LOGIN}; else 405"
STAGE = "GET HEAD 302 /accounts/2fa/verify-login/; OPTIONS 200; POST PUT 422; else 405"
POST_SETTINGS = "POST 302 /accounts/2fa/; else 405"
# allauth's pages handle PUT like POST, and answer OPTIONS with the list of methods.
PAGE = "GET HEAD OPTIONS 200; else 405"
FORM = "PATCH DELETE 405; else 200"
LINK = "GET HEAD OPTIONS 200; POST 404; else 405"
SIGN_OUT = f"GET HEAD OPTIONS 200; POST {HOME}; else 405"
SIGNED_OUT = f"GET HEAD POST {HOME}; OPTIONS 200; else 405"
ADMIN_PAGE = f"GET HEAD OPTIONS 200; else {PROOF}"
ADMIN_404 = f"GET HEAD OPTIONS 404; else {PROOF}"


def public(answers, **others):
    """The same response for all, but staff without 2FA are redirected to the setup."""
    return dict.fromkeys(STATES, answers) | {"staff_without_2fa": SETUP} | others


def signed_in(answers, **others):
    """A page for signed-in users. Others are redirected to sign-in."""
    return public(answers, signed_out=LOGIN, pending=LOGIN) | others


def staff_only(answers=ADMIN_PAGE, *, signed_out=ADMIN, others=ADMIN):
    """A page for staff with 2FA. Others are redirected to the admin's sign-in, which redirects to the site's."""
    return public(answers, signed_out=signed_out, pending=signed_out, without_2fa=others, with_2fa=others)


def model_admin(path, **others):
    """The admin's pages of one model. `others` are responses to GET that differ from 200, by page."""
    one = f"{path}<path:object_id>/"
    pages = {"list": path, "one": one} | {name: f"{one}{name}/" for name in ("history", "delete", "change")}
    looks = dict.fromkeys(pages, "200") | {"one": f"302 {path}1/change/"} | others
    answers = {pages[name]: f"GET {looks[name]}; else {PROOF}" for name in pages} | {f"{path}add/": PROOF}
    return {page: staff_only(answers[page], signed_out=LOGIN) for page in answers}


TABLE = {
    "/": public(LOOK),
    "/security/": public(LOOK),
    "/language/": public(HOME, staff_without_2fa=HOME),
    # --- The second factor ---
    "/accounts/2fa/": signed_in(LOOK),
    "/accounts/2fa/activity/": signed_in(LOOK),
    "/accounts/2fa/not-me/": signed_in("GET HEAD 200; POST 302 /accounts/2fa/not-me/; else 405"),
    "/accounts/2fa/status/": signed_in("GET HEAD 302 /accounts/2fa/; else 405"),
    "/accounts/2fa/setup/": signed_in(TYPE, staff_without_2fa=TYPE),
    "/accounts/2fa/verify-setup/": signed_in(TO_SETUP, staff_without_2fa=TO_SETUP),
    "/accounts/2fa/cancel-setup/": signed_in(POST_SETTINGS, staff_without_2fa=POST_SETTINGS),
    "/accounts/2fa/passkeys/add/": signed_in(TYPE, staff_without_2fa=TYPE),
    "/accounts/2fa/passkeys/<int:pk>/rename/": signed_in("GET HEAD POST 404; else 405", without_2fa=TO_SETTINGS),
    "/accounts/2fa/passkeys/<int:pk>/remove/": signed_in("GET HEAD POST 404; else 405", without_2fa=TO_SETTINGS),
    "/accounts/2fa/remove-app/": signed_in(TO_DISABLE, without_2fa=TO_SETTINGS),  # the app is the only credential
    "/accounts/2fa/done/": signed_in(LOOK, without_2fa="GET HEAD 302 /accounts/2fa/; else 405"),
    "/accounts/2fa/regenerate-backup-codes/": signed_in(TYPE, without_2fa=TO_SETTINGS),
    "/accounts/2fa/reauthenticate/": signed_in(TYPE),
    "/accounts/2fa/disable/": signed_in(TYPE, without_2fa=TO_SETTINGS, staff=TO_SETTINGS),  # 2FA is required of staff
    "/accounts/2fa/confirm/": signed_in(TO_HOME, without_2fa=TO_SETUP),  # the client has just submitted a code
    "/accounts/2fa/verify-login/": public(TO_HOME, signed_out=f"GET HEAD POST {LOGIN}; else 405", pending=TYPE),
    "/accounts/2fa/cancel-login/": public(f"POST {HOME}; else 405", signed_out=CANCEL, pending=CANCEL),
    "/accounts/2fa/lost/": public(LOOK),
    "/accounts/2fa/trusted-browsers/<int:pk>/forget/": signed_in("POST 404; else 405"),
    "/accounts/2fa/trusted-browsers/forget/": signed_in(POST_SETTINGS),
    # --- The account ---
    "/accounts/login/": public(HOME, signed_out="GET HEAD OPTIONS 200; POST PUT 422; else 405", pending=STAGE),
    "/accounts/logout/": public(SIGN_OUT, staff_without_2fa=SIGN_OUT, signed_out=SIGNED_OUT, pending=SIGNED_OUT),
    "/accounts/inactive/": public(PAGE),
    "/accounts/signup/": public(HOME, signed_out=FORM, pending=FORM),
    "/accounts/reauthenticate/": signed_in(PROOF),
    "/accounts/name/": signed_in(TYPE),
    "/accounts/delete/": signed_in(TYPE),
    "/accounts/email/": signed_in("GET HEAD OPTIONS 200; POST PUT 302 /accounts/email/; else 405"),
    "/accounts/confirm-email/": public("GET HEAD OPTIONS 200; POST 302 /accounts/confirm-email/; else 405"),
    r"/accounts/^confirm-email/(?P<key>[-:\w]+)/$": public(LINK),
    "/accounts/confirm-email/<str:key>/": public(LINK),
    "/accounts/confirm-email/<str:key>/not-me/": public("GET HEAD POST 200; else 405"),
    "/accounts/password/change/": signed_in(FORM),
    "/accounts/password/set/": signed_in("302 /accounts/password/change/"),
    "/accounts/password/reset/": public(FORM),
    "/accounts/password/reset/done/": public(PAGE),
    r"/accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": public("200"),
    "/accounts/password/reset/key/done/": public(PAGE),
    "/accounts/login/code/confirm/": public(HOME, signed_out=LOGIN, pending=LOGIN),
    "/accounts/sessions/": signed_in("GET HEAD OPTIONS 200; POST PUT 302 /accounts/sessions/; else 405"),
    "/accounts/sessions/<int:pk>/end/": signed_in("POST 404; else 405"),
    # --- The admin ---
    "/admin/": staff_only(),
    "/admin/login/": signed_in("403", staff="302 /admin/"),  # Django's own form must not be shown to any client
    "/admin/logout/": staff_only(f"POST {HOME}; OPTIONS 200; else 405", others=NOT_FOUND),
    "/admin/password_change/": staff_only("302 /accounts/password/change/"),
    "/admin/password_change/done/": staff_only(),
    "/admin/autocomplete/": staff_only(f"GET HEAD 403; OPTIONS 200; else {PROOF}"),
    "/admin/jsi18n/": staff_only(),
    "/admin/r/<path:content_type_id>/<path:object_id>/": staff_only(ADMIN_404),
    r"/admin/^(?P<app_label>twofactor|auth|account|accounts)/$": staff_only(),
    "/admin/(?P<url>.*)$": staff_only(ADMIN_404),
    # Read-only in the admin.
    **model_admin("/admin/twofactor/secondfactor/", delete="403"),
    **model_admin("/admin/twofactor/passkey/", delete="403", history=NOT_FOUND, change=NOT_FOUND),
    **model_admin("/admin/twofactor/securityevent/", delete="403", history=NOT_FOUND, change=NOT_FOUND),
    **model_admin("/admin/account/emailaddress/", delete="403"),
    **model_admin("/admin/auth/group/", **dict.fromkeys(["history", "delete", "change"], NOT_FOUND)),
    **model_admin("/admin/accounts/user/"),
    "/admin/accounts/user/<id>/password/": staff_only(PROOF, signed_out=LOGIN),
}
SAMPLES = {
    "<str:key>": "MQ:x:y", "<int:pk>": "999", "<path:object_id>": "1", "<path:content_type_id>": "1", "<id>": "1",
    r"^confirm-email/(?P<key>[-:\w]+)/$": "confirm-email/MQ:x:y/",
    r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": "password/reset/key/1-x/",
    "^(?P<app_label>twofactor|auth|account|accounts)/$": "auth/", "(?P<url>.*)$": "nowhere/",
}  # fmt: skip


def routes(resolver=None, prefix="/"):
    for pattern in (resolver or get_resolver()).url_patterns:
        route = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern, route)
        else:
            yield route


def sample(route):
    for pattern, value in SAMPLES.items():
        route = route.replace(pattern, value)
    assert not re.search(r"[<(^$]", route), f"SAMPLES has no value for the pattern in {route}"
    return route


def expected(row, method):
    """Return the response of a row such as `GET HEAD 200; POST 422; else 405` to a method."""
    for part in row.split("; "):
        words = part.split()
        named = [word for word in words if word in METHODS or word == "else"]
        if not named or method in named or "else" in named:
            return " ".join(words[len(named) :])
    raise AssertionError(f"{row!r} has no response to {method}")


def count_from_one():
    """Reset the sequences: the table uses primary key 1, and PostgreSQL continues the sequences of other tests."""
    models = [model for model in apps.get_models() if isinstance(model._meta.pk, AutoField)]
    empty = [model._meta for model in models if not model._default_manager.exists()]
    sequences = [{"table": meta.db_table, "column": meta.pk.column} for meta in empty]
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_by_name_sql(no_style(), sequences):
            cursor.execute(statement)


@pytest.fixture
def cookies(make_user, request):
    count_from_one()
    staff = {"is_staff": True, "is_superuser": True}
    owner, chief = make_user("owner@example.com"), make_user("chief@example.com", **staff)
    users = {
        "pending": chief, "staff": chief, "with_2fa": owner, "without_2fa": make_user("member@example.com"),
        "staff_without_2fa": make_user("clerk@example.com", **staff),
    }  # fmt: skip
    for user in (owner, chief):
        AuthenticatorApp.objects.activate(user, secret=SECRET)
    AuthenticatorApp.objects.update(last_time_step=-1)
    CLIENT.cookies.clear()
    if request.param in users:
        CLIENT.post("/accounts/login/", {"login": users[request.param].email, "password": PASSWORD})
    if request.param in ("with_2fa", "staff"):
        CLIENT.post("/accounts/2fa/verify-login/", {"code": code_at(SECRET, time.time())})
    SecurityEvent.objects.all().delete()  # the table says that the admin has none
    return request.param, {name: cookie.value for name, cookie in CLIENT.cookies.items()}


def test_every_url_pattern_of_the_site_is_in_the_table():
    assert set(routes()) == set(TABLE)
    assert all(row.keys() == set(STATES) for row in TABLE.values())


@pytest.mark.parametrize("cookies", STATES, indirect=True)
def test_every_path_answers_every_method_as_the_table_says(cookies):
    state, values = cookies
    wrong = []
    for route in sorted(set(routes()) & set(TABLE)):
        for method in MODEL_ADMIN_METHODS if re.match(r"/admin/\w+/\w+/", route) else METHODS:
            before = transaction.savepoint()
            CLIENT.cookies.clear()
            CLIENT.cookies.load(values)
            response = CLIENT.generic(method, sample(route), b"", content_type="application/x-www-form-urlencoded")
            transaction.savepoint_rollback(before)
            actual = f"{response.status_code} {urlsplit(response.get('Location', '')).path}".strip()
            if actual != (wanted := expected(TABLE[route][state], method)):
                wrong.append(f"{method} {route}: expected {wanted}, got {actual}")
    assert not wrong, "\n".join(wrong)
