"""twofactor.decorators for class-based views."""

from datetime import timedelta

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.generic import View

from twofactor.decorators import MAX_AGE, SETUP_URL, SYNC_ONLY, second_factor_required


class SecondFactorRequiredMixin(View):
    """Require a second factor that was used recently. List it first among the bases, so that it is checked first.

    `second_factor_max_age`, `second_factor_setup_url` and `second_factor_passkey` are the arguments of
    `second_factor_required`.
    """

    second_factor_max_age: timedelta | float = MAX_AGE
    second_factor_setup_url = SETUP_URL
    second_factor_passkey = False

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if cls.view_is_async:
            raise TypeError(SYNC_ONLY)

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        require = second_factor_required(
            max_age=self.second_factor_max_age,
            setup_url=self.second_factor_setup_url,
            passkey=self.second_factor_passkey,
        )
        return require(super().dispatch)(request, *args, **kwargs)
