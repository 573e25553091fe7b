"""The site's admin: it changes nothing on a session alone, and answers 4xx to what no row can match."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.contrib import admin, messages
from django.core.exceptions import BadRequest
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts import addresses
from twofactor.reauthentication import way_to_proof
from twofactor.step_up import SAFE

View = TypeVar("View", bound=Callable[..., Any])
# Signing out, and the page that only leads to the site's own.
OPEN = {"logout", "password_change"}


class AdminSite(admin.AdminSite):
    """Django's. Every view of every model comes through `admin_view`, so no model has to ask for a proof itself."""

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Redirect to the index. TwofactorMiddleware lets signed-in staff in, and Django's form asks for no code."""
        return redirect("admin:index")

    def password_change(  # type: ignore[override] # a redirect, where Django's own always renders a page
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect to the site's own page. Django's does not limit wrong passwords, and sends no email."""
        return redirect("account_change_password")

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            if _needs_proof(request) and (elsewhere := way_to_proof(request)):
                return elsewhere
            try:
                return view(request, *args, **kwargs)
            except (OverflowError, ValueError) as error:
                # Django hands IDs and filters to the database as they were sent, and the database raises.
                raise BadRequest("An ID or a filter that no row can match.") from error
            except (addresses.Taken, IntegrityError):
                # Two requests passed their checks at once; the other one was saved first.
                messages.error(request, _("Someone else changed this at the same time. Nothing was saved."))
                return redirect(request.get_full_path())

        return super().admin_view(cast(View, guarded), cacheable)


def _needs_proof(request: HttpRequest) -> bool:
    """True of every change, and of an empty form, so that nobody fills in a form that is then not kept."""
    name = str(request.resolver_match and request.resolver_match.url_name)
    return name not in OPEN and (request.method not in SAFE or name.endswith(("_add", "_password_change")))
