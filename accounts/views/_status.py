"""HTTP status codes of allauth's forms, as in the app's views."""

from typing import Any

from django.http import HttpResponse


class FormStatusMixin:
    """For views with a LimitedForm: 422 if the form is invalid, 429 with Retry-After if it was not checked."""

    def form_invalid(self, form: Any) -> HttpResponse:
        response = super().form_invalid(form)  # type: ignore[misc] # defined by allauth's view
        response.status_code = form.status
        for header, value in form.headers.items():
            response[header] = value
        return response
