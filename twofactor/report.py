"""What staff see of users' second factors, in `manage.py twofactor report` and `status` and in the admin: no secret."""

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from django.contrib.auth import get_user_model
from django.db.models import Count, Max, Q
from django.templatetags.tz import utc

from twofactor import adapter, conf
from twofactor.forms import BackupCodeForm, CodeForm
from twofactor.models import SecondFactor
from twofactor.passkey_form import PasskeyForm

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
    methods: tuple[str, ...] = ()  # keys of methods.METHODS
    passkeys: int = 0
    unusable_passkeys: int = 0  # those of another domain than TWOFACTOR_RP_ID
    backup_codes_left: int = 0
    last_used: datetime | None = None
    waits_until: datetime | None = None
    secret_opens: bool | None = None


class Output(Protocol):
    def write(self, text: str, /) -> object: ...


class Counts(NamedTuple):
    """What is counted of one user: the unused backup codes, the unusable passkeys, and the last use of either."""

    codes_left: int = 0
    unusable_passkeys: int = 0
    last_use: datetime | None = None


def entries() -> Iterator[Entry]:
    """Yield an entry for each active user, with one query and without a list of all users in memory."""
    codes, passkeys = "second_factor__backup_codes", "second_factor__passkeys"
    users = get_user_model()._default_manager.filter(is_active=True).select_related("second_factor__app")
    users = users.annotate(
        codes_left=Count(codes, filter=Q(**{f"{codes}__used_at": None}), distinct=True),
        unusable=Count(passkeys, filter=~Q(**{f"{passkeys}__rp_id": conf.rp_id()}), distinct=True),
        code_used_at=Max(f"{codes}__used_at"),
        passkey_used_at=Max(f"{passkeys}__last_used_at"),
    )
    for user in users.order_by("pk").iterator():
        last_use = latest(user.code_used_at, user.passkey_used_at)
        yield _entry(user, Counts(user.codes_left, user.unusable, last_use))


def entry_for(user: "_User") -> Entry:
    second_factor = SecondFactor.objects.for_user(user)
    if second_factor is None:
        return _entry(user, Counts())
    codes = second_factor.count_codes()
    if not second_factor.passkey_count:
        return _entry(user, Counts(codes.left, 0, codes.last_use))
    unusable = Count("pk", filter=~Q(rp_id=conf.rp_id()))
    passkeys = second_factor.passkeys.aggregate(unusable=unusable, last_use=Max("last_used_at"))
    return _entry(user, Counts(codes.left, passkeys["unusable"], latest(codes.last_use, passkeys["last_use"])))


def latest(*moments: datetime | None) -> datetime | None:
    return max((moment for moment in moments if moment), default=None)


def _entry(user: "_User", counts: Counts) -> Entry:
    name = str(user.get_username())
    is_required = adapter.current().is_required(user)
    second_factor = SecondFactor.objects.for_user(user)
    if second_factor is None:
        return Entry(name, on=False, required=is_required)
    app = getattr(second_factor, "app", None)
    has = {
        PasskeyForm.key: second_factor.passkey_count > 0,
        CodeForm.key: app is not None,
        BackupCodeForm.key: counts.codes_left > 0,
    }
    return Entry(
        name,
        on=True,
        required=is_required,
        since=second_factor.created_at,
        methods=tuple(key for key in has if has[key]),
        passkeys=second_factor.passkey_count,
        unusable_passkeys=counts.unusable_passkeys,
        backup_codes_left=counts.codes_left,
        last_used=latest(app and app.last_used_at, counts.last_use),
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
