"""The methods of the second factor: one form class each. The field that was posted decides the method."""

from collections.abc import Iterable

from django.http import HttpRequest, QueryDict

from twofactor.attempts import Attempt
from twofactor.forms import BackupCodeForm, CodeForm, SecondFactorForm
from twofactor.passkey_form import PasskeyForm

METHODS: dict[str, type[SecondFactorForm]] = {form.key: form for form in (PasskeyForm, CodeForm, BackupCodeForm)}

# Not in error reports. `ceremony` is a bearer token for five minutes.
SENSITIVE_FIELDS = ("password", "ceremony", *(form.field_name for form in METHODS.values()))


def form_for(request: HttpRequest, attempt: Attempt) -> SecondFactorForm:
    """Return the form of the method that `?method=` names. Bind a POST to that of the method whose field was posted.

    Instead of a method that the account does not have, return the first one that it has.
    """
    if request.method != "POST":
        named = [form for form in METHODS.values() if form.key == request.GET.get("method")]
        return _first_available([*named, *METHODS.values()], attempt)
    posted = [form for form in METHODS.values() if form.field_name in request.POST]
    # A client may post the field of another method too, but empty.
    typed = [form for form in posted if request.POST[form.field_name]]
    return _first_available([*typed[::-1], *posted[::-1], *METHODS.values()], attempt, request.POST)


def first_form(attempt: Attempt) -> SecondFactorForm:
    """Return the form that a page shows until the user chooses another method."""
    return _first_available(METHODS.values(), attempt)


def only_form(form: type[SecondFactorForm], attempt: Attempt, data: QueryDict | None = None) -> SecondFactorForm | None:
    """Return this form, without links to other methods, or None if the account does not have this method."""
    return form(data, attempt=attempt) if form.is_available(attempt) else None


def _first_available(
    forms: Iterable[type[SecondFactorForm]], attempt: Attempt, data: QueryDict | None = None
) -> SecondFactorForm:
    form = next(form for form in forms if form.is_available(attempt))(data, attempt=attempt)
    form.methods = METHODS.values()
    return form
