from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("People")

    def ready(self) -> None:
        from allauth.account.signals import password_reset, user_logged_in
        from allauth.usersessions import signals as allauth_signals

        from accounts import receivers

        # allauth's receiver loads all of the user's sessions at each sign-in. create_user_session inserts one row.
        user_logged_in.disconnect(allauth_signals.on_user_logged_in)
        user_logged_in.connect(receivers.create_user_session)
        user_logged_in.connect(receivers.forget_awaited_address)
        user_logged_in.connect(receivers.restore_session_age)
        password_reset.connect(receivers.clear_wrong_passwords)
