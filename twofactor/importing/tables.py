"""Models for the tables of other apps, which may no longer be installed."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from django.apps.registry import Apps
from django.contrib.auth import get_user_model
from django.db import connection, models

from twofactor.importing.users import CannotImport, ImportedUser, Key, build_or_report

AnyField: TypeAlias = "models.Field[Any, Any]"
PASSKEY = "webauthn"  # the type of such rows in allauth.mfa and django-mfa


class Row(Protocol):
    """A row of `OneTable`. Its JSON may have any shape."""

    user_id: Key
    type: str
    data: Any
    name: str  # the column may be missing
    created_at: datetime | None  # the columns of both times may be missing
    last_used_at: datetime | None


def table_model(name: str, /, **fields: AnyField) -> Any:
    """Return a model of this table. Raise CannotImport if the table or a column is missing.

    A column of a nullable field may be missing, because older versions of the app did not have it.
    """
    columns = columns_of(name)
    if not columns:
        raise CannotImport(f"There is no table {name} in this database.")
    for field_name, field in list(fields.items()):
        if field_name not in columns and not field.null:
            raise CannotImport(
                f"The table {name} has no column {field_name}. This version of the app is not supported."
            )
        if field_name not in columns:
            del fields[field_name]
    # A separate registry, because the app itself may be installed and has the same model.
    meta = type("Meta", (), {"db_table": name, "managed": False, "app_label": "twofactor_importing", "apps": Apps()})
    return type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **fields})


def optional_table(name: str, /, **fields: AnyField) -> Any:
    """Return a model of this table, or None if there is no such table."""
    return table_model(name, **fields) if columns_of(name) else None


def columns_of(name: str) -> set[str]:
    """Return the names of this table's columns, or an empty set if the table does not exist."""
    with connection.cursor() as cursor:
        if name not in connection.introspection.table_names(cursor):
            return set()
        return {column.name for column in connection.introspection.get_table_description(cursor, name)}


def find_table(columns: set[str]) -> str:
    """Return the name of the table with these columns. Raise CannotImport unless there is exactly one."""
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
    found = [name for name in names if columns <= columns_of(name)]
    listed = ", ".join(sorted(columns))
    if not found:
        raise CannotImport(f"There is no table with the columns {listed} in this database.")
    if len(found) > 1:
        raise CannotImport(f"More than one table has the columns {listed}: {', '.join(found)}. Rename all but one.")
    return found[0]


class OneTable(ABC):
    """A source whose table has a row per user and kind of second factor, with details in JSON."""

    def __init__(self, name: str) -> None:
        self.rows = table_model(
            name,
            user_id=user_key_field(),
            type=models.CharField(max_length=32),
            data=models.JSONField(),
            name=models.CharField(max_length=100, null=True),
            created_at=models.DateTimeField(null=True),
            last_used_at=models.DateTimeField(null=True),
        )

    @abstractmethod
    def build(self, key: Key, rows: dict[str, Row], passkeys: list[Row]) -> ImportedUser:
        """Return the second factor of the user with this key from their rows, given by kind, and their passkeys."""

    def keys(self) -> list[Key]:
        return user_keys(self.rows)

    def users(self, keys: list[Key]) -> Iterator[ImportedUser]:
        for key, rows in group_by_user(self.rows.objects.filter(user_id__in=keys)).items():
            passkeys = [row for row in rows if row.type == PASSKEY]
            yield build_or_report(self.build, key, {row.type: row for row in rows}, passkeys)


def rows_of(model: Any, **filters: Any) -> list[Any]:
    """Return the rows, none if there is no such table."""
    return list(model.objects.filter(**filters).order_by("pk")) if model else []


def user_key_field(*, primary_key: bool = False) -> AnyField:
    """Return a field for a foreign key column to the user, whose key may be an integer, a UUID or a string."""
    key: Any = get_user_model()._meta.pk
    while key.remote_field:
        key = key.target_field
    if isinstance(key, models.IntegerField):  # includes the auto-incrementing fields
        return models.BigIntegerField(primary_key=primary_key)
    _, _, args, options = key.deconstruct()
    kept = {name: options[name] for name in options if name == "max_length"}
    field: AnyField = type(key)(*args, **kept, primary_key=primary_key)
    return field


def user_keys(*models_: Any) -> list[Key]:
    """Return the sorted keys of the users who have a row in any of these models."""
    return sorted({key for model in models_ for key in model.objects.values_list("user_id", flat=True).distinct()})


def group_by_user(rows: Iterable[Any]) -> dict[Key, list[Any]]:
    """Return the rows grouped by the key of their user."""
    found = defaultdict(list)
    for row in rows:
        found[row.user_id].append(row)
    return found
