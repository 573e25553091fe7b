"""Find users by email address or username, with any user model."""

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model

if TYPE_CHECKING:
    from django.contrib.auth.models import _User


def identifying_fields() -> list[str]:
    """Return the names of the fields that identify a user: the email address, then the username."""
    model = get_user_model()
    existing = {field.name for field in model._meta.get_fields()}
    names = dict.fromkeys([model.get_email_field_name(), model.USERNAME_FIELD])
    return [name for name in names if name in existing]


def find(name: str) -> "_User":
    """Return the user with this email address or username. An exact match wins over one in another case.

    Raise LookupError, with a message for the operator, if there is no such user or more than one.
    """
    name = name.encode(errors="replace").decode()  # no database takes lone surrogates, which a shell may pass
    for field in identifying_fields():
        ignoring_case: list[_User] = list(get_user_model()._default_manager.filter(**{f"{field}__iexact": name}))
        found = [user for user in ignoring_case if getattr(user, field) == name] or ignoring_case
        if len(found) > 1:
            raise LookupError(f"More than one user has the {field} {name}.")
        if found:
            return found[0]
    raise LookupError(f"No user has the {' or '.join(identifying_fields())} {name}.")
