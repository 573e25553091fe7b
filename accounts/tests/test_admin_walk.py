"""Every model, view and action of the admin: what each permission changes, and what an impossible ID leads to."""

from collections import defaultdict
from contextlib import contextmanager
from http.cookies import SimpleCookie

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import models, transaction
from django.urls import NoReverseMatch, reverse

from accounts.models import User
from accounts.tests.test_admin import NEW, prove
from twofactor.models import SecurityEvent
from twofactor.tests.helpers import sign_in_with_2fa

MODELS = {m: admin.site.get_model_admin(m) for m in apps.get_models() if admin.site.is_registered(m)}
PERMISSIONS = sorted(
    f"{model._meta.app_label}.{action}_{model._meta.model_name}"
    for model in MODELS
    for action in model._meta.default_permissions
)
# What staff with one permission change, once they gave the proof. All others change nothing.
MAY_CHANGE = {
    "accounts.change_user": {
        "accounts.User.full_name",
        "accounts.User.password",
        "accounts.User.password_version",
        "admin.LogEntry",
        "usersessions.UserSession.session_key",  # their own session goes on under a new key
    },
}
# What superusers change, once they gave the proof: by pages and actions of each model. The others are read-only.
SUPERUSERS_CHANGE = {
    "accounts.User": {"add", "change", "password", "delete", "delete_selected"},
    "auth.Group": {"add", "change", "delete", "delete_selected"},
    "twofactor.Authenticator": {"turn_off"},
}
HUGE = "9" * 30


@pytest.fixture
def rows(user, authenticator):
    """One row of every registered model, older than those of the staff member who walks."""
    SecurityEvent.objects.create(user=user, kind=SecurityEvent.Kind.LOCKED)
    user.emailaddress_set.update(verified=False)  # what an action could mark as verified
    Group.objects.create(name="clerks")
    assert all(model._base_manager.exists() for model in MODELS), "make a row of the new model here"


@pytest.fixture
def walker(make_user, rows):
    """Sign in staff, without a proof; `permission` is their only one."""

    def make(permission="", **fields):
        user = make_user("walker@example.com", is_staff=True, **fields)
        if permission:
            label, codename = permission.split(".")
            user.user_permissions.add(Permission.objects.get(codename=codename, content_type__app_label=label))
        return sign_in_with_2fa(user)

    return make


def page(model, name="changelist", *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def pages(model, pk):
    """Every address of this model in the admin."""
    for pattern in MODELS[model].get_urls():
        try:
            yield reverse(f"admin:{pattern.name}", args=[pk] * len(pattern.pattern.converters))
        except NoReverseMatch:  # the old address of the change page has no name
            continue


def actions(model, rf):
    request = rf.get("/")
    request.user = User(is_superuser=True, is_staff=True)
    return MODELS[model].get_actions(request)


def typed(model):
    """What a form of this model takes: a new value for each field."""
    found = {"post": "yes", **NEW}
    for field in [*model._meta.fields, *model._meta.many_to_many]:
        if field.is_relation:
            found[field.name] = field.related_model._base_manager.values_list("pk", flat=True)[:1]
        elif isinstance(field, models.DateTimeField):
            found |= {f"{field.name}_0": "2030-01-01", f"{field.name}_1": "12:00"}
        elif isinstance(field, models.BooleanField):
            found[field.name] = "on"
        elif isinstance(field, models.EmailField):
            found[field.name] = "new@example.com"
        else:
            found[field.name] = "changed"
    return found


def attempts(rf):
    """Each form, filled in, and each action on one row: model, name, address and what is posted."""
    for model in MODELS:
        pk = model._base_manager.order_by("pk").first().pk
        for path in pages(model, pk):
            yield model._meta.label, path.split("/")[-2], path, typed(model)
        for name in actions(model, rf):
            yield (
                model._meta.label,
                name,
                page(model),
                {"action": name, "_selected_action": [pk], "post": "yes", "reason": "lost phone"},
            )


def everything():
    """The whole database, by table and primary key, but for sessions: each request writes its own."""
    found = {}
    for model in apps.get_models(include_auto_created=True):
        if model is not Session:
            columns = [field.attname for field in model._meta.fields]
            found[model._meta.label] = {row["pk"]: row for row in model._base_manager.values("pk", *columns)}
    return found


def changes(before):
    """The columns that are no longer as they were, and the tables with other rows."""
    found = set()
    for label, now in everything().items():
        if now.keys() != before[label].keys():
            found.add(label)
        for pk in now.keys() & before[label].keys():
            found |= {f"{label}.{name}" for name, value in now[pk].items() if value != before[label][pk][name]}
    return found


@contextmanager
def undone(client):
    """Roll back what is written inside, and give the browser its session back."""
    cookies = client.cookies.output(header="", sep=";")
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    cache.clear()  # it holds sessions, which the database has again as they were
    client.cookies = SimpleCookie(cookies)


def walk(client, rf):
    """Return what a whole walk changed."""
    before = everything()
    for _, _, path, data in attempts(rf):
        client.get(path)
        client.post(path, data)
    return changes(before)


@pytest.mark.parametrize("permission", ["", *PERMISSIONS])
def test_one_permission_changes_what_it_is_for_and_only_after_a_proof(walker, rf, permission):
    client = walker(permission)
    assert walk(client, rf) == set()
    prove(client)
    assert walk(client, rf) == MAY_CHANGE.get(permission, set())


def test_a_superuser_without_a_proof_changes_nothing(walker, rf):
    assert walk(walker(is_superuser=True), rf) == set()


def test_a_superuser_with_a_proof_changes_all_but_what_is_read_only(walker, rf):
    """Were the walk's data wrong for a new model, the tests above would prove nothing, and this one fails."""
    client = walker(is_superuser=True)
    prove(client)
    done = defaultdict(set)
    for model, name, path, data in attempts(rf):
        before = everything()
        with undone(client):
            client.post(path, data)
            if changes(before):
                done[model].add(name)
    assert done == SUPERUSERS_CHANGE


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_no_id_search_or_filter_leads_to_an_error_page(walker, rf, model):
    client = walker(is_superuser=True)
    prove(client)
    client.raise_request_exception = False
    times = [field.name for field in model._meta.fields if isinstance(field, models.DateTimeField)]
    lookups = [f"{name}__year={HUGE}" for name in times]
    lookups += [f"{name}={value}" for name in ("id__in", "id", "q", "p", "o") for value in (HUGE, "x", "")]
    broken = []
    for value in (HUGE, "x", "-1", "9" * 5000):
        everywhere = dict.fromkeys(typed(model), value)
        posts = [(path, everywhere) for path in pages(model, value)]
        posts += [
            (page(model), {"action": name, "_selected_action": value, "post": "yes"}) for name in actions(model, rf)
        ]
        broken += [("GET", path) for path, _ in posts if client.get(path).status_code >= 500]
        broken += [("POST", path, data) for path, data in posts if client.post(path, data).status_code >= 500]
    broken += [("GET", lookup) for lookup in lookups if client.get(f"{page(model)}?{lookup}").status_code >= 500]
    assert not broken
