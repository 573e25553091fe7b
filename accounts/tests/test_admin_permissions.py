"""Every view and action of every model in the admin: what each permission changes, and that no ID causes an error."""

from collections import defaultdict
from contextlib import contextmanager
from http.cookies import SimpleCookie

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import models, transaction
from django.test import RequestFactory
from django.urls import NoReverseMatch, reverse

from accounts.models import User
from accounts.tests.test_admin import NEW, step_up
from twofactor.models import SecondFactor, SecurityEvent
from twofactor.tests.helpers import sign_in_with_2fa
from twofactor.tests.passkeys import add_passkey
from twofactor.tests.softkey import SoftKey

MODELS = {m: admin.site.get_model_admin(m) for m in apps.get_models() if admin.site.is_registered(m)}
# What staff with one permission can change after step-up. All other permissions change nothing.
MAY_CHANGE = {"change_user": {
    "accounts.User.full_name", "accounts.User.password", "accounts.User.password_version", "admin.LogEntry",
    "usersessions.UserSession.session_key",  # The key of their own session is cycled.
}}  # fmt: skip
# The pages and actions with which superusers change each model after step-up. All others are read-only.
SUPERUSERS_CHANGE = {
    "accounts.User": {"add", "change", "password", "delete", "delete_selected"},
    "auth.Group": {"add", "change", "delete", "delete_selected"},
    "twofactor.SecondFactor": {"turn_off", "unlock"},
}
HUGE = "9" * 30


@pytest.fixture
def make_staff_client(make_user, user, second_factor):
    """Return a function that signs in a staff member, without step-up. A row of every model is created before."""
    SecurityEvent.objects.create(user=user, kind=SecurityEvent.Kind.LOCKED)
    user.emailaddress_set.update(verified=False)  # An action could mark it as verified.
    SecondFactor.objects.update(delayed_until=4_000_000_000)  # An action could end the delay.
    Group.objects.create(name="clerks")
    add_passkey(user, SoftKey())
    assert all(model._base_manager.exists() for model in MODELS), "Create a row of the new model here."
    return lambda **fields: sign_in_with_2fa(make_user("staff@example.com", is_staff=True, **fields))


def changelist(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def admin_urls(model, pk):
    """Yield every URL of this model in the admin."""
    for pattern in MODELS[model].get_urls():
        try:
            yield reverse(f"admin:{pattern.name}", args=[pk] * len(pattern.pattern.converters))
        except NoReverseMatch:  # The redirect from the former change URL has no name.
            continue


def actions(model):
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_staff=True)
    return MODELS[model].get_actions(request)


def form_data(model):
    """Return a new value for each field of this model."""
    data = {"post": "yes", **NEW}
    for field in [*model._meta.fields, *model._meta.many_to_many]:
        if field.is_relation:
            data[field.name] = field.related_model._base_manager.values_list("pk", flat=True)[:1]
        elif isinstance(field, models.BooleanField):
            data[field.name] = "on"
        elif isinstance(field, models.EmailField):
            data[field.name] = "new@example.com"
        else:
            data[field.name] = "changed"
    return data


def all_requests(models=MODELS):
    """Yield model label, name, URL and POST data of every form and of every action on one row."""
    for model in models:
        pk = model._base_manager.order_by("pk").first().pk
        for path in admin_urls(model, pk):
            yield model._meta.label, path.split("/")[-2], path, form_data(model)
        for name in actions(model):
            data = {"action": name, "_selected_action": [pk], "post": "yes", "reason": "lost phone"}
            yield model._meta.label, name, changelist(model), data


def database_state():
    """Return all rows by model and primary key, except sessions, because each request writes one."""
    state = {}
    for model in apps.get_models(include_auto_created=True):
        if model is not Session:
            columns = [field.attname for field in model._meta.fields]
            state[model._meta.label] = {row["pk"]: row for row in model._base_manager.values("pk", *columns)}
    return state


def changed_since(before):
    """Return the columns that have changed, and the models with added or deleted rows."""
    changed = set()
    for label, now in database_state().items():
        if now.keys() != before[label].keys():
            changed.add(label)
        for pk in now.keys() & before[label].keys():
            changed |= {f"{label}.{name}" for name, value in now[pk].items() if value != before[label][pk][name]}
    return changed


@contextmanager
def rolled_back(client):
    """Roll back all writes inside this context, and restore the session cookie of the client."""
    cookies = client.cookies.output(header="", sep=";")
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    cache.clear()  # The rate limits are not part of the transaction.
    client.cookies = SimpleCookie(cookies)


def send_all_forms(client, models=MODELS):
    """Send a POST to every URL of these models, and return what changed."""
    before = database_state()
    for _, _, path, data in all_requests(models):
        client.post(path, data)
    return changed_since(before)


def changes_with(permissions, client, models):
    """Return what the staff member can change of these models with these permissions."""
    User.objects.get(email="staff@example.com").user_permissions.set(permissions)
    with rolled_back(client):
        return send_all_forms(client, models)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_a_permission_allows_only_its_changes(make_staff_client, model):
    client = make_staff_client()
    step_up(client)
    permissions = Permission.objects.filter(content_type=ContentType.objects.get_for_model(model))
    assert len(permissions) == 4
    for each in permissions:
        assert changes_with([each], client, [model]) == MAY_CHANGE.get(each.codename, set()), each
    assert changes_with(permissions, client, MODELS.keys() - {model}) == set(), "It changes another model."


def test_a_superuser_without_step_up_changes_nothing(make_staff_client):
    assert send_all_forms(make_staff_client(is_superuser=True)) == set()


def test_a_superuser_changes_everything_that_is_not_read_only(make_staff_client):
    """This test fails if `form_data` is invalid for a new model. The tests above would then prove nothing."""
    client = make_staff_client(is_superuser=True)
    step_up(client)
    done = defaultdict(set)
    for model, name, path, data in all_requests():
        before = database_state()
        client.get(path)
        assert changed_since(before) == set(), f"A GET of {path} changes something."
        with rolled_back(client):
            client.post(path, data)
            if changed_since(before):
                done[model].add(name)
    assert done == SUPERUSERS_CHANGE


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_no_id_search_or_filter_causes_a_server_error(make_staff_client, model):
    client = make_staff_client(is_superuser=True)
    step_up(client)
    client.raise_request_exception = False
    times = [field.name for field in model._meta.fields if isinstance(field, models.DateTimeField)]
    requests = [("get", f"{changelist(model)}?{name}__year={HUGE}", {}) for name in times]
    for value in (HUGE, "x"):
        requests += [("get", f"{changelist(model)}?{name}={value}", {}) for name in ("id__in", "id", "q", "p", "o")]
        for path in admin_urls(model, value):
            requests += [("get", path, {}), ("post", path, dict.fromkeys(form_data(model), value))]
        for name in actions(model):
            requests += [("post", changelist(model), {"action": name, "_selected_action": value, "post": "yes"})]
    assert not [each for each in requests if getattr(client, each[0])(*each[1:]).status_code >= 500]
