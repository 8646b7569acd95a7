"""What the watchdog looks at: each check is a small function that only reads and says what it found.

Every check costs about the same with ten schedules and with a hundred thousand: it asks an index, and stops at LIMIT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from runs import canaries, queue_pauses, words
from runs.addresses import page
from runs.models import Alert, Heartbeat, Run
from runs.states import WAITING, State
from schedules import status, targets
from schedules.models import Schedule

LIMIT = 1000
"""Rows that one check looks at; when there are more, it says "more than"."""
ONE_BY_ONE = 20
"""Up to here each schedule has an alert of its own; beyond it they are summed up in one."""
FIRST_NAMES = 3
LATE = timedelta(seconds=60)
UNCLAIMED = timedelta(seconds=90)
OVER_TIME = 120
"""Seconds beyond its time limit after which a run is stuck: its worker should have ended it."""
BEAT_SILENT = timedelta(seconds=15)
WORKER_SILENT = timedelta(seconds=60)
CANARIES_SILENT = timedelta(seconds=90)
SKEW_SECONDS = 1.0

ERROR = str(Alert.Level.ERROR)
WARNING = str(Alert.Level.WARNING)

_Row = TypeVar("_Row", bound=Model)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    key: str
    """The same problem has the same key each time."""
    title: str
    """What is wrong, in words that stay the same while it lasts."""
    detail: str = ""
    """How much of it, and where."""
    level: str = ERROR
    schedule_id: int | None = None
    owner_id: int | None = None
    url: str = ""

    @property
    def is_error(self) -> bool:
        return self.level == ERROR


def late(now: datetime) -> Iterator[Finding]:
    """Schedules whose due time has passed without any beat deciding it."""
    overdue = Schedule.objects.filter(next_due_at__lt=now - LATE).order_by("next_due_at")
    if rows := _some(overdue.select_related("periodic_task").only("next_due_at", "periodic_task__name")):
        oldest = words.duration(now - (rows[0].next_due_at or now))
        yield Finding(
            "late", "Schedules are not being started",
            f"{_counted(rows, 'schedule')} overdue, for up to {oldest}: {_names(row.name for row in rows)}",
            url=page("admin:schedules_schedule_changelist"),
        )  # fmt: skip


def unpublished(now: datetime) -> Iterator[Finding]:
    """Planned runs that nobody could hand to the broker."""
    # Both conditions on the state: the first names the partial index, the second narrows it.
    waiting = Run.objects.filter(state__in=WAITING, next_publish_at__lt=now - LATE).filter(state=State.PLANNED)
    waiting = waiting.exclude(queue__in=queue_pauses.names())
    if rows := _some(waiting.order_by("next_publish_at").only("schedule_name", "target_label", "kind")):
        yield Finding(
            "unpublished", "Runs cannot be sent to the workers",
            f"{_counted(rows, 'run')} waiting; is the broker away? {_names(_run_name(row) for row in rows)}",
            url=page("admin:runs_run_changelist"),
        )  # fmt: skip


def unclaimed(now: datetime) -> Iterator[Finding]:
    """Runs that were sent, more than once, and that no worker has taken."""
    blocking = Run.objects.filter(schedule_id=OuterRef("schedule_id"), state=State.RUNNING, exclusive=True)
    sent = Run.objects.filter(state__in=WAITING, next_publish_at__isnull=False).filter(
        # A later attempt keeps the moment of the first sending: there the number of sendings tells.
        Q(attempt=0, publish_count__gte=2) | Q(attempt__gt=0, publish_count__gte=3),
        Q(not_before_at=None) | Q(not_before_at__lt=now - UNCLAIMED),
        state=State.PUBLISHED,
        published_at__lt=now - UNCLAIMED,
    )
    free = sent.filter(Q(exclusive=False) | Q(schedule_id=None) | ~Exists(blocking))
    free = free.exclude(queue__in=queue_pauses.names())
    by_queue: dict[str, list[Run]] = {}
    for row in _some(free.order_by("next_publish_at").only("queue", "schedule_name", "target_label", "kind")):
        by_queue.setdefault(row.queue, []).append(row)
    for queue, rows in sorted(by_queue.items()):
        is_busy = canaries.is_busy(queue, now)
        yield Finding(
            f"unclaimed:{queue}", f"No worker takes the runs of the queue {queue}",
            f"{_counted(rows, 'run')} sent and not taken{'; the workers are busy' if is_busy else ''}: "
            f"{_names(_run_name(row) for row in rows)}",
            level=WARNING if is_busy else ERROR, url=page("admin:runs_run_changelist"),
        )  # fmt: skip


def stuck(now: datetime) -> Iterator[Finding]:
    """Runs whose worker is silent and that nobody rescued, and runs far beyond their time limit."""
    facts = ("schedule_id", "schedule_name", "target_label", "kind", "started_at", "time_limit_seconds", "lease_until")
    running = Run.objects.filter(state=State.RUNNING, lease_until__isnull=False).only(*facts)
    rows = _some(running.order_by("lease_until"))
    if silent := [row for row in rows if row.lease_until is not None and row.lease_until < now - LATE]:
        yield Finding(
            "stuck", "Runs of a lost worker are not being taken up again",
            f"{_counted(silent, 'run')}: {_names(_run_name(row) for row in silent)}",
            url=page("admin:runs_run_changelist"),
        )  # fmt: skip
    overlong = [
        row for row in rows
        if row.started_at is not None and now - row.started_at > timedelta(seconds=row.time_limit_seconds + OVER_TIME)
    ]  # fmt: skip
    if overlong:
        yield Finding(
            "overtime", "Runs go on beyond their time limit",
            f"{_counted(overlong, 'run')}: {_names(_run_name(row) for row in overlong)}",
            url=page("admin:runs_run_change", overlong[0].pk),
        )  # fmt: skip


def processes(now: datetime) -> Iterator[Finding]:
    """At least one beat and one worker must show signs of life."""
    if not Heartbeat.objects.filter(role="beat", seen_at__gte=now - BEAT_SILENT).exists():
        yield Finding("beat", "No beat is running", f"Nothing is started until one is back. {_last_seen('beat', now)}")
    if not Heartbeat.objects.filter(role="worker", seen_at__gte=now - WORKER_SILENT).exists():
        yield Finding("worker", "No worker is running", f"Runs wait until one is back. {_last_seen('worker', now)}")


def queues(now: datetime) -> Iterator[Finding]:
    """Canaries: a message through each queue must be taken by a worker."""
    deaf, busy = canaries.unanswered(now)
    for queue in deaf:
        yield Finding(f"deaf:{queue}", f"No worker answers on the queue {queue}", "A test message was not taken.")
    for queue in busy:
        yield Finding(
            f"busy:{queue}", f"The workers of the queue {queue} have been busy for over 15 minutes",
            "New runs wait; start more workers if this happens often.", level=WARNING,
        )  # fmt: skip
    sender = Heartbeat.objects.filter(name=canaries.SENDER, seen_at__gte=now - CANARIES_SILENT)
    beats = Heartbeat.objects.filter(role="beat", seen_at__gte=now - BEAT_SILENT, started_at__lt=now - CANARIES_SILENT)
    if not sender.exists() and beats.exists():
        yield Finding(
            "unsent", "The broker takes no messages", "A beat is running, but its test messages could not be sent."
        )


def clocks(now: datetime) -> Iterator[Finding]:
    """Processes whose own clock differs from the database's."""
    alive = Heartbeat.objects.filter(role__in=("beat", "worker"), seen_at__gte=now - WORKER_SILENT).order_by("name")
    for row in alive[:LIMIT]:
        skew = row.details.get("skew_seconds") if isinstance(row.details, dict) else None
        if isinstance(skew, (int, float)) and abs(skew) > SKEW_SECONDS:
            direction = "ahead of" if skew > 0 else "behind"
            yield Finding(
                f"clock:{row.name}", f"The clock of {row.name} is wrong",
                f"It is {abs(skew):.1f} s {direction} the database's; synchronise it (NTP).", level=WARNING,
            )  # fmt: skip


