"""What answers a form whose code was not accepted, wherever somebody who is signed in types one."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from twofactor.forms import SecondFactorForm
from twofactor.htmx import render_page


def refuse(request: HttpRequest, page: str, form: SecondFactorForm, **context: Any) -> HttpResponse:
    """Show the form again. Whoever was asked for a code alone, and gave five wrong ones in a row, is signed out.

    A stolen session would keep the owner's codes delayed for ever; where a password is asked too, it cannot.
    """
    if form.told and form.after_sign_in:
        logout(request)
        messages.error(request, _("Too many wrong codes. Please sign in again."))
        return redirect(settings.LOGIN_URL)
    return render_page(request, page, {"form": form, "method": form.method, **context})
