"""The page "Check your inbox" after a sign-up, or after a sign-in with an unconfirmed address."""

from typing import Any

from allauth.account import views as allauth_views
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from accounts import confirmation


@method_decorator(never_cache, name="dispatch")
class VerificationSentView(allauth_views.EmailVerificationSentView):
    """allauth's page with a button that sends the link again."""

    http_method_names = ["get", "head", "post", "options"]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(email=confirmation.awaited(self.request).get("email"), **kwargs)

    def post(self, request: HttpRequest) -> HttpResponse:
        if email := confirmation.awaited(request).get("email"):
            confirmation.send_again(request, email)
            messages.info(
                request,
                _(
                    "Another link is on its way. "
                    "We send at most three an hour, so if nothing new arrives, use the last one you got."
                ),
            )
        return redirect("account_email_verification_sent")
