"""The sign-up page."""

from typing import Any

from allauth.account import views as allauth_views

from accounts import confirmation


class SignupView(allauth_views.SignupView):
    """allauth's view. With `?again=1` it starts with the name and address of the last sign-up in this browser."""

    def get_initial(self) -> dict[str, Any]:
        awaited = confirmation.awaited(self.request) if "again" in self.request.GET else {}
        return {**super().get_initial(), **awaited}
