"""The ledger of what a run goes through: planned by a person or an event, sent, claimed, ended.

What becomes of a schedule's due times before any worker takes them stands in :mod:`runs.occurrences`; only these two
and :mod:`runs.rescue` decide the state of a run.

Every write names the state (and, once claimed, the attempt) that it expects, so that a second beat, a
redelivered message or a worker that came back from the dead changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Greatest

from runs import clock, occurrences, outcomes
from runs.audit import Actor
from runs.models import QueuePause, Run, RunEvent, RunLink
from runs.states import ALLOWED, FINAL, OPEN, WAITING, Reason, State, Trigger

LOST_WORKER_ATTEMPTS = 3
BLOCKED_RETRY_SECONDS = 2
BLOCKED_RETRY_CAP_SECONDS = 60
PUBLISH_BACKOFF_CAP_SECONDS = 600


class LeaseLost(Exception):
    """Another attempt owns the run now; this one must stop without writing anything more."""


class WorkerStopping(LeaseLost):
    """The worker was asked to stop; the job stops at this safe point and the run waits for another worker."""


class RunCancelled(Exception):
    """Somebody asked for the run to be cancelled; the job should stop at the next safe point."""


@dataclass(frozen=True)
class Claim:
    """The right to perform one attempt of one run."""

    run: Run
    attempt: int


@dataclass(frozen=True)
class NewRun:
    """What is needed to plan one run that no schedule's clock asked for."""

    kind: str
    target_id: int | None
    target_label: str
    trigger: Trigger
    due_at: datetime | None = None
    schedule_id: int | None = None
    schedule_name: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    time_zone: str = "UTC"
    queue: str = "default"
    exclusive: bool = True
    time_limit_seconds: int = 3600
    max_attempts: int = 1
    retry_delay_seconds: int = 60
    requested_by: Actor = None
    """Who asked for it; None when nobody did."""
    idempotency_key: str | None = None
    retry_of_id: int | None = None
    not_before_at: datetime | None = None
    """No worker takes it earlier; None for at once."""


def plan(new: NewRun) -> Run:
    """Adds a planned run, or returns the one that the same idempotency key made before."""
    now = clock.now()
    values: dict[str, Any] = {name: getattr(new, name) for name in new.__dataclass_fields__}
    values["due_at"] = new.due_at or now
    key = values.pop("idempotency_key")
    person = values.pop("requested_by")
    if person is not None:
        values |= {"requested_by_id": person.pk, "requested_by_name": str(person)[:150]}
    values |= {"state": State.PLANNED, "next_publish_at": new.not_before_at or now}
    if key is None:
        return Run.objects.create(**values)
    run, _ = Run.objects.get_or_create(idempotency_key=key, defaults=values)
    return run


def mark_published(run_ids: Sequence[int], now: datetime) -> None:
    """Notes that messages were handed to the broker and when each is to be sent again if unclaimed.

    The row stays in the outbox until a worker claims it: a lost message is only a delay.
    """
    if not run_ids:
        return
    delays = [When(publish_count=count, then=Value(now + publish_backoff(count + 1))) for count in range(6)]
    # One that failed meanwhile and waits for its next attempt keeps that time.
    waiting = Run.objects.filter(Q(not_before_at=None) | Q(not_before_at__lte=now), pk__in=run_ids, state__in=WAITING)
    waiting.update(
        state=State.PUBLISHED,
        published_at=Coalesce("published_at", Value(now)),
        next_publish_at=Case(*delays, default=Value(now + timedelta(seconds=PUBLISH_BACKOFF_CAP_SECONDS))),
        publish_count=F("publish_count") + 1,
    )


def publish_backoff(count: int) -> timedelta:
    """How long after its ``count``-th message a run that nobody claimed is sent again."""
    seconds = min(settings.REPUBLISH_SECONDS * 2 ** (count - 1), PUBLISH_BACKOFF_CAP_SECONDS)
    return timedelta(seconds=seconds)


