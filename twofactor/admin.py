"""The admin lists second factors and security events, and turns 2FA off. It shows no secrets, digests or counters."""

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from twofactor.models import SecondFactor, SecurityEvent
from twofactor.reauthentication import required_step_up_url
from twofactor.support import reset
from twofactor.users import identifying_fields


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # Django has no __class_getitem__ here
    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return [f"user__{name}" for name in identifying_fields()]

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


class ReasonForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), max_length=200, widget=forms.TextInput(attrs={"size": 60}))


@admin.register(SecondFactor)
class SecondFactorAdmin(ReadOnlyAdmin):
    list_display = ("user", "created_at", "updated_at")
    list_select_related = ("user",)
    fields = ("user", "created_at", "updated_at")
    actions = ("turn_off",)

    def has_reset_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("twofactor.delete_secondfactor")

    @admin.action(description=_("Turn two-factor authentication off, with a reason"), permissions=["reset"])
    def turn_off(self, request: HttpRequest, queryset: QuerySet[SecondFactor]) -> HttpResponse | None:
        rows = queryset.select_related("user")
        if refusal := self._refuse_protected_users(request, rows):
            return refusal
        if url := required_step_up_url(request):
            return redirect(url)
        form = ReasonForm(request.POST if "reason" in request.POST else None)
        if form.is_valid():
            turned_off = sum(reset(row.user, reason=form.cleaned_data["reason"], request=request) for row in rows)
            message = ngettext("Turned off for %d user.", "Turned off for %d users.", turned_off) % turned_off
            self.message_user(request, message, messages.SUCCESS)
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": _("Turn two-factor authentication off"),
            "form": form,
            "rows": rows,
            "checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "twofactor/admin/turn_off.html", context)

    def _refuse_protected_users(self, request: HttpRequest, rows: QuerySet[SecondFactor]) -> HttpResponse | None:
        """Redirect to the settings page if the staff member is selected.

        Raise PermissionDenied if a superuser is selected and the staff member is none.
        """
        users = [row.user for row in rows]
        if request.user in users:
            message = _("Your own two-factor authentication is managed here, and not in the admin.")
            self.message_user(request, message, messages.ERROR)
            return redirect("twofactor:settings")
        if not request.user.is_superuser and any(getattr(user, "is_superuser", False) for user in users):
            raise PermissionDenied
        return None


@admin.register(SecurityEvent)
class SecurityEventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "kind", "user", "ip", "browser")
    list_filter = ("kind",)
    list_select_related = ("user",)
    fields = ("user", "kind", "created_at", "ip", "user_agent")
