"""Runs that ended long ago, with their logs and links; what the desk still asks its old runs for stays."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.apps import apps
from django.db.models import Exists, Max, OuterRef, Q, Subquery
from django.db.models.lookups import IsNull

from cleanup.models import CleanupRun
from cleanup.targets import scopes
from cleanup.targets.registry import Child, Filter, Target
from runs import retired, words
from runs.models import Run
from runs.states import FINAL, State
from schedules import kinds
from schedules.models import Schedule

KEY = "runs"
_ENDED = (State.SUCCEEDED, State.FAILED)


def not_needed(cutoff: datetime) -> Q:
    """Final ones that no page, rule or check asks for any more.

    The last run of each schedule, and the last that succeeded or failed, say how the schedule stands. What was left out
    since a pause began is offered when it ends. A report's run says who asked for it as long as its files are there.
    """
    later = Run.objects.filter(schedule_id=OuterRef("schedule_id"), due_at__gt=OuterRef("due_at"))
    # In the order of the index, so that the first look finds one, however many were skipped since.
    ended_later = later.filter(state__in=_ENDED).order_by("due_at").values("pk")[:1]
    is_outlived = (Q(state__in=_ENDED) & Q(IsNull(Subquery(ended_later), False))) | (
        ~Q(state__in=_ENDED) & Q(Exists(later))
    )
    schedule = Schedule.objects.filter(pk=OuterRef("schedule_id"))
    in_pause = Exists(schedule.filter(paused_at__lte=OuterRef("finished_at")))
    files = apps.get_model("reports.Artefact")._default_manager.filter(
        report_run__run_id=OuterRef("pk"), deleted_at=None
    )
    return (
        Q(state__in=FINAL)
        & (Q(schedule_id=None) | ~Q(Exists(schedule)) | is_outlived)
        & ~Q(in_pause)
        & (~Q(kind="report") | ~Q(Exists(files)))
    )


def describe(run: Any) -> str:
    """ "Weekly letter, due 3 August 2026, succeeded"."""
    return f"{run.schedule_name or run.target_label or run.kind}, due {words.plain_date(run.due_at)}, {run.get_state_display().lower()}"


def removed_before() -> datetime | None:
    """Runs that ended before this may have been removed: the latest cutoff of any cleaning of runs."""
    cleaned: datetime | None = CleanupRun.objects.filter(deleted__has_key=KEY).aggregate(at=Max("cutoff"))["at"]
    return cleaned


def _kinds() -> list[tuple[str, str]]:
    known = Run.objects.order_by("kind").values_list("kind", flat=True).distinct()
    return [(key, kind.label if (kind := kinds.find(key)) else key) for key in known]


RUNS = Target(
    key=KEY,
    label="Old runs, with their logs",
    noun=("run", "runs"),
    model="runs.Run",
    date_field="finished_at",
    order=("pk",),
    floor_days=90,
    condition=not_needed,
    description="What happened long ago: runs that have ended, with their log lines and links.",
    promise="Runs under way, the last run of each schedule and its last success or failure, what a pause has left out, "
    "and the runs of reports whose files are still there always stay.",
    group_by="schedule_id",
    group_members=Q(state__in=FINAL),
    group_order="due_at",
    children=(
        Child("runs.RunEvent", "run"),
        Child("runs.RunLink", "run"),
        Child("runs.Run", "retry_of", "unlink"),
    ),
    filters=(Filter("kind", "Only of the kind", _kinds, lambda value: Q(kind=value)),),
    scopes=(scopes.of_one("schedule", "One schedule, with all of its runs", scopes.SCHEDULES, "schedule_id"),),
    describe=describe,
)

retired.ask(removed_before)
