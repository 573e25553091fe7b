"""Remove one trusted browser, or all."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from twofactor.models import SecondFactor
from twofactor.views.common import AuthenticatedRequest, second_factor_page
from twofactor.views.settings import back_to_settings


@second_factor_page("POST")
def forget_browser(request: AuthenticatedRequest, second_factor: SecondFactor | None, pk: int) -> HttpResponse:
    get_object_or_404(request.user.trusted_browsers, pk=pk).delete()
    messages.success(request, _("Removed. Your password alone no longer signs you in with that browser."))
    return back_to_settings(request, second_factor)


@second_factor_page("POST")
def forget_browsers(request: AuthenticatedRequest, second_factor: SecondFactor | None) -> HttpResponse:
    request.user.trusted_browsers.all().delete()
    messages.success(request, _("Removed. Your password alone no longer signs you in with any browser."))
    return back_to_settings(request, second_factor)
