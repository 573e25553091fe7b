"""How this site uses allauth: the second factor's stage, mails that cannot be bent or block, own redirects only."""

import logging
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from django.conf import settings
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language, override
from django.utils.translation import gettext_lazy as _

from accounts import known_browsers
from twofactor import limits, mail
from twofactor.account import one_family
from twofactor.events import log

logger = logging.getLogger("accounts")
# What anybody can have sent to any address.
STRANGERS_MAILS = {
    f"account/email/{name}" for name in ("account_already_exists", "password_reset_key", "unknown_account")
}

# What the one link of a mail does, by its name in the context.
ACTIONS = {
    "activate_url": _("Confirm your address"),
    "password_reset_url": _("Choose a new password"),
    "signup_url": _("Sign up"),
}


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("That address and that password do not belong together."),
        "too_many_login_attempts": _("Too many tries. Wait a few minutes, or reset your password."),
        "incorrect_password": _("That is not your password."),
        "enter_current_password": _("That is not your password."),
    }

    def get_login_stages(self) -> list[str]:
        return [*super().get_login_stages(), "twofactor.stages.VerifyStage"]

    def save_user(self, request: Any, user: Any, form: Any, commit: bool = True) -> Any:
        user.full_name, user.language = form.cleaned_data.get("full_name", ""), get_language() or ""
        return super().save_user(request, user, form, commit)

    def is_safe_url(self, url: str) -> bool:
        """Lead people on to this very host only; allauth would take every allowed host and trusted origin."""
        request = context.request
        return url_has_allowed_host_and_scheme(
            url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        )

    def is_ajax(self, request: Any) -> bool:
        """Never: allauth's JSON gives back what was typed, the password included."""
        return False

    def get_client_ip(self, request: Any) -> str:
        """A socket for both families names IPv4 addresses ::ffff:a.b.c.d, which all lie in one IPv6 /64."""
        return one_family(super().get_client_ip(request))

    def authentication_failed(self, request: Any, **credentials: Any) -> None:
        log(logger, logging.WARNING, "password_refused", ip=self.get_client_ip(request))

    def _get_login_attempts_cache_key(self, request: Any, **credentials: Any) -> str:
        login = credentials.get("email", "")
        shared = super()._get_login_attempts_cache_key(request, **credentials)
        return f"{shared}:{known_browsers.known_as(request, login)}"

    def post_login(self, request: Any, user: Any, **kwargs: Any) -> Any:
        response = super().post_login(request, user, **kwargs)
        known_browsers.remember(request, response, user.email)
        return response

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Text and HTML, in its reader's language, links from SITE_URL, whatever a request said; sent beside it.

        Nobody is told that a mail was one too many: the owner finds those before it, and a stranger learns nothing.
        """
        if template_prefix in STRANGERS_MAILS and not limits.stranger_mail(self.request, template_prefix, email):
            return
        links = {name: on_this_site(value) for name, value in context.items() if name.endswith("_url")}
        context = {**context, **links, "site_name": settings.TWOFACTOR_ISSUER}
        with override(mail.language_of(context.get("user"))):
            message = self.render_mail(template_prefix, email, context)
            mail.add_html(message, **action_of(message.body.splitlines(), links))
        mail.post(message)

    def send_notification_mail(
        self, template_prefix: str, user: Any, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """As allauth does, telling `send_mail` whom it is for."""
        super().send_notification_mail(template_prefix, user, {**(context or {}), "user": user}, email)


def action_of(lines: list[str], links: dict[str, str]) -> dict[str, str]:
    """Return the one link that stands among these lines, and what it does; nothing where there is none."""
    for name, words in ACTIONS.items():
        if links.get(name) in lines:
            return {"url": links[name], "words": str(words)}
    return {}


def on_this_site(url: str) -> str:
    """The same path, at SITE_URL."""
    site, parts = urlsplit(settings.SITE_URL), urlsplit(url)
    return urlunsplit(parts._replace(scheme=site.scheme, netloc=site.netloc))
