"""Users, groups and email addresses in the admin. `accounts/admin_site.py` requires step-up for every change."""

import logging
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from accounts import addresses, deletion, staff
from accounts.models import User
from twofactor import sessions
from twofactor.admin import ReadOnlyAdmin, SecondFactorMixin
from twofactor.events import log

logger = logging.getLogger("accounts")


class StaffPasswordChangeForm(AdminPasswordChangeForm):
    """Set another user's password, end that user's sessions, and send a notification by email."""

    def save(self, commit: bool = True) -> User:
        user = super().save(commit)
        request = context.request
        sessions.end_all(user)
        staff.notify_owner(user, "account/email/password_changed")
        ip = get_adapter().get_client_ip(request)
        log(logger, logging.INFO, "password_set_by_staff", user=user.pk, staff=request.user.pk, ip=ip)
        return user


class AvailableEmailMixin(forms.ModelForm):
    """Refuse an address that another account has, in `User.email` or in `EmailAddress`."""

    def clean_email(self) -> str:
        email = self.cleaned_data["email"].lower()
        if email == self.instance.email:
            return email
        if staff.is_taken(email, user=self.instance):
            raise forms.ValidationError(User._meta.get_field("email").error_messages["unique"], code="unique")
        return get_adapter().clean_email(email)

    def validate_unique(self) -> None:
        """Skip Django's check: it would also refuse the address of an unused sign-up. No other field is unique."""


class UserForm(AvailableEmailMixin, UserChangeForm):
    class Meta(UserChangeForm.Meta):
        model = User

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "email" in self.fields:  # missing if it is read-only
            self.fields["email"].help_text = _(
                "A new address counts as confirmed. The user is signed out everywhere, and both addresses get an email."
            )


class NewUserForm(AvailableEmailMixin, AdminUserCreationForm):
    class Meta(AdminUserCreationForm.Meta):
        model = User
        fields = ("email",)


admin.site.unregister([Group, EmailAddress, UserSession])


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin):
    """Only superusers change groups. Otherwise staff could escalate their own privileges."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return request.user.is_superuser


@admin.register(EmailAddress)
class EmailAddressAdmin(ReadOnlyAdmin):
    """Read-only. Superusers change an address in the form of its user, which writes both records of it."""

    list_display = ("email", "user", "primary", "verified")
    list_filter = ("primary", "verified")
    list_select_related = ("user",)

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        return ["email", *super().get_search_fields(request)]


@admin.register(User)
class UserAdmin(SecondFactorMixin, DjangoUserAdmin):
    """Users without a username.

    To prevent privilege escalation, only superusers change permissions, groups and addresses. Superusers
    cannot change their own address here.
    """

    ordering = ("email",)
    list_display = ("email", "full_name", "is_staff", "is_active", "has_2fa")
    list_filter = ("is_staff", "is_superuser", "is_active")
    search_fields = ("email", "full_name")
    privilege_fields = ("is_staff", "is_superuser", "groups", "user_permissions")
    fieldsets = [
        (None, {"fields": ("email", "password", "full_name")}),
        (_("Permissions"), {"fields": ("is_active", *privilege_fields)}),
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
    form = UserForm
    add_form = NewUserForm
    change_password_form = StaffPasswordChangeForm

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = [*super().get_readonly_fields(request, obj)]
        if not request.user.is_superuser:
            fields += self.privilege_fields
        if obj and (obj == request.user or not request.user.is_superuser):
            fields += ["email"]
        return fields

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save the user, and the address in both `User.email` and `EmailAddress`."""
        email = obj.email
        if change:
            obj.email = form.initial.get(
                "email", email
            )  # change_address() saves the new one. A read-only email is not in the form.
        super().save_model(request, obj, form, change)
        if not change and request.user.is_superuser:
            addresses.confirm_primary(obj)
        elif not change:
            EmailAddress.objects.create(user=obj, email=obj.email, primary=True)
        elif obj.email != email:
            staff.change_address(obj, email)
            ip = get_adapter().get_client_ip(request)
            log(logger, logging.INFO, "address_changed_by_staff", user=obj.pk, staff=request.user.pk, ip=ip)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return self._may_change(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return self._may_change(request, obj) and super().has_delete_permission(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Show the last superuser as protected."""
        deleted, counts, perms_needed, protected = super().get_deleted_objects(objs, request)
        if not perms_needed and deletion.leaves_no_superuser(user.pk for user in objs):
            protected.append(str(_("the last superuser")))
        return deleted, counts, perms_needed, protected

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        deletion.delete_by_staff(User.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        deletion.delete_by_staff(queryset)

    def _may_change(self, request: HttpRequest, user: User | None) -> bool:
        return request.user.is_superuser or user is None or not user.is_superuser

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 - as Django names it
        """Let staff set the passwords of other users only. Changing their own requires the old password."""
        user = self.get_object(request, unquote(id))
        if user == request.user:
            self.message_user(request, _("Change your own password here, not in the admin."), messages.ERROR)
            return redirect("account_change_password")
        key = request.session.session_key
        response = super().user_change_password(request, id, form_url)
        # Django cycles the session key of the staff member too, although the password is another user's.
        sessions.update_session_list(request, key)
        return response
