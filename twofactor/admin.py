"""The admin: second factors and security events, what staff do to them, and 2FA on the page of a user.

It shows no secrets and no digests, and of the throttle only until when codes have to wait.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.templatetags.admin_urls import admin_urlname
from django.contrib.admin.utils import display_for_value
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from twofactor import report
from twofactor.methods import METHODS
from twofactor.models import BackupCode, Passkey, SecondFactor, SecurityEvent
from twofactor.reauthentication import required_step_up_url
from twofactor.staff_actions import TURN_OFF, UNLOCK, ReasonForm, StaffAction
from twofactor.users import identifying_fields

if TYPE_CHECKING:
    from django.contrib.admin.options import _FieldsetSpec
    from django.contrib.auth.models import _User
    from django_stubs_ext import StrOrPromise


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # Django has no __class_getitem__ here
    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return [f"user__{name}" for name in identifying_fields()]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse filters by columns that the list does not show, such as keys. They would tell what is in them."""
        shown = {"id", *self.list_display, *self.list_filter}
        return lookup.partition("__")[0] in shown and super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse on this model's own pages, but let Django delete these rows together with their user."""
        match = request.resolver_match
        own_pages = f"{self.opts.app_label}_{self.opts.model_name}_"
        is_own_page = match is None or str(match.url_name).startswith(own_pages)
        return not is_own_page and super().has_delete_permission(request, obj)


@admin.register(SecondFactor)
class SecondFactorAdmin(ReadOnlyAdmin):
    list_display = ("user", "created_at", "updated_at", "codes_left", "waits_until")
    list_select_related = ("user",)
    fields = ("user", "created_at", "updated_at", "codes_left", "waits_until")
    actions = ("unlock", "turn_off")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SecondFactor]:
        """Count unused backup codes in a subquery, which the database runs only for the rows of one page.

        With 100,000 users it takes 7 ms. A join takes 1.4 s, because it counts the codes of all rows.
        """
        unused = BackupCode.objects.filter(second_factor=OuterRef("pk"), used_at=None)
        counted = unused.values("second_factor").annotate(count=Count("pk")).values("count")
        rows: QuerySet[SecondFactor] = super().get_queryset(request)
        return rows.annotate(unused_codes=Coalesce(Subquery(counted), 0))

    @admin.display(description=_("backup codes left"))
    def codes_left(self, second_factor: SecondFactor) -> int:
        unused: int = vars(second_factor)["unused_codes"]
        return unused

    @admin.display(description=_("codes locked until"))
    def waits_until(self, second_factor: SecondFactor) -> str:
        return display_for_value(second_factor.waits_until(), self.get_empty_value_display())

    def has_reset_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("twofactor.delete_secondfactor")

    @admin.action(description=_("Unlock codes"), permissions=["reset"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[SecondFactor]) -> HttpResponse | None:
        return self._act(UNLOCK, request, queryset)

    @admin.action(description=_("Turn off two-factor authentication"), permissions=["reset"])
    def turn_off(self, request: HttpRequest, queryset: QuerySet[SecondFactor]) -> HttpResponse | None:
        return self._act(TURN_OFF, request, queryset)

    def _act(self, action: StaffAction, request: HttpRequest, queryset: QuerySet[SecondFactor]) -> HttpResponse | None:
        """Ask for a step-up and a reason, and then act on the users of these rows."""
        rows = queryset.select_related("user")
        if refusal := self._refuse_protected_users(request, rows):
            return refusal
        if url := required_step_up_url(request):
            return redirect(url)
        form = ReasonForm(request.POST if "reason" in request.POST else None)
        if form.is_valid():
            reason = form.cleaned_data["reason"]
            done = sum(action.apply(row.user, reason=reason, request=request) for row in rows)
            self._report(action, request, done=done, unchanged=len(rows) - done)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": action.title,
            "opts": self.opts,
            "list_url": request.get_full_path(),
            "action": action,
            "form": form,
            "rows": rows,
            "checkbox_name": ACTION_CHECKBOX_NAME,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "twofactor/admin/reason.html", context)

    def _report(self, action: StaffAction, request: HttpRequest, *, done: int, unchanged: int) -> None:
        if done:
            self.message_user(request, action.done % done, messages.SUCCESS)
        if unchanged:
            self.message_user(request, action.unchanged % unchanged, messages.WARNING)

    def _refuse_protected_users(self, request: HttpRequest, rows: QuerySet[SecondFactor]) -> HttpResponse | None:
        """Redirect to the settings page if the staff member is selected.

        Raise PermissionDenied if a superuser is selected and the staff member is none.
        """
        users = [row.user for row in rows]
        if request.user in users:
            message = _("Change your own two-factor authentication here, not in the admin.")
            self.message_user(request, message, messages.ERROR)
            return redirect("twofactor:settings")
        if not request.user.is_superuser and any(getattr(user, "is_superuser", False) for user in users):
            raise PermissionDenied
        return None


