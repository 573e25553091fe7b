"""Access matrix: the response of every URL pattern of the site to every method, for clients in every state.

This uses Django's test client: 2,300 requests to a running server would not show more. ModelAdmin distinguishes
only GET and POST, so the admin's pages of models are requested by three methods.
"""

import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.models import AutoField
from django.test import Client
from django.urls import get_resolver

from conftest import PASSWORD, SECRET
from twofactor.models import Authenticator
from twofactor.tests.rfc6238 import code_at

# One client for all requests: each new client loads the middleware again.
CLIENT = Client(raise_request_exception=False)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MODEL_ADMIN_METHODS = ("GET", "POST", "DELETE")
STATES = ("signed out", "pending", "without 2FA", "with 2FA", "staff without 2FA", "staff")

LOGIN = "302 /accounts/login/"
SETUP = "302 /accounts/2fa/setup/"
ADMIN = "302 /admin/login/"
SETTINGS = "302 /accounts/2fa/"
STAGE = "302 /accounts/2fa/verify-login/"
HOME = "302 /"
SIGNED_OUT_STATES = ("signed out", "pending")

# allauth's pages handle PUT like POST, and answer OPTIONS with the list of methods.
PAGE = "GET HEAD OPTIONS 200; else 405"
FORM = "PATCH DELETE 405; else 200"


def public(answers: str, **others: str) -> dict[str, str]:
    """The same response for all, but staff without 2FA are redirected to the setup."""
    return dict.fromkeys(STATES, answers) | {"staff without 2FA": SETUP} | _by_state(others)


def signed_in(answers: str, **others: str) -> dict[str, str]:
    """A page for signed-in users. Others are redirected to sign-in."""
    return public(answers) | dict.fromkeys(SIGNED_OUT_STATES, LOGIN) | _by_state(others)


def staff_only(answers: str = "200", *, signed_out: str = LOGIN) -> dict[str, str]:
    """A page for staff with 2FA. Others are redirected to the admin's sign-in, which redirects to the site's."""
    return signed_in(answers) | dict.fromkeys(SIGNED_OUT_STATES, signed_out) | {"without 2FA": ADMIN, "with 2FA": ADMIN}


def model_admin(path: str, **others: str) -> dict[str, dict[str, str]]:
    """The admin's pages of one model. `others` are responses to GET that differ from 200, by page."""
    one = f"{path}<path:object_id>/"
    pages = {"list": path, "one": one} | {n: f"{one}{n}/" for n in ("history", "delete", "change")}
    looks = dict.fromkeys(pages, "200") | {"one": f"302 {path}1/change/"} | others
    answers = {pages[name]: f"GET {looks[name]}; else {PROOF}" for name in pages} | {f"{path}add/": PROOF}
    return {page: staff_only(answers[page]) for page in answers}


def _by_state(names: dict[str, str]) -> dict[str, str]:
    words = {name.replace("_", " ").replace("2fa", "2FA"): answer for name, answer in names.items()}
    assert words.keys() <= set(STATES), words
    return words


