"""The migration from rows of pending sign-ins to limits keeps everything else."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from twofactor.models import AuthenticatorApp, SecondFactor, SecurityEvent, TrustedBrowser
from twofactor.tests.constants import NOW, SECRET

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]

BEFORE = "0004_wrong_passwords"
KEPT = ("sealed_secret", "last_time_step", "failures", "delayed_until", "budget_spent", "budget_began", "version")


def migrate(name):
    executor = MigrationExecutor(connection)
    executor.migrate([("twofactor", name)])
    return executor.loader.project_state(("twofactor", name)).apps


@pytest.fixture
def latest():
    """Return to the latest migration, which the other tests need."""
    yield
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes("twofactor"))


def test_2fa_counters_codes_browsers_and_events_stay_in_both_directions(user, latest):
    codes = AuthenticatorApp.objects.activate(user, secret=SECRET)
    SecondFactor.objects.get().spend_backup_code(codes[0])
    AuthenticatorApp.objects.update(last_time_step=7, failures=6, delayed_until=NOW, budget_spent=9, budget_began=NOW)
    SecurityEvent.objects.create(user=user, kind="turned_on")
    TrustedBrowser.objects.create(user=user, digest="d", binding="b", expires_at="2100-01-01T00:00Z")
    kept = SecondFactor.objects.values(*KEPT).get()

    old = migrate(BEFORE).get_model("twofactor", "Authenticator").objects
    assert old.values(*KEPT).get() == kept
    assert old.get().codes_left == 9
    old.update(closed_sign_in="a" * 32, failure_mailed=NOW, reset_granted=NOW)
    migrate("0005_limits")

    second_factor = SecondFactor.objects.get()
    assert SecondFactor.objects.values(*KEPT).get() == kept
    assert (second_factor.app.secret, second_factor.codes_left) == (SECRET, 9)
    assert SecurityEvent.objects.count() == TrustedBrowser.objects.count() == 1
