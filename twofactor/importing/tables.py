"""The tables of other apps, read as they lie in the database, whether or not the app is still installed."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from django.apps.registry import Apps
from django.contrib.auth import get_user_model
from django.db import connection, models

from twofactor.importing.person import CannotImport, Person, read


def table(name: str, /, **fields: models.Field) -> Any:
    """Return a model of this table; CannotImport if it is not there, or is not as it is known here.

    A field that may be null may be missing altogether: older versions of the app had no such column.
    """
    there = columns_of(name)
    if not there:
        raise CannotImport(f"There is no table {name} in this database.")
    for field_name, field in list(fields.items()):
        if field_name not in there and not field.null:
            raise CannotImport(
                f"The table {name} has no column {field_name}: no version of the app that is known here."
            )
        if field_name not in there:
            del fields[field_name]
    # A registry of its own: the app itself may be installed, and has this model too.
    meta = type("Meta", (), {"db_table": name, "managed": False, "app_label": "twofactor_importing", "apps": Apps()})
    return type(name, (models.Model,), {"__module__": __name__, "Meta": meta, **fields})


def columns_of(name: str) -> set[str]:
    """Return the names of this table's columns; none if there is no such table."""
    with connection.cursor() as cursor:
        if name not in connection.introspection.table_names(cursor):
            return set()
        return {column.name for column in connection.introspection.get_table_description(cursor, name)}


def name_of(columns: set[str]) -> str:
    """Return the name of the table that has these columns; CannotImport if it is not exactly one."""
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
    found = [name for name in names if columns <= columns_of(name)]
    words = ", ".join(sorted(columns))
    if not found:
        raise CannotImport(f"There is no table with the columns {words} in this database.")
    if len(found) > 1:
        raise CannotImport(f"More than one table has the columns {words}: {', '.join(found)}. Rename all but one.")
    return found[0]


class OneTable(ABC):
    """A source that has a row for each kind of second factor, with what belongs to it in JSON."""

    def __init__(self, name: str) -> None:
        self.rows = table(
            name,
            user_id=user_key(),
            type=models.CharField(max_length=32),
            data=models.JSONField(),
            created_at=models.DateTimeField(null=True),
            last_used_at=models.DateTimeField(null=True),
        )

    @abstractmethod
    def person(self, key: Any, rows: dict[str, Any]) -> Person:
        """Return what these rows, by their kind, say of the user with this key."""

    def keys(self) -> list[Any]:
        return keys_in(self.rows)

    def people(self, keys: list[Any]) -> Iterator[Person]:
        for key, rows in by_user(self.rows.objects.filter(user_id__in=keys)).items():
            yield read(self.person, key, {row.type: row for row in rows})


def user_key() -> "models.Field[Any, Any]":
    """Return a field for a column that holds the key of a user, be it a number, a UUID or a name."""
    key: Any = get_user_model()._meta.pk
    while key.remote_field:
        key = key.target_field
    if isinstance(key, models.IntegerField):  # the ones that count by themselves are such too
        return models.BigIntegerField()
    _, _, args, options = key.deconstruct()
    return type(key)(*args, **{name: options[name] for name in options if name == "max_length"})


def keys_in(*models_: Any) -> list[Any]:
    """Return the key of every user who has a row in one of these, in order."""
    return sorted({key for model in models_ for key in model.objects.values_list("user_id", flat=True).distinct()})


def by_user(rows: Iterable[Any]) -> dict[Any, list[Any]]:
    """Return these rows by the key of their user."""
    found = defaultdict(list)
    for row in rows:
        found[row.user_id].append(row)
    return found
