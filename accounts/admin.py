from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.utils.translation import gettext_lazy as _

from accounts.models import User


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Django's, without a username."""

    ordering = ("email",)
    list_display = ("email", "full_name", "is_staff", "is_active", "has_2fa")
    list_filter = ("is_staff", "is_superuser", "is_active")
    search_fields = ("email", "full_name")
    fieldsets = [
        (None, {"fields": ("email", "password", "full_name")}),
        (
            _("Permissions"),
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
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

    @admin.display(boolean=True, description=_("2FA"))
    def has_2fa(self, user: User) -> bool:
        return hasattr(user, "authenticator")