NOT_FOUND = "302 /admin/"  # the admin redirects there if an object does not exist
LOOK = "GET HEAD OPTIONS"
PROOF = "302 /accounts/2fa/reauthenticate/"  # step-up: no client of the table has reauthenticated
TABLE: dict[str, dict[str, str]] = {
    "/": public("GET HEAD 200; else 405"),
    "/language/": public(HOME, staff_without_2fa=HOME),
    # --- The second factor ---
    "/accounts/2fa/": signed_in("GET HEAD 200; else 405"),
    "/accounts/2fa/status/": signed_in(f"GET HEAD {SETTINGS}; else 405"),
    "/accounts/2fa/setup/": signed_in(
        *["GET HEAD 200; POST 422; else 405"], staff_without_2fa="GET HEAD 200; POST 422; else 405"
    ),
    "/accounts/2fa/verify-setup/": signed_in(
        f"GET HEAD POST {SETUP}; else 405", staff_without_2fa=f"GET HEAD POST {SETUP}; else 405"
    ),
    "/accounts/2fa/cancel-setup/": signed_in(
        f"POST {SETTINGS}; else 405", staff_without_2fa=f"POST {SETTINGS}; else 405"
    ),
    "/accounts/2fa/regenerate-backup-codes/": signed_in(
        "GET HEAD 200; POST 422; else 405", without_2fa=f"GET HEAD POST {SETTINGS}; else 405"
    ),
    "/accounts/2fa/reauthenticate/": signed_in("GET HEAD 200; POST 422; else 405"),
    "/accounts/2fa/disable/": signed_in(
        "GET HEAD 200; POST 422; else 405",
        without_2fa=f"GET HEAD POST {SETTINGS}; else 405",
        staff=f"GET HEAD POST {SETTINGS}; else 405",  # the site requires 2FA of staff
    ),
    "/accounts/2fa/confirm/": signed_in(
        f"GET HEAD POST {HOME}; else 405",  # the client has just submitted a code
        without_2fa=f"GET HEAD POST {SETUP}; else 405",
    ),
    "/accounts/2fa/verify-login/": public(
        f"GET HEAD POST {HOME}; else 405",
        signed_out=f"GET HEAD POST {LOGIN}; else 405",
        pending="GET HEAD 200; POST 422; else 405",
    ),
    "/accounts/2fa/cancel-login/": public(
        f"POST {HOME}; else 405", signed_out=f"POST {LOGIN}; else 405", pending=f"POST {LOGIN}; else 405"
    ),
    "/accounts/2fa/trusted-browsers/<int:pk>/forget/": signed_in("POST 404; else 405"),
    "/accounts/2fa/trusted-browsers/forget/": signed_in(f"POST {SETTINGS}; else 405"),
    # --- The account ---
    "/accounts/login/": public(
        HOME,
        signed_out="GET HEAD OPTIONS 200; POST PUT 422; else 405",
        pending=f"GET HEAD {STAGE}; OPTIONS 200; POST PUT 422; else 405",
    ),
    "/accounts/logout/": public(
        f"GET HEAD OPTIONS 200; POST {HOME}; else 405",
        staff_without_2fa=f"GET HEAD OPTIONS 200; POST {HOME}; else 405",
        signed_out=f"GET HEAD POST {HOME}; OPTIONS 200; else 405",
        pending=f"GET HEAD POST {HOME}; OPTIONS 200; else 405",
    ),
    "/accounts/inactive/": public(PAGE),
    "/accounts/signup/": public(HOME, signed_out=FORM, pending=FORM),
    "/accounts/reauthenticate/": signed_in(PROOF),
    "/accounts/email/": signed_in("GET HEAD OPTIONS 200; POST PUT 302 /accounts/email/; else 405"),
    "/accounts/confirm-email/": public(PAGE),
    r"/accounts/^confirm-email/(?P<key>[-:\w]+)/$": public("GET HEAD OPTIONS 200; POST 404; else 405"),
    "/accounts/confirm-email/<str:key>/": public("GET HEAD OPTIONS 200; POST 404; else 405"),
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
    "/admin/": staff_only(f"{LOOK} 200; else {PROOF}", signed_out=ADMIN),
    "/admin/login/": signed_in("403", staff="302 /admin/"),  # Django's own form must not be shown to any client
    "/admin/logout/": staff_only(f"POST {HOME}; OPTIONS 200; else 405", signed_out=ADMIN)
    | {"without 2FA": NOT_FOUND, "with 2FA": NOT_FOUND},
    "/admin/password_change/": staff_only("302 /accounts/password/change/", signed_out=ADMIN),
    "/admin/password_change/done/": staff_only(f"{LOOK} 200; else {PROOF}", signed_out=ADMIN),
    "/admin/autocomplete/": staff_only(f"GET HEAD 403; OPTIONS 200; else {PROOF}", signed_out=ADMIN),
    "/admin/jsi18n/": staff_only(f"{LOOK} 200; else {PROOF}", signed_out=ADMIN),
    "/admin/r/<path:content_type_id>/<path:object_id>/": staff_only(f"{LOOK} 404; else {PROOF}", signed_out=ADMIN),
    r"/admin/^(?P<app_label>twofactor|auth|account|accounts)/$": staff_only(
        f"{LOOK} 200; else {PROOF}", signed_out=ADMIN
    ),
    "/admin/(?P<url>.*)$": staff_only(f"{LOOK} 404; else {PROOF}", signed_out=ADMIN),
    # Read-only in the admin.
    **model_admin("/admin/twofactor/authenticator/", delete="403"),
    **model_admin("/admin/twofactor/securityevent/", delete="403", history=NOT_FOUND, change=NOT_FOUND),
    **model_admin("/admin/account/emailaddress/", delete="403"),
    **model_admin("/admin/auth/group/", **dict.fromkeys(["history", "delete", "change"], NOT_FOUND)),
    **model_admin("/admin/accounts/user/"),
    "/admin/accounts/user/<id>/password/": staff_only(PROOF),
}
SAMPLES = {
    "<str:key>": "MQ:x:y",
    "<int:pk>": "999",
    "<path:object_id>": "1",
    "<path:content_type_id>": "1",
    "<id>": "1",
    r"^confirm-email/(?P<key>[-:\w]+)/$": "confirm-email/MQ:x:y/",
    r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": "password/reset/key/1-x/",
    "^(?P<app_label>twofactor|auth|account|accounts)/$": "auth/",
    "(?P<url>.*)$": "nowhere/",
}


