"""The page of the "This wasn't me" link in a confirmation email."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import addresses


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def reject_email(request: HttpRequest, key: str) -> HttpResponse:
    """Remove an unconfirmed address, or the whole account if it has no confirmed address.

    A GET changes nothing, because mail scanners follow links.
    """
    confirmation = addresses.confirmation_of(key)
    if confirmation is None:
        return render(request, "account/email_reject.html")
    claim = confirmation.email_address
    is_new = addresses.is_new(claim.user)
    context = {"confirmation": confirmation, "email": claim.email, "is_new": is_new}
    if request.method != "POST":
        return render(request, "account/email_reject.html", context)
    try:
        addresses.reject(claim)
    except addresses.Taken:
        return render(request, "account/email_reject.html", {**context, "is_in_use": True}, status=409)
    return render(request, "account/email_reject.html", {**context, "is_done": True})