class SecondFactorMixin(admin.ModelAdmin):  # type: ignore[type-arg] # as above
    """Show 2FA, read-only, on the page of a user: `class UserAdmin(SecondFactorMixin, DjangoUserAdmin)`.

    `list_display` may name `has_2fa`.
    """

    fields_if_off = ("two_factor",)
    fields_if_on = (*fields_if_off, "on_since", "methods", "last_used", "waits_until")

    def get_fieldsets(self, request: HttpRequest, obj: "_User | None" = None) -> "_FieldsetSpec":
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None:  # a new user
            return fieldsets
        fields = self.fields_if_on if self.has_2fa(obj) else self.fields_if_off
        return [*fieldsets, (_("Two-factor authentication"), {"fields": fields})]

    def get_readonly_fields(self, request: HttpRequest, obj: "_User | None" = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), *self.fields_if_on]

    def get_list_select_related(self, request: HttpRequest) -> bool | list[str]:
        related = super().get_list_select_related(request)
        return True if related is True else [*(related or ()), "second_factor"]

    @admin.display(boolean=True, description=_("2FA"))
    def has_2fa(self, user: "_User") -> bool:
        return SecondFactor.objects.for_user(user) is not None

    @admin.display(description=_("Status"))
    def two_factor(self, user: "_User") -> "StrOrPromise":
        """Return the status, with a link to what staff can do."""
        second_factor = SecondFactor.objects.for_user(user)
        if second_factor is None:
            return _("Off, but required") if _entry(user).required else _("Off")
        if not self.admin_site.is_registered(SecondFactor):
            return _("On")
        page = reverse(admin_urlname(SecondFactor._meta, SafeString("changelist")), current_app=self.admin_site.name)
        url = f"{page}?id__exact={second_factor.pk}"
        return format_html('{} (<a href="{}">{}</a>)', _("On"), url, _("unlock codes or turn it off"))

    @admin.display(description=_("On since"))
    def on_since(self, user: "_User") -> str:
        return self._display(_entry(user).since)

    @admin.display(description=_("Methods"))
    def methods(self, user: "_User") -> str:
        return ", ".join(str(METHODS[key].name) for key in _entry(user).methods)

    @admin.display(description=_("Last used"))
    def last_used(self, user: "_User") -> str:
        return self._display(_entry(user).last_used)

    @admin.display(description=_("Codes locked until"))
    def waits_until(self, user: "_User") -> str:
        return self._display(_entry(user).waits_until)

    def _display(self, moment: datetime | None) -> str:
        # Django's admin formats times in lists, but not in read-only fields.
        return display_for_value(moment, self.get_empty_value_display())


def _entry(user: "_User") -> report.Entry:
    """Return the user's entry of the report. It is read once for all fields of a page."""
    entry: report.Entry | None = vars(user).get("twofactor_entry")
    if entry is None:
        entry = vars(user)["twofactor_entry"] = report.entry_for(user)
    return entry


@admin.register(Passkey)
class PasskeyAdmin(ReadOnlyAdmin):
    """The list shows neither keys nor credential IDs."""

    list_display = ("user", "name", "provider", "is_backed_up", "created_at", "last_used_at", "rp_id")
    list_select_related = ("second_factor__user",)
    fields = list_display

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return [f"second_factor__{name}" for name in super().get_search_fields(request)]

    @admin.display(description=_("user"), ordering="second_factor__user")
    def user(self, passkey: Passkey) -> "_User":
        return passkey.second_factor.user

    @admin.display(description=_("provider"))
    def provider(self, passkey: Passkey) -> str:
        return passkey.provider


@admin.register(SecurityEvent)
class SecurityEventAdmin(ReadOnlyAdmin):
    list_display = ("when", "kind", "user", "ip_address", "browser")
    list_filter = ("kind",)
    list_select_related = ("user",)
    fields = ("user", "kind", "when", "ip_address", "browser", "user_agent")

    @admin.display(description=_("when"), ordering="created_at")
    def when(self, event: SecurityEvent) -> datetime:
        return event.created_at

    @admin.display(description=_("IP address"), ordering="ip")
    def ip_address(self, event: SecurityEvent) -> str | None:
        return event.ip
