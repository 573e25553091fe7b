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
    """allauth's view in one transaction, with a message if another account has the address."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with transaction.atomic():
                self.lock(request)
                if "action_primary" in request.POST and not self.release_primary(request):
                    return redirect("account_email")
                return super().post(request, *args, **kwargs)
        except (addresses.Taken, IntegrityError):
            messages.error(request, addresses.TAKEN)
            return redirect("account_email")

    def lock(self, request: HttpRequest) -> None:
        """Make parallel requests for one of the user's addresses wait for each other."""
        typed = request.POST.get("email", "").lower()
        # Compared in Python, because PostgreSQL rejects NUL in a query.
        if any(row.email == typed for row in EmailAddress.objects.filter(user=request.user)):
            addresses.lock(typed)

    def release_primary(self, request: HttpRequest) -> bool:
        """Release the new primary address from other accounts. Add a message and return False if it is unconfirmed."""
        confirmed = EmailAddress.objects.filter(user=request.user, verified=True)
        # Compared in Python, because PostgreSQL rejects NUL in a query.
        own = next((row for row in confirmed if row.email == request.POST.get("email", "").lower()), None)
        if own is None:
            get_adapter().add_message(request, messages.ERROR, "account/messages/unverified_primary_email.txt")
            return False
        addresses.release(own.email, to=own.user)
        return True
