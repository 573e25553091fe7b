"""The admin site: it requires step-up for every change, and answers 400 to IDs and filters that no row can match."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import BadRequest
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import addresses, deletion
from twofactor.reauthentication import required_step_up_url
from twofactor.step_up import SAFE

View = TypeVar("View", bound=Callable[..., Any])
# Signing out, and the redirect to the site's own page, which asks for the password itself.
WITHOUT_STEP_UP = {"logout", "password_change"}


class AdminSite(admin.AdminSite):
    """`admin_view` wraps every view of every model, so one check covers all of them."""

    index_title = gettext_lazy("Overview")

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        name = _("%(site_name)s admin") % {"site_name": settings.TWOFACTOR_ISSUER}
        return {**super().each_context(request), "site_header": name, "site_title": name}

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Redirect to the index, which requires the site's sign-in. Django's own form does not ask for a code."""
        return redirect("admin:index")

    def password_change(  # type: ignore[override] # Django's returns a TemplateResponse.
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect to the site's own page. Django's page does not throttle wrong passwords and sends no email."""
        return redirect("account_change_password")

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if _requires_step_up(request) and (url := required_step_up_url(request)):
                return redirect(url)
            try:
                return view(request, *args, **kwargs)
            except (OverflowError, ValueError) as error:
                # Django passes IDs and filters to the database unchecked, and the database refuses them.
                raise BadRequest("No row can match this ID or filter.") from error
            except (addresses.Taken, deletion.LastSuperuser, IntegrityError):
                # Two requests passed validation concurrently, and the other one was saved first.
                messages.error(request, _("Someone else changed this at the same time. Nothing was saved."))
                return redirect(request.get_full_path())

        return super().admin_view(cast(View, guarded), cacheable)


def _requires_step_up(request: HttpRequest) -> bool:
    """Return True for changes, and for forms that start empty: a step-up at the POST would discard the input."""
    name = str(request.resolver_match and request.resolver_match.url_name)
    return name not in WITHOUT_STEP_UP and (request.method not in SAFE or name.endswith(("_add", "_password_change")))
