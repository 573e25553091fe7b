"""The account's email addresses: add, remove, make primary."""

from typing import Any

from allauth.account import views as allauth_views
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts import addresses


class EmailView(allauth_views.EmailView):
    """allauth's, in one transaction: what another account holds is refused in words, and nothing is half changed."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with transaction.atomic():
                self.lock(request)
                if "action_primary" in request.POST and not self.make_room(request):
                    return redirect("account_email")
                return super().post(request, *args, **kwargs)
        except (addresses.Taken, IntegrityError):
            messages.error(request, addresses.TAKEN)
            return redirect("account_email")

    def lock(self, request: HttpRequest) -> None:
        """Let the second of two requests about one address wait, so that it sees what the first one did."""
        typed = request.POST.get("email", "").lower()
        # Compared here: PostgreSQL takes no NUL in a query.
        if any(row.email == typed for row in EmailAddress.objects.filter(user=request.user)):
            addresses.lock(typed)

    def make_room(self, request: HttpRequest) -> bool:
        """Free the address that is to be primary; False, and a message, unless this account confirmed it."""
        confirmed = EmailAddress.objects.filter(user=request.user, verified=True)
        # Compared here: PostgreSQL takes no NUL in a query.
        own = next((row for row in confirmed if row.email == request.POST.get("email", "").lower()), None)
        if own is None:
            get_adapter().add_message(request, messages.ERROR, "account/messages/unverified_primary_email.txt")
            return False
        addresses.release(own.email, to=own.user)
        return True
