"""Handle the language form in the footer."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponseBase
from django.views import i18n

from accounts.models import User
from twofactor.htmx import return_path, wants_panel


@login_not_required
def set_language(request: HttpRequest) -> HttpResponseBase:
    """Call Django's view. Store a signed-in user's choice as the language of their emails.

    Over htmx, redirect to the current page: `next` in the footer is from the last full page load.
    """
    language = request.POST.get("language")
    if language in dict(settings.LANGUAGES) and request.user.is_authenticated:
        User.objects.filter(pk=request.user.pk).update(language=language)
    response = i18n.set_language(request)
    if request.method == "POST" and wants_panel(request) and (page := return_path(request)):
        response["Location"] = page
    return response
