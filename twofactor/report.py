"""What staff see of users' second factors, in `manage.py twofactor report` and `status` and in the admin: no secret."""

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from django.contrib.auth import get_user_model
from django.db.models import Count, Max, Q
from django.templatetags.tz import utc

from twofactor import adapter
from twofactor.forms import BackupCodeForm, CodeForm
from twofactor.models import SecondFactor
from twofactor.models.second_factor import CodeCounts

if TYPE_CHECKING:
    from django.contrib.auth.models import _User

# Spreadsheets take text that begins with one of these for a formula (CSV injection). An apostrophe prevents that.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class Entry(NamedTuple):
    """One user. The names of the fields are the columns of the report."""

    user: str
    on: bool
    required: bool
    since: datetime | None = None
    methods: tuple[str, ...] = ()  # keys of forms.METHODS
    backup_codes_left: int = 0
    last_used: datetime | None = None
    waits_until: datetime | None = None
    secret_opens: bool | None = None


class Output(Protocol):
    def write(self, text: str, /) -> object: ...


def entries() -> Iterator[Entry]:
    """Yield an entry for each active user, with one query and without a list of all users in memory."""
    codes = "second_factor__backup_codes"
    users = get_user_model()._default_manager.filter(is_active=True).select_related("second_factor__app")
    users = users.annotate(
        codes_left=Count(codes, filter=Q(**{f"{codes}__used_at": None})), code_used_at=Max(f"{codes}__used_at")
    )
    for user in users.order_by("pk").iterator():
        yield _entry(user, user.codes_left, user.code_used_at)


def entry_for(user: "_User") -> Entry:
    second_factor = SecondFactor.objects.for_user(user)
    codes = second_factor.count_codes() if second_factor else CodeCounts()
    return _entry(user, codes.left, codes.last_use)


def _entry(user: "_User", codes_left: int, code_used_at: datetime | None) -> Entry:
    name = str(user.get_username())
    is_required = adapter.current().is_required(user)
    second_factor = SecondFactor.objects.for_user(user)
    if second_factor is None:
        return Entry(name, on=False, required=is_required)
    app = getattr(second_factor, "app", None)
    has = {CodeForm.key: app is not None, BackupCodeForm.key: codes_left > 0}
    uses = [moment for moment in (app and app.last_used_at, code_used_at) if moment]
    return Entry(
        name,
        on=True,
        required=is_required,
        since=second_factor.created_at,
        methods=tuple(key for key in has if has[key]),
        backup_codes_left=codes_left,
        last_used=max(uses, default=None),
        waits_until=second_factor.waits_until(),
        secret_opens=None if app is None else not app.unsealing_error,
    )


def write_json(rows: Iterable[Entry], output: Output) -> None:
    """Write one array, with an object for each user on a line of its own."""
    output.write("[\n")
    comma = ""
    for row in rows:
        values = {name: _iso(value) if isinstance(value, datetime) else value for name, value in row._asdict().items()}
        output.write(f"{comma}{json.dumps(values)}\n")
        comma = ","
    output.write("]\n")


def write_csv(rows: Iterable[Entry], output: Output) -> None:
    """Write a line with the names of the columns, and then one for each user."""
    writer = csv.writer(output, lineterminator="\n")
    writer.writerow(Entry._fields)
    for row in rows:
        texts = [_text(value) for value in row]
        writer.writerow([f"'{text}" if text.startswith(FORMULA_STARTS) else text for text in texts])


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return _iso(value)
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _iso(moment: datetime) -> str:
    return f"{utc(moment):%Y-%m-%dT%H:%M:%SZ}"
