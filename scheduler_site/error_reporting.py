"""Sends faults of the code to a Sentry server: what the log shows with a traceback, and nothing else.

What was refused, or failed in plain words, is an outcome and no fault; it is never logged with a traceback. The log is the
one way in: the SDK's own integrations would hook into each query, message and page, and see what people typed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, unquote, urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.urls import Resolver404, resolve

from scheduler_site.logged_tokens import hide

if TYPE_CHECKING:
    from logging import LogRecord

    from sentry_sdk.types import Event, Hint

AGAIN_SECONDS = 600
"""The same fault is sent at most once in this time by one process: a beat may meet it at every tick."""
_TAGS = ("run", "attempt", "kind")
_NOT_FAULTS = (KeyboardInterrupt, SystemExit)
_NOT_OURS = ("django.security",)
"""Strangers send wrong host names all day; Django logs each with a traceback."""
_SHORTEST_SECRET = 6
_HIDDEN = "…"
_ADDRESS = re.compile(r"[^\s<>\"'(),;:=/?&\[\]{}]+(?:@|%40)[\w.-]+\.\w+")
_CREDENTIALS = re.compile(r"(?<=://)[^\s/@]*:[^\s/]*@")
_NAMED_SECRET = re.compile(r"(?i)\b(pass(?:word|wd)?|secret|token|api_?key)(\s*[=:]\s*)[^\s,;&]+")
_ROW = re.compile(r"(?m)^(\s*DETAIL:).*$")
"""What PostgreSQL says about the row that it refused."""


def begin(dsn: str) -> None:
    """Called once in each process; does nothing, and imports nothing, where no address is set."""
    if not dsn:
        return
    import sentry_sdk
    from celery.signals import worker_process_shutdown
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.dedupe import DedupeIntegration
    from sentry_sdk.integrations.excepthook import ExcepthookIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration
    from sentry_sdk.integrations.threading import ThreadingIntegration

    reporter = Reporter(known_secrets())
    sentry_sdk.init(
        dsn=dsn,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            LoggingIntegration(level=None, sentry_logs_level=None),
            ExcepthookIntegration(),
            ThreadingIntegration(propagate_scope=False),
            DedupeIntegration(),
            AtexitIntegration(callback=lambda pending, timeout: None),
        ],
        before_send=reporter.before_send,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        traces_sample_rate=None,
        propagate_traces=False,
        auto_session_tracking=False,
        send_client_reports=False,
        enable_metrics=False,
        enable_backpressure_handling=False,
        spotlight=False,
    )
    worker_process_shutdown.connect(_send_the_rest, weak=False)


def _send_the_rest(**_: Any) -> None:
    """A process of a worker's pool ends without the rites that would do it."""
    import sentry_sdk

    sentry_sdk.flush(timeout=2)


def known_secrets() -> list[str]:
    """What our own settings hold and nobody else may read, the longest first, also as it looks in an address."""
    urls = (settings.BROKER_URL, settings.REPORTS_DATABASE_URL, settings.BOUNCE_MAILBOX_URL)
    found = {
        settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS, settings.METRICS_TOKEN, settings.EMAIL_HOST_PASSWORD,
        settings.DKIM_KEY, *settings.ALERT_URLS, settings.WATCHDOG_PING_URL, *settings.ANYMAIL.values(),
        *(str(database.get("PASSWORD") or "") for database in settings.DATABASES.values()),
        *(urlsplit(url).password or "" for url in urls),
    }  # fmt: skip
    spelled = {way for one in found for way in (one, quote(one, safe=""), unquote(one))}
    return sorted((one for one in spelled if len(one) >= _SHORTEST_SECRET), key=len, reverse=True)


class Reporter:
    """Decides what is sent, and what of it."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)
        self._sent: dict[object, float] = {}

    def before_send(self, event: Event, hint: Hint) -> Event | None:
        """The event without what is nobody's business outside; None where it is no fault, or was sent a moment ago."""
        record: LogRecord | None = hint.get("log_record")
        error = (hint.get("exc_info") or (None,))[0]
        if error is None or issubclass(error, _NOT_FAULTS):
            return None
        if record is not None and record.name.startswith(_NOT_OURS):
            return None
        for unwanted in ("extra", "user", "breadcrumbs", "request"):
            cast(dict[str, Any], event).pop(unwanted, None)
        cast(dict[str, Any], event.get("logentry", {})).pop("params", None)
        tags = {name: str(getattr(record, name)) for name in _TAGS if hasattr(record, name)}
        if isinstance(request := getattr(record, "request", None), HttpRequest):
            event["transaction"] = _page(request)
            tags["method"] = str(request.method)
            event["logentry"] = {"message": "A page could not be shown", "formatted": "A page could not be shown"}
        event["tags"] = {**event.get("tags", {}), **tags}
        if self._was_sent(event, tags.get("run", "")):
            return None
        cleaned: Event = self._clean(event)
        return cleaned

    def clean(self, text: str) -> str:
        """The text without passwords, addresses of people, and the keys in the links of mails."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        text = _CREDENTIALS.sub(f"{_HIDDEN}@", hide(text))
        text = _NAMED_SECRET.sub(rf"\1\2{_HIDDEN}", _ROW.sub(rf"\1 {_HIDDEN}", text))
        return _ADDRESS.sub(_HIDDEN, text)

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, dict):
            return {name: self._clean(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(one) for one in value]
        return value

    def _was_sent(self, event: Event, run: str) -> bool:
        """Whether this process has sent the same fault of the same run, or of no run, a moment ago."""
        key = (run, *_place(event))
        now = time.monotonic()
        if now - self._sent.get(key, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return True
        self._sent = {known: at for known, at in self._sent.items() if now - at < AGAIN_SECONDS} | {key: now}
        return False


def _page(request: HttpRequest) -> str:
    """Which page it was; not what was asked of it, which may be a search for somebody or the key in a mail's link."""
    try:
        return f"/{resolve(request.path_info).route}"
    except Resolver404:
        return "an address that leads nowhere"


def _place(event: Event) -> tuple[object, ...]:
    """The kind of the fault and the line it came from."""
    last = event.get("exception", {}).get("values", [{}])[-1]
    frames = (last.get("stacktrace") or {}).get("frames") or [{}]
    return last.get("type"), frames[-1].get("abs_path"), frames[-1].get("lineno")
