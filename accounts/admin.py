"""Users in the admin: whoever has a session alone, or few permissions, gets no further by it."""

import logging
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.admin import EmailAddressAdmin as AllauthEmailAddressAdmin
from allauth.account.models import EmailAddress
from allauth.core import context
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from twofactor import sessions
from twofactor.events import log
from twofactor.reauthentication import way_to_proof

logger = logging.getLogger("accounts")


class PasswordByStaffForm(AdminPasswordChangeForm):
    """Django's; and the owner is signed out everywhere, and told."""

    def save(self, commit: bool = True) -> User:
        user, adapter, request = super().save(commit), get_adapter(), context.request
        sessions.end_all(user)
        adapter.send_notification_mail("account/email/password_changed", user)
        ip = adapter.get_client_ip(request)
        log(logger, logging.INFO, "password_set_by_staff", user=user.pk, staff=request.user.pk, ip=ip)
        return user


class ProvedChanges(admin.ModelAdmin):
    """Whatever is posted takes a proof: on a session alone, one makes oneself a way in that outlasts the session."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return self._way_to_proof(request) or super().changelist_view(request, extra_context)

    def changeform_view(self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        # An empty form asks before it is filled in, since nothing that is posted without a proof is kept.
        elsewhere = way_to_proof(request) if object_id is None else self._way_to_proof(request)
        return elsewhere or super().changeform_view(request, object_id, *args, **kwargs)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        return self._way_to_proof(request) or super().delete_view(request, object_id, extra_context)

    def _way_to_proof(self, request: HttpRequest) -> HttpResponse | None:
        return way_to_proof(request) if request.method == "POST" else None


class SuperusersChange(ProvedChanges):
    """By a group, or by the address that a reset goes to, other staff would come to more than they were given."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser and super().has_change_permission(request, obj)


admin.site.unregister([Group, EmailAddress])


@admin.register(Group)
class GroupAdmin(SuperusersChange, DjangoGroupAdmin):
    pass


@admin.register(EmailAddress)
class EmailAddressAdmin(SuperusersChange, AllauthEmailAddressAdmin):
    pass


@admin.register(User)
class UserAdmin(ProvedChanges, DjangoUserAdmin):
    """Django's, without a username; what makes somebody powerful is for superusers."""

    ordering = ("email",)
    list_display = ("email", "full_name", "is_staff", "is_active", "has_2fa")
    list_filter = ("is_staff", "is_superuser", "is_active")
    search_fields = ("email", "full_name")
    powers = ("is_staff", "is_superuser", "groups", "user_permissions")
    fieldsets = [
        (None, {"fields": ("email", "password", "full_name")}),
        (_("Permissions"), {"fields": ("is_active", *powers)}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    ]
    add_fieldsets = [
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "full_name", "usable_password", "password1", "password2"),
            },
        )
    ]
    readonly_fields = ("last_login", "date_joined")
    change_password_form = PasswordByStaffForm

    @admin.display(boolean=True, description=_("2FA"))
    def has_2fa(self, user: User) -> bool:
        return hasattr(user, "authenticator")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, *self.powers)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return self._may_touch(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return self._may_touch(request, obj) and super().has_delete_permission(request, obj)

    def _may_touch(self, request: HttpRequest, user: User | None) -> bool:
        return request.user.is_superuser or user is None or not user.is_superuser

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 - as Django names it
        """Django's, for somebody else, after a proof: one's own password is changed with the old one."""
        user = self.get_object(request, unquote(id))
        if user == request.user:
            self.message_user(request, _("Your own password is changed here, and not in the admin."), messages.ERROR)
            return redirect("account_change_password")
        if elsewhere := way_to_proof(request):
            return elsewhere
        key = request.session.session_key
        response = super().user_change_password(request, id, form_url)
        # Django gives the session that did it a new key, whosever password it was.
        sessions.keep_listed(request, key)
        return response
