"""The language form in the footer of every page."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views import i18n

from accounts.models import User


@login_not_required
def set_language(request: HttpRequest) -> HttpResponse:
    """Django's. What a signed-in user chooses is the language of their emails as well."""
    language = request.POST.get("language")
    if language in dict(settings.LANGUAGES) and request.user.is_authenticated:
        User.objects.filter(pk=request.user.pk).update(language=language)
    return i18n.set_language(request)
