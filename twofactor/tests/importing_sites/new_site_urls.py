from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpResponse
from django.urls import include, path


class Adapter(DefaultAccountAdapter):
    def get_login_stages(self):
        return [*super().get_login_stages(), "twofactor.stages.VerifyStage"]


urlpatterns = [
    path("2fa/", include("twofactor.urls")),
    path("", include("allauth.urls")),
    path("", lambda request: HttpResponse("home")),
]
