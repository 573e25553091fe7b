"""Create the tables of CACHES that use DatabaseCache, as `manage.py createcachetable` does."""

from typing import Any

from django.core.management import call_command
from django.db import migrations


def create_cache_tables(apps: Any, schema_editor: Any) -> None:
    """Leave existing tables as they are."""
    call_command("createcachetable", database=schema_editor.connection.alias, verbosity=0)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_user_password_version")]

    operations = [migrations.RunPython(create_cache_tables, migrations.RunPython.noop)]
