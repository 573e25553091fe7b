"""The methods of the second factor: one form class each. The field that was posted decides the method."""

from django.http import HttpRequest, QueryDict

from twofactor.attempts import Attempt
from twofactor.forms import BackupCodeForm, CodeForm, SecondFactorForm
from twofactor.passkey_form import PasskeyForm

METHODS: dict[str, type[SecondFactorForm]] = {form.key: form for form in (PasskeyForm, CodeForm, BackupCodeForm)}

# Not in error reports. `ceremony` is a bearer token for five minutes.
SENSITIVE_FIELDS = ("password", "ceremony", *(form.field_name for form in METHODS.values()))


def form_for(request: HttpRequest, attempt: Attempt) -> SecondFactorForm:
    """Return the form of the method that `?method=` names. Bind a POST to that of the method whose field was posted.

    A method that the account does not have is replaced by the first one that it has.
    """
    forms = available_methods(attempt)
    if request.method != "POST":
        return _made(METHODS.get(request.GET.get("method", "")), forms, attempt)
    # A client may post the field of another method too, but empty.
    posted = [form for form in forms if form.field_name in request.POST]
    typed = [form for form in posted if request.POST[form.field_name]]
    return _made([None, *posted, *typed][-1], forms, attempt, request.POST)


def first_form(attempt: Attempt) -> SecondFactorForm:
    """Return the form that a page shows until the user chooses another method."""
    return _made(None, available_methods(attempt), attempt)


def only_form(form: type[SecondFactorForm], attempt: Attempt, data: QueryDict | None) -> SecondFactorForm:
    """Return this form, without links to other methods."""
    return _made(form, [form], attempt, data)


def available_methods(attempt: Attempt) -> list[type[SecondFactorForm]]:
    """Return the methods that the account has. The first one is preferred."""
    return [form for form in METHODS.values() if form.is_available(attempt)]


def _made(
    chosen: type[SecondFactorForm] | None,
    available: list[type[SecondFactorForm]],
    attempt: Attempt,
    data: QueryDict | None = None,
) -> SecondFactorForm:
    made = next((form for form in available if form is chosen), available[0])
    form = made(data, attempt=attempt)
    form.others = [other for other in available if other is not made]
    form.query = "" if made is available[0] else f"?method={made.key}"
    return form
