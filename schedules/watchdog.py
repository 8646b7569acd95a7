"""The watchdog: compares what should have happened with what did, tells people, and never trusts a single process.

A thread of every beat and of every worker's main process takes part; the database lets one of them check at a time. So
it dies neither with the beats, nor with the workers, nor with the broker. ``manage.py watchdog`` does the same from an
outside timer.
"""

from __future__ import annotations

import logging
import threading
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Q
from django.utils.dateparse import parse_datetime

from runs import alerts, clock, duties
from runs.models import Heartbeat
from schedules import expectations, findings
from schedules.findings import Finding as Finding

logger = logging.getLogger(__name__)

NAME = "watchdog"
PREFIX = "watchdog:"
CHECK_SECONDS = 15
START_SECONDS = 30
"""A process that has just started waits, so that the others can start as well before anybody is told."""
PING_SECONDS = 60
PING_TIMEOUT = 5
FORGET_AFTER = timedelta(days=1)
"""A process that was not seen for so long is not coming back under its name."""


@dataclass(frozen=True)
class Report:
    """What one check found."""

    findings: list[Finding]
    position: expectations.Position
    is_complete: bool = field(default=True)
    """Whether every check could be made; when not, what it would have found is unknown."""

    @property
    def has_error(self) -> bool:
        return any(finding.is_error for finding in self.findings)


def check(now: datetime) -> list[Finding]:
    """Everything that is not as it should be; only reads."""
    return examine(now).findings


def examine(now: datetime) -> Report:
    """As :func:`check`, with what the next check needs to go on from here."""
    found: list[Finding] = []
    position = _position(_details())
    is_complete = True
    for name, one in findings.CHECKS.items():
        try:
            found += one(now)
        except DatabaseError:
            raise
        except Exception as error:  # one faulty check must not hide what the others see
            logger.exception("the check %s cannot be made", name)
            is_complete = False
            found.append(
                Finding(f"fault:{name}", f"The watchdog cannot check “{name}”", f"{type(error).__name__}: {error}")
            )
    missing, position = expectations.compare(now, position)
    return Report(found + missing, position, is_complete)


def run_check() -> list[Finding] | None:
    """One check by whichever process is first in each period; None when it was another one's turn."""
    now = clock.now()
    if not _take_turn(now):
        return None
    duties.see_to_all(now)
    return act(now)


def act(now: datetime) -> list[Finding]:
    """Checks, keeps the alerts in step, tells people, and pings whoever waits to hear that all is well."""
    report = examine(now)
    for finding in report.findings:
        alerts.raise_alert(
            PREFIX + finding.key, finding.title, detail=finding.detail, level=finding.level,
            schedule_id=finding.schedule_id, owner_id=finding.owner_id, url=finding.url,
        )  # fmt: skip
    if report.is_complete:
        alerts.resolve_all_but(PREFIX, [PREFIX + finding.key for finding in report.findings])
    Heartbeat.objects.filter(role__in=("beat", "worker"), seen_at__lt=now - FORGET_AFTER).delete()
    details = _details() | {"after_id": report.position.after_id, "suspects": list(report.position.suspects)}
    is_time_to_ping = not report.has_error and _may_ping(details, now)
    if is_time_to_ping:
        details["pinged_at"] = now.isoformat()
    _keep(details, now)
    alerts.deliver()
    if is_time_to_ping:
        ping()
    return report.findings


def ping() -> None:
    """Tells the dead man's switch outside that all is well; when the pings end, it raises the alarm."""
    try:
        # The settings let only http and https through.
        with urllib.request.urlopen(settings.WATCHDOG_PING_URL, timeout=PING_TIMEOUT) as answer:  # noqa: S310
            answer.read(1)
    except (OSError, ValueError) as error:
        logger.warning("the ping of WATCHDOG_PING_URL failed (%s)", type(error).__name__)


def seconds_to_next() -> float:
    """How long until somebody should check again."""
    seen = Heartbeat.objects.filter(name=NAME).values_list("seen_at", flat=True).first()
    if seen is None:
        return 0.0
    due_in = CHECK_SECONDS - (clock.now() - seen).total_seconds()
    return min(max(due_in, 0.5), float(CHECK_SECONDS))


def _take_turn(now: datetime) -> bool:
    due = Q(seen_at__lte=now - timedelta(seconds=CHECK_SECONDS)) | Q(seen_at__gt=now + timedelta(seconds=CHECK_SECONDS))
    mine = Heartbeat.objects.filter(due, name=NAME)  # from the future: the database's clock was put back
    if mine.update(seen_at=now):
        return True
    _, is_new = Heartbeat.objects.get_or_create(
        name=NAME, defaults={"role": "watchdog", "started_at": now, "seen_at": now}
    )
    return is_new


def _details() -> dict[str, Any]:
    details = Heartbeat.objects.filter(name=NAME).values_list("details", flat=True).first()
    return details if isinstance(details, dict) else {}


def _keep(details: dict[str, Any], now: datetime) -> None:
    if not Heartbeat.objects.filter(name=NAME).update(details=details):  # the first check ever, from an outside timer
        Heartbeat.objects.get_or_create(
            name=NAME, defaults={"role": "watchdog", "started_at": now, "seen_at": now, "details": details}
        )


def _position(details: dict[str, Any]) -> expectations.Position:
    return expectations.Position(int(details.get("after_id", 0)), tuple(details.get("suspects", ())))


def _may_ping(details: dict[str, Any], now: datetime) -> bool:
    if not settings.WATCHDOG_PING_URL:
        return False
    last = parse_datetime(str(details.get("pinged_at", "")))
    return last is None or not timedelta(0) <= now - last < timedelta(seconds=PING_SECONDS)


class WatchdogThread(threading.Thread):
    """Takes part in the checks as long as its process lives; no outage ends it, and it holds up neither start nor stop."""

    def __init__(self) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._stopped = threading.Event()
        self._is_out = False

    def stop(self) -> None:
        """Ends it after the check in hand, without waiting for that."""
        self._stopped.set()

    def run(self) -> None:
        wait: float = START_SECONDS
        while not self._stopped.wait(wait):
            wait = self._pass()

    def _pass(self) -> float:
        try:
            run_check()
            wait = seconds_to_next()
            if self._is_out:
                self._is_out = False
                logger.info("the watchdog can check again")
            return wait
        except Exception as error:
            if not self._is_out:
                self._is_out = True
                logger.warning("the watchdog cannot check (%s: %s); trying again", type(error).__name__, error)
            return CHECK_SECONDS / 3
        finally:
            # A worker's pool may fork at any time; no child shall inherit a connection that is in use.
            connection.close()
