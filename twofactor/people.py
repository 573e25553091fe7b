"""Users by name, whatever their model is: with an e-mail address, a user name, or both."""

from typing import Any

from django.contrib.auth import get_user_model


def identifying_fields() -> list[str]:
    """The fields that a user may be known by: the e-mail address first, then what they sign in with."""
    model = get_user_model()
    there = {field.name for field in model._meta.get_fields()}
    return [name for name in dict.fromkeys([model.get_email_field_name(), model.USERNAME_FIELD]) if name in there]


def find(name: str) -> Any:
    """Return the one user of this name; LookupError, in words, if there is none or more than one."""
    for field in identifying_fields():
        alike = list(get_user_model()._default_manager.filter(**{f"{field}__iexact": name}))
        found = [user for user in alike if getattr(user, field) == name] or alike
        if len(found) > 1:
            raise LookupError(f"More than one user has the {field} {name}.")
        if found:
            return found[0]
    raise LookupError(f"Nobody has the address {name}.")