def claim(run_id: int, worker: str) -> Claim | None:
    """Takes the run for one attempt, or returns None when it is done, owned, too late or must wait."""
    now = clock.now()
    occurrences.expire_unstarted(now, run_ids=[run_id])
    busy = Run.objects.filter(schedule_id=OuterRef("schedule_id"), state=State.RUNNING, exclusive=True).exclude(
        pk=OuterRef("pk")
    )
    # An expired lease is taken over on the same terms as :func:`runs.rescue.rescue` grants another attempt.
    has_tries = Q(attempt__lt=Greatest(F("max_attempts"), Value(LOST_WORKER_ATTEMPTS)))
    claimable = Run.objects.filter(pk=run_id, cancel_requested_at=None).filter(
        Q(state__in=WAITING) | Q(has_tries, state=State.RUNNING, lease_until__lt=now)
    )
    claimable = claimable.filter(Q(not_before_at=None) | Q(not_before_at__lte=now))
    is_held = Exists(QueuePause.objects.filter(queue=OuterRef("queue")))
    free = claimable.filter(Q(exclusive=False) | Q(schedule_id=None) | ~Exists(busy)).exclude(is_held)
    try:
        with transaction.atomic():
            changed = free.update(
                state=State.RUNNING,
                attempt=F("attempt") + 1,
                lease_until=now + timedelta(seconds=settings.LEASE_SECONDS),
                worker=worker,
                next_publish_at=None,
                published_at=Coalesce("published_at", Value(now)),  # it came before the mark
                started_at=now,
                reason="",
                reason_text="",
                error="",
                traceback="",
            )
    except IntegrityError:  # another run of the same schedule was claimed between our look and our write
        changed = 0
    if not changed:
        _drop_or_wait(run_id, claimable.exists(), now)
        return None
    run = Run.objects.get(pk=run_id)
    return Claim(run=run, attempt=run.attempt)


def _drop_or_wait(run_id: int, is_blocked: bool, now: datetime) -> None:
    if is_blocked:
        # Whoever holds it up wakes the next one when it ends; the more wait, the less often each asks by itself.
        schedule_id = Run.objects.values_list("schedule_id", flat=True).get(pk=run_id)
        seconds = min(BLOCKED_RETRY_SECONDS * _blocked(schedule_id).count(), BLOCKED_RETRY_CAP_SECONDS)
        Run.objects.filter(pk=run_id, state__in=WAITING).update(
            next_publish_at=now + timedelta(seconds=max(seconds, BLOCKED_RETRY_SECONDS)), publish_count=0
        )
    else:
        Run.objects.filter(pk=run_id).update(duplicates_dropped=F("duplicates_dropped") + 1)


def _blocked(schedule_id: int | None) -> QuerySet[Run]:
    """The schedule's runs that may have to wait for one another."""
    return Run.objects.filter(schedule_id=schedule_id, finished_at=None, state__in=WAITING, exclusive=True)


def _wake_next(ended: Run) -> None:
    """Sends the next of the runs that waited for this one at once."""
    if ended.schedule_id is None or not ended.exclusive:
        return
    now = clock.now()
    asked = _blocked(ended.schedule_id).filter(Q(not_before_at=None) | Q(not_before_at__lte=now))
    following = asked.order_by("due_at", "pk").values_list("pk", flat=True).first()
    if following is not None:
        _blocked(ended.schedule_id).filter(pk=following, next_publish_at__gt=now).update(next_publish_at=now)


def renew(claimed: Claim) -> None:
    """Extends the lease.

    Raises:
        LeaseLost: another attempt owns the run.
        RunCancelled: somebody asked for it to stop.
    """
    _extend(claimed)


def progress(claimed: Claim, done: int, total: int | None, unit: str) -> None:
    """Stores how far the job is and renews the lease; raises as :func:`renew` does."""
    _extend(claimed, progress_done=done, progress_total=total, progress_unit=unit[:40])


def _extend(claimed: Claim, **values: Any) -> None:
    lease_until = clock.now() + timedelta(seconds=settings.LEASE_SECONDS)
    if not _mine(claimed).update(lease_until=lease_until, **values):
        raise LeaseLost
    if Run.objects.filter(pk=claimed.run.pk).exclude(cancel_requested_at=None).exists():
        raise RunCancelled


def log(run_id: int, message: str, *, level: str = RunEvent.Level.INFO, attempt: int = 0) -> None:
    """Adds one log line to the run."""
    RunEvent.objects.create(run_id=run_id, message=_storable(message)[:1000], level=level, attempt=attempt)


