"""What twofactor.decorators does, for views that are classes."""

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.generic import View

from twofactor.decorators import MAX_AGE, SETUP_URL, SYNC_ONLY, second_factor_required


class SecondFactorRequiredMixin(View):
    """Stands first among the bases: nothing of the view runs before the second factor was used."""

    second_factor_max_age: timedelta | float = MAX_AGE
    second_factor_setup_url = SETUP_URL

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.view_is_async:
            raise TypeError(SYNC_ONLY)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        ask = second_factor_required(max_age=self.second_factor_max_age, setup_url=self.second_factor_setup_url)
        return ask(super().dispatch)(request, *args, **kwargs)