def broken(now: datetime) -> Iterator[Finding]:
    """Schedules that cannot run until somebody mends them."""
    rows = _some(status.broken(Schedule.objects.all()).select_related("periodic_task").order_by("pk"))
    yield from each_or_together(
        "broken",
        rows,
        lambda row: f"“{row.name}” is broken",
        lambda row: row.broken_reason or targets.NO_TARGET,
        "Schedules are broken",
    )


CHECKS: dict[str, Callable[[datetime], Iterable[Finding]]] = {
    check.__name__: check for check in (late, unpublished, unclaimed, stuck, processes, queues, clocks, broken)
}


def each_or_together(
    key: str,
    rows: Sequence[Schedule],
    title: Callable[[Schedule], str],
    detail: Callable[[Schedule], str],
    together: str,
) -> Iterator[Finding]:
    """One finding per schedule, for its owner, up to ONE_BY_ONE; one for all the others."""
    for row in rows[:ONE_BY_ONE]:
        yield Finding(
            f"{key}:{row.pk}", title(row)[:200], detail(row), schedule_id=row.pk, owner_id=row.owner_id,
            url=page("admin:schedules_schedule_detail", row.pk),
        )  # fmt: skip
    if others := rows[ONE_BY_ONE:]:
        yield Finding(
            key, together, f"{_counted(others, 'further schedule')}: {_names(row.name for row in others)}",
            url=page("admin:schedules_schedule_changelist"),
        )  # fmt: skip


def _some(rows: QuerySet[_Row]) -> list[_Row]:
    return list(rows[: LIMIT + 1])


def _counted(rows: Sequence[Any], noun: str) -> str:
    return f"more than {LIMIT:,} {noun}s" if len(rows) > LIMIT else words.counted(len(rows), noun)


def _names(names: Iterable[str]) -> str:
    different = list(dict.fromkeys(names))
    more = len(different) - FIRST_NAMES
    return ", ".join(different[:FIRST_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def _run_name(run: Run) -> str:
    return run.schedule_name or run.target_label or run.kind


def _last_seen(role: str, now: datetime) -> str:
    seen = Heartbeat.objects.filter(role=role).order_by("-seen_at").values_list("seen_at", flat=True).first()
    return "None was seen yet." if seen is None else f"The last one was seen {words.duration(now - seen)} ago."
