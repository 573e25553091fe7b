"""The sign-in stage: the second factor after the password."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from twofactor import conf, events, sessions, trust
from twofactor.forms import SecondFactorForm
from twofactor.methods import SENSITIVE_FIELDS
from twofactor.reauthentication import record_second_factor
from twofactor.stages import VerifyStage, verify_stage_required


@sensitive_post_parameters(*SENSITIVE_FIELDS)
@require_http_methods(["GET", "HEAD", "POST"])
@transaction.non_atomic_requests  # an error must not roll back a charged attempt
@verify_stage_required
def verify_login(request: HttpRequest, stage: VerifyStage) -> HttpResponse:
    form = stage.form()
    if form.is_valid():
        return sign_in(request, stage, form)
    return stage.show(form)


def sign_in(request: HttpRequest, stage: VerifyStage, form: SecondFactorForm) -> HttpResponse:
    second_factor, user = stage.second_factor, stage.login.user
    sessions.mark(request, second_factor, form.key)
    record_second_factor(request, user, form)
    response = stage.exit()
    if (left := form.attempt.codes_left) is not None:
        add_codes_left_message(request, left)
    if form.cleaned_data.get("trust"):
        trust.trust(request, response, user, second_factor)
        events.browser_trusted(request, user)
    return response


def add_codes_left_message(request: HttpRequest, left: int) -> None:
    if left:
        text = (
            ngettext(
                "You used a backup code. You have %d left.",
                "You used a backup code. You have %d left.",
                left,
            )
            % left
        )
    else:
        text = _("You used your last backup code. Make new ones now.")
    messages.add_message(request, messages.WARNING if left <= conf.CODES_LOW else messages.INFO, text)


@require_http_methods(["POST"])
@verify_stage_required
def cancel_login(request: HttpRequest, stage: VerifyStage) -> HttpResponse:
    return stage.cancel()