def routes(resolver: Any = None, prefix: str = "/") -> Iterator[str]:
    """Yield every URL pattern of the site."""
    for pattern in (resolver or get_resolver()).url_patterns:
        route = prefix + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from routes(pattern, route)
        else:
            yield route


def sample(route: str) -> str:
    for pattern, value in SAMPLES.items():
        route = route.replace(pattern, value)
    assert not re.search(r"[<(^$]", route), f"SAMPLES has no value for the pattern in {route}"
    return route


def expected(row: str, method: str) -> str:
    """Return the response of a row such as `GET HEAD 200; POST 422; else 405` to a method."""
    for part in row.split("; "):
        words = part.split()
        named = [word for word in words if word in METHODS or word == "else"]
        if not named or method in named or "else" in named:
            return " ".join(words[len(named) :])
    raise AssertionError(f"{row!r} has no response to {method}")


def count_from_one() -> None:
    """Reset the sequences: the table uses primary key 1, and PostgreSQL continues the sequences of other tests."""
    models = [model for model in apps.get_models() if isinstance(model._meta.pk, AutoField)]
    empty = [model._meta for model in models if not model._default_manager.exists()]
    sequences = [{"table": meta.db_table, "column": meta.pk.column} for meta in empty]
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_by_name_sql(no_style(), sequences):
            cursor.execute(statement)


@pytest.fixture
def cookies(make_user: Any) -> dict[str, dict[str, str]]:
    """The cookies of a client in each state."""
    count_from_one()
    staff = {"is_staff": True, "is_superuser": True}
    owner = make_user("owner@example.com")
    chief = make_user("chief@example.com", **staff)
    users = {
        "pending": chief,
        "without 2FA": make_user("member@example.com"),
        "with 2FA": owner,
        "staff without 2FA": make_user("clerk@example.com", **staff),
        "staff": chief,
    }
    for user in (owner, chief):
        Authenticator.objects.activate(user, secret=SECRET)
    found = {"signed out": {}}
    for state, user in users.items():
        CLIENT.cookies.clear()
        Authenticator.objects.update(last_time_step=-1)
        CLIENT.post("/accounts/login/", {"login": user.email, "password": PASSWORD})
        if state in ("with 2FA", "staff"):
            CLIENT.post("/accounts/2fa/verify-login/", {"code": code_at(SECRET, time.time())})
        found[state] = {name: cookie.value for name, cookie in CLIENT.cookies.items()}
    return found


def test_every_url_pattern_of_the_site_is_in_the_table() -> None:
    assert set(routes()) == set(TABLE)


@pytest.mark.parametrize("state", STATES)
def test_every_path_answers_every_method_as_the_table_says(cookies: dict[str, dict[str, str]], state: str) -> None:
    wrong = []
    for route in sorted(set(routes()) & set(TABLE)):
        for method in MODEL_ADMIN_METHODS if re.match(r"/admin/\w+/\w+/", route) else METHODS:
            before = transaction.savepoint()
            CLIENT.cookies.clear()
            CLIENT.cookies.load(cookies[state])
            form = "application/x-www-form-urlencoded"
            response = CLIENT.generic(method, sample(route), b"", content_type=form)
            transaction.savepoint_rollback(before)
            target = urlsplit(response.get("Location", "")).path
            actual = f"{response.status_code} {target}".strip()
            assert response.status_code < 500, f"{method} {route}: {actual}"
            if actual != (wanted := expected(TABLE[route][state], method)):
                wrong.append(f"{method} {route}: expected {wanted}, got {actual}")
    assert not wrong, "\n".join(wrong)
