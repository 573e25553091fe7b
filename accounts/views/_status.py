"""What allauth's pages have in common with those of the second factor."""

from typing import Any

from django.http import HttpResponse


class FormStatusMixin:
    """For a view with a LimitedForm: 422 if the form is invalid, 429 with Retry-After if nothing was checked."""

    def form_invalid(self, form: Any) -> HttpResponse:
        response = super().form_invalid(form)  # type: ignore[misc] # allauth's view has it
        response.status_code = form.status
        for header, value in form.headers.items():
            response[header] = value
        return response
