"""Change the full name."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.forms import NameForm
from twofactor.views.common import AuthenticatedRequest, post_data


@require_http_methods(["GET", "HEAD", "POST"])
def change_name(request: AuthenticatedRequest) -> HttpResponse:
    form = NameForm(post_data(request), initial={"full_name": request.user.full_name})
    if form.is_valid():
        request.user.full_name = form.cleaned_data["full_name"]
        request.user.save(update_fields=["full_name"])
        messages.success(request, _("Your name was changed."))
        return redirect("home")
    return render(request, "account/change_name.html", {"form": form}, status=422 if form.is_bound else 200)
