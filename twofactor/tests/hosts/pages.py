"""Pages of a host that use the app's decorator and mixin. They are in twofactor/tests/urls.py."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.template import engines
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page
from django.views.decorators.http import require_POST
from django.views.generic import View

from twofactor.decorators import second_factor_required
from twofactor.mixins import SecondFactorRequiredMixin

HOST, REPORT, DELETE, ROW = "/host/", "/host/report/", "/host/delete/", "/host/row/"
BY_CLASS, ONE, ELSEWHERE = "/host/class/", "/host/one/7/", "/host/elsewhere/"
WRAPPED, DISPATCH, CACHED, STRICT = "/host/wrapped/", "/host/dispatch/", "/host/cached/", "/host/strict/"

deleted = []  # notes posted to `delete`

PAGE = """
{% extends base_template|default:"twofactor/base.html" %}
{% block title %}{{ title }}{% endblock %}
{% block content %}
  <section id="panel" aria-labelledby="panel-title">
    <h1 id="panel-title" tabindex="-1">{{ title }}</h1>
    {% include "twofactor/_notices.html" %}
    <a href="/host/report/">Report</a>
    <table><tr><td id="row">
      <button type="button" hx-get="/host/row/" hx-target="#row" hx-swap="innerHTML" hx-disabled-elt="this">
        Load the row
      </button>
    </td></tr></table>
    <form method="post" action="/host/delete/">
      {% csrf_token %} <label>Note <input name="note"></label> <button>Delete</button>
    </form>
  </section>
{% endblock %}
"""


def page(request, title):
    return HttpResponse(engines["django"].from_string(PAGE).render({"title": title}, request))


def index(request):
    return page(request, "Host")


@second_factor_required
def report(request):
    return page(request, "Report")


@second_factor_required(max_age=120)
@require_POST
def delete(request):
    deleted.append(request.POST["note"])
    messages.success(request, "Deleted.")
    return redirect(HOST)


@second_factor_required
def row(request):
    return HttpResponse("the row")


@second_factor_required(max_age=60)
def one(request, pk):
    return HttpResponse(f"number {pk}")


@second_factor_required(passkey=True)
def strict(request):
    return HttpResponse("by passkey")


@second_factor_required(setup_url="account_email")
def elsewhere(request):
    return HttpResponse("elsewhere")


class ByClass(SecondFactorRequiredMixin, View):
    second_factor_max_age = 120

    def get(self, request):
        return HttpResponse("by class")


class Plain(View):
    def get(self, request):
        return HttpResponse("plain")


@method_decorator(second_factor_required(max_age=120), name="dispatch")
class Dispatch(Plain):
    pass


urlpatterns = [
    path("host/", index),
    path("host/report/", report),
    path("host/delete/", delete),
    path("host/row/", row),
    path("host/class/", ByClass.as_view()),
    path("host/wrapped/", second_factor_required(max_age=120)(Plain.as_view())),
    path("host/dispatch/", Dispatch.as_view()),
    path("host/cached/", cache_page(60)(report)),
    path("host/one/<int:pk>/", one),
    path("host/elsewhere/", elsewhere),
    path("host/strict/", strict),
]
