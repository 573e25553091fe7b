"""The log: one JSON object per line, with request and user, and without secrets."""

import io
import json
import logging
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as site
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.http import HttpResponse
from django.utils.module_loading import import_string

from twofactor.events import log as log_event
from twofactor.tests.constants import PASSWORD, VERIFY_LOGIN
from twofactor.tests.helpers import code_now, give_password, new_client, sign_in, wrong_code

INJECTIONS = ["x\r\n{}", "x\u2028y", "x\x85y\x1b[2J", '"}\n{"level": "INFO"', "\0", "\ud800"]
ID = "5c0b7a9e-1f2d-4e3c-8b6a-7d8e9f0a1b2c"


def formatter_named(name):
    options = site.LOGGING["formatters"][name]
    return import_string(options["()"])(options.get("format"))


@pytest.fixture
def handler():
    """A handler with the site's JSON formatter that writes into a buffer."""
    made = logging.StreamHandler(io.StringIO())
    made.setFormatter(formatter_named("json"))
    logging.getLogger().addHandler(made)
    yield made
    logging.getLogger().removeHandler(made)


@pytest.fixture
def lines(handler):
    """Return a function that reads the lines logged so far."""
    return lambda: [json.loads(line) for line in handler.stream.getvalue().splitlines()]


def test_a_line_has_time_level_logger_message_and_traceback(lines):
    assert site.LOGGING["handlers"]["console"]["formatter"] == "json"
    try:
        int("two\nlines")
    except ValueError:
        logging.getLogger("twofactor").exception("path %s", "/x")
    (line,) = lines()
    assert (line["level"], line["logger"], line["message"]) == ("ERROR", "twofactor", "path /x")
    assert datetime.now(UTC) - datetime.fromisoformat(line["time"]) < timedelta(minutes=1)
    assert r"'two\nlines'" in line["traceback"]


def test_an_event_has_the_same_values_in_message_and_fields_and_overwrites_none(lines):
    log_event(logging.getLogger("twofactor"), logging.INFO, "turned_on", user=7, reason="lost a phone", time="never")
    (line,) = lines()
    assert line["message"] == "event=turned_on user=7 reason='lost a phone' time=never"
    assert (line["event"], line["user"], line["reason"]) == ("turned_on", 7, "lost a phone")
    assert line["time"].startswith("20")


def test_a_sign_in_is_logged_with_request_and_user_and_without_secrets(lines, user, second_factor, secret):
    client = new_client()
    wrong, right = wrong_code(secret), code_now(secret)
    give_password(client, user, password="wrong-" + PASSWORD)
    give_password(client, user)
    client.post(VERIFY_LOGIN, {"code": wrong})
    response = client.post(VERIFY_LOGIN, {"code": right})
    password, refused, signed_in = (line for line in lines() if "event" in line)
    assert password["event"] == "password_refused"
    assert (refused["event"], refused["user"], refused["factor"]) == ("code_refused", user.pk, "code")
    assert (signed_in["event"], signed_in["user"]) == ("signed_in", user.pk)
    assert signed_in["request"] == response["X-Request-ID"] != refused["request"]
    logged = json.dumps(lines())
    assert not [hidden for hidden in (PASSWORD, wrong, right, secret) if hidden in logged]


def test_messages_of_django_after_the_response_have_request_and_user(lines, user):
    response = sign_in(new_client(), user).get("/nowhere/")
    line = lines()[-1]
    assert (line["logger"], line["message"]) == ("django.request", "Not Found: /nowhere/")
    assert (line["request"], line["user"]) == (response["X-Request-ID"], user.pk)
    logging.getLogger("twofactor").warning("outside a request")
    assert not {"request", "user"} & lines()[-1].keys()


def test_logging_does_not_load_the_user(lines, rf, django_assert_num_queries, user):
    request = rf.get("/")
    request.session = sign_in(new_client(), user).session
    AuthenticationMiddleware(HttpResponse).process_request(request)
    with django_assert_num_queries(0):
        logging.getLogger("twofactor").warning("early", extra={"request": request})
    assert lines()[-1]["user"] is None
    assert request.user.is_authenticated
    logging.getLogger("twofactor").warning("later", extra={"request": request})
    assert lines()[-1]["user"] == user.pk


@pytest.mark.parametrize("injection", INJECTIONS)
def test_untrusted_input_cannot_start_a_new_line(handler, lines, injection):
    # A separate logger: pytest captures the others, and pytest-xdist cannot transfer a lone surrogate.
    logger = logging.getLogger("separate")
    logger.propagate = False
    logger.handlers = [handler]
    logger.warning("path %s", injection)
    log_event(logger, logging.WARNING, "example", reason=injection)
    words, fields = lines()
    assert words["message"] == f"path {injection}"
    assert fields["reason"] == injection


@pytest.mark.parametrize("injection", INJECTIONS)
def test_the_text_format_escapes_control_characters(injection):
    record = logging.makeLogRecord({"msg": "path %s", "args": (injection,)})
    assert formatter_named("line").format(record).isprintable()


@pytest.mark.parametrize(
    "path, token", [("/accounts/password/reset/key/", "1-abc-beef"), ("/confirm-email/", "MQ:s-i_g")]
)
@pytest.mark.parametrize("name", ["line", "json"])
def test_the_token_of_an_emailed_link_is_not_logged(path, token, name):
    record = logging.makeLogRecord({"msg": "Internal Server Error: %s", "args": (f"{path}{token}/",), "exc_info": None})
    line = formatter_named(name).format(record)
    assert token not in line
    assert path in line


@pytest.mark.parametrize("proxies, sent, is_kept", [
    (0, ID, False), (1, ID, True),
    *[(1, malformed, False) for malformed in ("", "short", "x" * 65, "12345678\n", "12345678é", "<script>alert")],
])  # fmt: skip
@pytest.mark.django_db
def test_a_request_id_is_taken_only_from_a_trusted_proxy_and_if_well_formed(settings, proxies, sent, is_kept):
    settings.TRUSTED_PROXY_COUNT = proxies
    ids = [new_client().get("/healthz", headers={"X-Request-ID": sent})["X-Request-ID"] for _ in range(2)]
    assert ids == [sent, sent] if is_kept else ids[0] != ids[1]
    assert is_kept or re.fullmatch("[0-9a-f]{32}", ids[0])
