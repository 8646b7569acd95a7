"""Workers and queues: what waits where, who does the work, and whether the clock ticks. Every query is bounded."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, F, Max, Min, Q
from django.db.models.functions import Coalesce

from runs import canaries, clock, job_kinds, queue_pauses, words
from runs.models import Heartbeat, QueueCanary, QueuePause, Run
from runs.states import State
from scheduler_site import broker_depths
from schedules.findings import BEAT_SILENT, SKEW_SECONDS, WORKER_SILENT

WAITING_COUNTED = 50_000
DUE_COUNTED = 50_000
HOUR = timedelta(hours=1)
LATE = timedelta(minutes=2)
FORGOTTEN = timedelta(days=1)
"""Processes that ended without a word are no longer listed after this."""
LISTED = 100


@dataclass(frozen=True)
class Load:
    """What the ledger knows of one queue."""

    waiting: int = 0
    oldest_due_at: datetime | None = None
    running: int = 0
    done: int = 0
    """Of what fell due in the last hour."""


@dataclass(frozen=True)
class QueueLine:
    """One queue on the page."""

    name: str
    word: str
    tone: str
    note: str
    jobs: str
    waiting: str
    oldest: str
    running: int
    rate: str
    messages: int | None
    answer: str
    pause: QueuePause | None


@dataclass(frozen=True)
class ProcessLine:
    """One worker or one beat on the page."""

    name: str
    word: str
    tone: str
    seen: str
    since: str
    skew: str
    host: str = ""
    version: str = ""
    queues: str = ""
    processes: int | None = None
    runs: list[Run] = field(default_factory=list)


def known_queues() -> list[str]:
    """The queues of the settings and of the kinds of jobs, and any that a run, a pause or a canary names."""
    return sorted(_named_queues() | set(_waiting_runs().values_list("queue", flat=True).distinct()))


def _named_queues() -> set[str]:
    names = {*settings.QUEUES, *(kind.queue for kind in job_kinds.known()), *queue_pauses.paused()}
    return names | set(QueueCanary.objects.values_list("queue", flat=True))


def facts() -> dict[str, Any]:
    """Everything on the page."""
    now = clock.now()
    window, loads = _loads(now)
    names = sorted({*_named_queues(), *loads})
    depths = broker_depths.ask(names)
    sent = Run.objects.filter(due_at__gte=window, due_at__lte=now).aggregate(last=Max("published_at"))["last"]
    alive = Heartbeat.objects.filter(seen_at__gte=now - FORGOTTEN).order_by("role", "-seen_at")[:LISTED]
    pauses = queue_pauses.paused()
    canary_rows = {row.queue: row for row in QueueCanary.objects.all()}
    deaf, busy = canaries.unanswered(now)
    minutes = max((now - window).total_seconds() / 60, 1)
    return {
        "queues": [
            _queue_line(name, loads[name], pauses.get(name), canary_rows.get(name), deaf, busy, depths, minutes, now)
            for name in names
        ],
        "broker_trouble": depths.trouble,
        "window_minutes": round(minutes),
        **_workers([row for row in alive if row.role == "worker"], now),
        "beats": _beats([row for row in alive if row.role == "beat"], now),
        "last_sent": words.relative(sent, now) if sent else "",
        "now": now,
    }


def _waiting_runs() -> Any:
    """The runs that no worker has claimed: those of the outbox, the most urgent first, and no more than can be counted."""
    outbox = Run.objects.filter(next_publish_at__isnull=False).order_by("next_publish_at")
    return Run.objects.filter(pk__in=outbox.values("pk")[:WAITING_COUNTED]).order_by()


def _loads(now: datetime) -> tuple[datetime, dict[str, Load]]:
    """Per queue; and since when the finished ones are counted."""
    facts: dict[str, dict[str, Any]] = defaultdict(dict)
    may_start = Q(not_before_at=None) | Q(not_before_at__lte=now)
    waiting = _waiting_runs().filter(may_start, due_at__lte=now).values("queue")
    for row in waiting.annotate(waiting=Count("pk"), oldest_due_at=Min(Coalesce("not_before_at", "due_at"))):
        facts[row.pop("queue")].update(row)
    running = Run.objects.filter(state=State.RUNNING).order_by().values("queue").annotate(running=Count("pk"))
    for row in running:
        facts[row["queue"]]["running"] = row["running"]
    since = now - HOUR
    due = Run.objects.filter(due_at__gte=since, due_at__lte=now).order_by("-due_at", "-id")
    # Where more fell due than can be counted while somebody waits, the window is shorter, and the page says so.
    edge = due.values_list("due_at", flat=True)[DUE_COUNTED : DUE_COUNTED + 1]
    since = next(iter(edge), since)
    done = Run.objects.filter(due_at__gte=since, due_at__lte=now, state__in=(State.SUCCEEDED, State.FAILED)).order_by()
    for row in done.values("queue").annotate(done=Count("pk")):
        facts[row["queue"]]["done"] = row["done"]
    return since, defaultdict(Load, {queue: Load(**values) for queue, values in facts.items()})


def _queue_line(
    name: str,
    load: Load,
    pause: QueuePause | None,
    canary: QueueCanary | None,
    deaf: list[str],
    busy: list[str],
    depths: broker_depths.Depths,
    minutes: float,
    now: datetime,
) -> QueueLine:
    age = now - load.oldest_due_at if load.oldest_due_at else timedelta(0)
    if pause is not None:
        who = f" by {pause.paused_by_name}" if pause.paused_by_name else ""
        word, tone, note = "Paused", "warn", f"Paused{who} {words.relative(pause.paused_at, now)}: {pause.reason}"
    elif name in deaf:
        word, tone, note = "Nobody answers", "bad", "No worker takes messages from it. Its runs wait; nothing is lost."
    elif name in busy:
        word, tone, note = "Busy", "warn", "All workers that read it have had other work for a while."
    elif age > LATE and load.waiting:
        word, tone, note = "Behind", "warn", "Runs wait longer than usual. More workers would help if this lasts."
    else:
        word, tone, note = "Well", "good", ""
    return QueueLine(
        name=name, word=word, tone=tone, note=note, pause=pause,
        jobs=", ".join(kind.label for kind in job_kinds.known() if kind.queue == name),
        waiting=f"{'more than ' if load.waiting >= WAITING_COUNTED else ''}{load.waiting:,}",
        oldest=words.duration(age) if load.waiting else "",
        running=load.running,
        rate=_rate(load.done, minutes),
        messages=depths.messages.get(name),
        answer=_answer(canary, now),
    )  # fmt: skip


def _rate(done: int, minutes: float) -> str:
    if not done:
        return "none"
    per_minute = done / minutes
    return f"{per_minute:,.0f} a minute" if per_minute >= 10 else f"{per_minute:,.1f} a minute"


def _answer(canary: QueueCanary | None, now: datetime) -> str:
    """When a worker last answered the test message."""
    if canary is None or (canary.sent_at is None and canary.answered_at is None):
        return "not asked yet"
    if canary.sent_at is not None and (canary.answered_at is None or canary.answered_at < canary.sent_at):
        return f"asked {words.relative(canary.sent_at, now)}, no answer yet"
    assert canary.answered_at is not None
    return f"answered {words.relative(canary.answered_at, now)}"


def _workers(rows: list[Heartbeat], now: datetime) -> dict[str, Any]:
    """Each worker with the runs that its machine performs for its queues, and the runs of no listed worker."""
    running = list(
        Run.objects.filter(state=State.RUNNING)
        .order_by(F("started_at").asc(nulls_last=True))
        .defer("traceback")[:LISTED]
    )
    lines = []
    for row in rows:
        queues = [str(queue) for queue in row.details.get("queues", ())]
        mine = [run for run in running if _machine(run.worker) == _machine(row.name) and run.queue in queues]
        running = [run for run in running if run not in mine]  # two workers of one machine do not both claim it
        lines.append(
            ProcessLine(
                **_common(row, rows, now, WORKER_SILENT), host=str(row.details.get("hostname", "")),
                queues=", ".join(queues), version=str(row.details.get("version", "")),
                processes=row.details.get("processes"), runs=mine,
            )
        )  # fmt: skip
    return {"workers": lines, "running_elsewhere": running}


def _beats(rows: list[Heartbeat], now: datetime) -> list[ProcessLine]:
    return [ProcessLine(**_common(row, rows, now, BEAT_SILENT)) for row in rows]


def _common(row: Heartbeat, rows: list[Heartbeat], now: datetime, silent_after: timedelta) -> dict[str, Any]:
    skew = row.details.get("skew_seconds")
    word, tone = "Up", "good"
    if now - row.seen_at > silent_after:
        # A process that was stopped leaves its row behind; where another one took over, that is no trouble.
        is_replaced = any(now - other.seen_at <= silent_after for other in rows)
        word, tone = ("Gone", "quiet") if is_replaced else ("Silent", "bad")
    elif skew is not None and abs(skew) > SKEW_SECONDS:
        word, tone = "Clock is off", "warn"
    return {
        "name": row.name, "word": word, "tone": tone, "seen": words.relative(row.seen_at, now),
        "since": words.relative(row.started_at, now), "skew": _skew(skew),
    }  # fmt: skip


def _skew(seconds: float | None) -> str:
    """The process's clock beside the database's."""
    if seconds is None:
        return "not told"
    return "right" if abs(seconds) < 0.05 else f"{abs(seconds):.1f} s {'ahead' if seconds > 0 else 'behind'}"


def _machine(process: str) -> str:
    """ "almanac-1" of "worker@almanac-1:4711"."""
    return process.partition("@")[2].rpartition(":")[0]