def _storable(text: str) -> str:
    """Without what no database takes: NUL, and halves of characters. A job's words must not fail its run."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def attach(claimed: Claim, label: str, url: str) -> None:
    """Adds a link to something the run made; the same URL twice is one link."""
    RunLink.objects.get_or_create(run_id=claimed.run.pk, url=url, defaults={"label": label[:120]})


def finish(claimed: Claim, result: str) -> None:
    """Ends the run well, with one line in words. Raises :class:`LeaseLost` as every fenced write."""
    _end(claimed, State.SUCCEEDED, result=_storable(result)[:300])


def fail(
    claimed: Claim, error: str, *, traceback: str = "", reason: Reason = Reason.ERROR, may_retry: bool = True
) -> State:
    """Ends the attempt badly: another attempt if any is left, else the run has failed. Returns the state it is in."""
    error, traceback = _storable(error), _storable(traceback)
    if may_retry and claimed.attempt < claimed.run.max_attempts:
        delay = claimed.run.retry_delay_seconds * 2 ** (claimed.attempt - 1)
        again = clock.now() + timedelta(seconds=delay)
        _end(
            claimed, State.PLANNED, finished_at=None, next_publish_at=again, not_before_at=again, publish_count=0,
            reason=reason,
            reason_text=f"attempt {claimed.attempt} failed; the next one starts in {delay} s"[:300],
            error=error, traceback=traceback,
        )  # fmt: skip
    else:
        _end(claimed, State.FAILED, reason=reason, reason_text=reason.label, error=error, traceback=traceback)
    log(claimed.run.pk, error, level=RunEvent.Level.ERROR, attempt=claimed.attempt)
    return State(Run.objects.values_list("state", flat=True).get(pk=claimed.run.pk))


def hand_back(claimed: Claim) -> None:
    """Returns a run that its worker had to leave, for another one to take up at once; not counted against it."""
    _end(
        claimed, State.PLANNED, finished_at=None, next_publish_at=clock.now(), publish_count=0,
        max_attempts=F("max_attempts") + 1, reason=Reason.WORKER_LOST,
        reason_text="the worker was asked to stop; another one goes on",
    )  # fmt: skip
    log(claimed.run.pk, "The worker was asked to stop and handed the run back.", attempt=claimed.attempt)


def cancelled(claimed: Claim, result: str) -> None:
    """Ends the run because somebody asked for it."""
    _end(claimed, State.CANCELLED, reason=Reason.CANCELLED_BY_STAFF, reason_text=result[:300])


def request_cancel(run: Run) -> State:
    """Stops a waiting run at once, or asks a running one to stop at its next safe point; returns the state."""
    now = clock.now()
    Run.objects.filter(pk=run.pk, state__in=OPEN).update(cancel_requested_at=now)
    Run.objects.filter(pk=run.pk, state__in=WAITING).update(
        state=State.CANCELLED, finished_at=now, next_publish_at=None,
        reason=Reason.CANCELLED_BY_STAFF, reason_text=Reason.CANCELLED_BY_STAFF.label,
    )  # fmt: skip
    return State(Run.objects.values_list("state", flat=True).get(pk=run.pk))


def _mine(claimed: Claim) -> Any:
    return Run.objects.filter(pk=claimed.run.pk, attempt=claimed.attempt, state=State.RUNNING)


def _end(claimed: Claim, state: State, **values: Any) -> None:
    if state not in ALLOWED[State.RUNNING]:
        raise ValueError(f"a running run cannot become {state}")
    values.setdefault("finished_at", clock.now())
    with transaction.atomic():
        if not _mine(claimed).update(state=state, lease_until=None, **values):
            raise LeaseLost
        if state in FINAL:
            outcomes.tell([claimed.run.pk])
            _wake_next(claimed.run)
        else:
            cancel_if_asked(claimed.run.pk)


def cancel_if_asked(run_id: int) -> None:
    """A run that goes back to waiting after somebody asked for its end has ended: nobody may claim it any more."""
    asked = Run.objects.filter(pk=run_id, state__in=WAITING).exclude(cancel_requested_at=None)
    if asked.update(
        state=State.CANCELLED, finished_at=clock.now(), next_publish_at=None, reason=Reason.CANCELLED_BY_STAFF,
        reason_text=Reason.CANCELLED_BY_STAFF.label,
    ):  # fmt: skip
        outcomes.tell([run_id])
