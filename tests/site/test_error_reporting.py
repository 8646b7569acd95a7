"""What of a fault is sent, and what is kept back."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.conf import LazySettings

from scheduler_site import error_reporting
from scheduler_site.error_reporting import Reporter


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("cannot reach redis://:s3cret@broker:6379/0", "cannot reach redis://…@broker:6379/0"),
        ("cannot reach smtp://anna:p%40ss@mail:25", "cannot reach smtp://…@mail:25"),
        ("connection to host=db password=s3cret failed", "connection to host=db password=… failed"),
        ("it is the-known-secret here", "it is … here"),
        ("no room for <anna.b+c@mail.example.org>, sorry", "no room for <…>, sorry"),
        ("/admin/?q=anna%40example.org", "/admin/?q=…"),
        ("duplicate key\nDETAIL:  Key (name)=(Anna Berg) already exists.", "duplicate key\nDETAIL: …"),
        ("/confirm/abcdefghijklmnopqrstuvwxyz", "/confirm/…"),
        ("list index out of range", "list index out of range"),
    ],
)
def test_words_are_sent_without_what_is_nobodys_business(text: str, sent: str) -> None:
    assert Reporter(["the-known-secret"]).clean(text) == sent


def test_our_own_passwords_are_known_in_every_spelling(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.BROKER_URL = "redis://:p%40ssword@broker:6379/0"
    settings.EMAIL_HOST_PASSWORD, settings.METRICS_TOKEN = "of the mail", ""
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", "of-the-db")
    found = error_reporting.known_secrets()
    assert {"p%40ssword", "p@ssword", "of the mail", "of%20the%20mail", "of-the-db", settings.SECRET_KEY} <= {*found}
    assert "" not in found


def fault(line: int = 1, error: type[BaseException] = ValueError, logger: str = "runs.tasks", **facts: Any) -> Any:
    record = logging.makeLogRecord({"name": logger, **facts})
    frames = [{"abs_path": "a.py", "lineno": line}]
    event: Any = {"exception": {"values": [{"type": error.__name__, "stacktrace": {"frames": frames}}]}}
    return event, {"exc_info": (error, error(), None), "log_record": record}


def test_the_same_fault_is_sent_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Reporter([])
    faults = [fault(), fault(), fault(2), fault(error=KeyError), fault(run=1), fault(run=1), fault(run=2)]
    assert [reporter.before_send(*one) is not None for one in faults] == [True, False, True, True, True, False, True]
    monkeypatch.setattr(error_reporting, "AGAIN_SECONDS", 0)
    assert reporter.before_send(*fault()) is not None


def test_what_is_no_fault_is_not_sent() -> None:
    reporter = Reporter([])
    assert reporter.before_send(*fault(error=KeyboardInterrupt)) is None
    assert reporter.before_send(*fault(logger="django.security.DisallowedHost")) is None
    assert (
        reporter.before_send({}, {"log_record": logging.makeLogRecord({"msg": "an error without a traceback"})}) is None
    )
