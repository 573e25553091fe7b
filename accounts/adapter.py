"""This site's allauth adapter: addresses, limits of wrong passwords, emails, and redirects to this host only."""

import logging
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from allauth.account import app_settings
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress
from allauth.account.utils import user_pk_to_url_str
from allauth.core import context
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import lazy
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from accounts import addresses, email_limits, password_limits
from accounts.backends import cached_owner
from accounts.models import User
from twofactor import known_browsers, limits, mail
from twofactor.account import AccountAdapter as TwofactorAccountAdapter
from twofactor.events import log
from twofactor.fields import in_words
from twofactor.models.limit import limit_key

logger = logging.getLogger("accounts")
PASSWORDS_OF_SOURCE = (10, 60)  # wrong passwords, and seconds


class AccountAdapter(TwofactorAccountAdapter):
    error_messages = {
        **TwofactorAccountAdapter.error_messages,
        "duplicate_email": _("You've already added this address."),
        "email_password_mismatch": _("Incorrect email or password."),
        "enter_current_password": _("Incorrect password. Try again."),
    }

    def save_user(self, request: Any, user: Any, form: Any, commit: bool = True) -> Any:
        user.full_name = form.cleaned_data.get("full_name", "")
        user.language = get_language() or ""
        return super().save_user(request, user, form, commit)

    # --- Addresses ----------------------------------------------------------------------------

    def clean_email(self, email: str) -> str:
        """Reject a new address that is not canonical, or too long in lower case."""
        if not addresses.is_canonical(email) or len(email) > EmailAddress._meta.get_field("email").max_length:
            raise ValidationError(addresses.INVALID, code=EmailValidator.code)
        return super().clean_email(email)

    def confirm_email(self, request: Any, email_address: EmailAddress) -> bool:
        """Give the address to the confirming account. If another account has it, add a message and return False."""
        try:
            with transaction.atomic():
                addresses.prepare_confirmation(email_address)
                return super().confirm_email(request, email_address)
        # The database rejects one of two parallel confirmations. The account may be removed at the same time.
        except (addresses.Taken, IntegrityError, User.DoesNotExist):
            self.add_message(request, messages.ERROR, message=str(addresses.TAKEN))
            return False

    def can_delete_email(self, email_address: EmailAddress) -> bool:
        """Keep the address in `User.email`, which is the primary one."""
        return email_address.email != email_address.user.email and super().can_delete_email(email_address)

    def get_email_verification_redirect_url(self, email_address: EmailAddress) -> str:
        if self.request.user.pk == email_address.user_id:
            return reverse("account_email")
        return super().get_email_verification_redirect_url(email_address)

    def is_safe_url(self, url: str) -> bool:
        """Allow redirects to this host only. allauth would accept every allowed host and trusted origin."""
        request = context.request
        return url_has_allowed_host_and_scheme(
            url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        )

    def is_ajax(self, request: Any) -> bool:
        """Return False always, because allauth's JSON responses contain what was typed, including the password."""
        return False

    def authentication_failed(self, request: Any, **credentials: Any) -> None:
        log(logger, logging.WARNING, "password_refused", ip=self.get_client_ip(request))

    def pre_authenticate(self, request: Any, **credentials: Any) -> None:
        """Charge the limits of wrong passwords before the password is checked. Raise ValidationError at a limit."""
        self._charged: list[limits.Tries] = []
        for tries in sign_in_tries(request, credentials.get("email", "")):
            if not tries.charge():
                limits.give_back(*self._charged)
                raise too_many_tries(tries.wait())
            self._charged.append(tries)

    def authenticate(self, request: Any, **credentials: Any) -> Any:
        user = super().authenticate(request, **credentials)
        if user:
            limits.give_back(*self._charged)
        return user

    # --- Emails -------------------------------------------------------------------------------

    def send_confirmation_mail(self, request: Any, emailconfirmation: Any, signup: bool) -> None:
        """Send the email for a new account, or the one for a further address of an account."""
        claim = emailconfirmation.email_address
        is_new = addresses.is_new(claim.user)
        template = "email_confirmation_signup" if is_new else "email_confirmation"
        context = {
            "user": claim.user,
            "account": "" if is_new else addresses.masked(claim.user.email),
            "url": self.get_email_confirmation_url(request, emailconfirmation),
            "other_url": reverse("reject_email", args=[emailconfirmation.key]),
            "is_first": signup,
            "expires_in": app_settings.EMAIL_CONFIRMATION_EXPIRE_DAYS * 24 * 60 * 60,
        }
        self.send_mail(f"account/email/{template}", claim.email, context)

    def send_account_already_exists_mail(self, email: str) -> None:
        """Send a link that sets a new password, so that the owner does not have to request one."""
        if owner := addresses.owner_of(email):
            key = f"{user_pk_to_url_str(owner)}-{default_token_generator.make_token(owner)}"
            context = {"user": owner, "url": self.get_reset_password_from_key_url(key)}
            self.send_mail("account/email/account_already_exists", email, context)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send text and HTML in the language of the recipient, with links that start with SITE_URL.

        Drop an email over the limit without an error: the owner has the earlier ones, and a stranger learns nothing.
        """
        if not email_limits.charge(self.request, template_prefix, email, is_first=context.get("is_first", False)):
            return
        url = context.get("url") or context.get("password_reset_url") or context.get("signup_url")
        other_url = context.get("other_url")
        context = {
            **context,
            "site_name": settings.TWOFACTOR_ISSUER,
            "when": context.get("timestamp"),
            "url": site_link(url) if url else "",
            "other_url": site_link(other_url) if other_url else "",
            "valid_for": lazy(in_words, str)(context.get("expires_in", settings.PASSWORD_RESET_TIMEOUT)),
        }
        mail.send(f"{template_prefix}.html", context, user=context.get("user"), to=[email])

    def send_notification_mail(
        self, template_prefix: str, user: Any, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """Send a notification in the language of the user, unless the address is unconfirmed.

        Omit the IP address and the browser if staff made the change: they are not the owner's.
        """
        email = email or EmailAddress.objects.get_primary_email(user)
        if EmailAddress.objects.filter(user=user, email=email, verified=False).exists():
            return
        context = {"by_staff": False, **(context or {}), "user": user}
        if context["by_staff"]:
            context |= {"ip": "", "user_agent": ""}
        else:
            context.setdefault("url", reverse("account_reset_password"))
        super().send_notification_mail(template_prefix, user, context, email)


def sign_in_tries(request: HttpRequest, email: str) -> list[limits.Tries]:
    """Return the tries of this source, and those of the account for this browser, or of an address without one."""
    owner = cached_owner(request, email)
    if owner is None:
        account = password_limits.of_address(email)
    else:
        account = password_limits.of_account(owner, known_browsers.browser_id(request, owner))
    return [limits.Tries(limit_key("passwords_source", limits.source_of(request)), *PASSWORDS_OF_SOURCE), account]


def too_many_tries(seconds: int) -> ValidationError:
    """Return the error of a sign-in whose password was not checked. The form reads `seconds` from its params."""
    message = _("Too many attempts. Try again in %(wait)s, or reset your password.")
    params = {"wait": in_words(seconds), "seconds": seconds}
    return ValidationError(message, code="too_many_login_attempts", params=params)


def site_link(url: str) -> str:
    """Return this URL with the scheme and host of SITE_URL."""
    site = urlsplit(settings.SITE_URL)
    return urlunsplit(urlsplit(url)._replace(scheme=site.scheme, netloc=site.netloc))
