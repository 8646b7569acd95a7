"""What a policy's own page shows, gathered: every list in it is bounded, and nothing is counted but one short look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError
from django.db.models import Count, Exists, Min, OuterRef, Q, Sum, prefetch_related_objects
from django.http import HttpRequest

from cleanup import (
    approval,
    backlog,
    guard,
    held_rows,
    holding,
    plan_page,
    planner,
    policy_words,
    services,
    table_sizes,
    targets,
)
from cleanup.findings import of_preview
from cleanup.models import ArchivePart, CleanupPolicy, CleanupPreview, CleanupRun, Hold
from cleanup.policy_words import Ahead
from cleanup.selection import UnknownFilter
from cleanup.targets import Target
from runs import clock, words
from runs.models import AuditEntry
from schedules.coming import why_not
from schedules.models import DeskPause, Schedule

LISTED = 20
PARTS = 5
"""Runs whose archives are on the page; the others are in their own list."""
LOOK_SECONDS = 1.0
"""How long the page may count what comes next."""
LARGE = 10_000
"""From so many deleted rows on, the page says where their room went."""
TONES = {
    CleanupRun.State.RUNNING: "live",
    CleanupRun.State.DONE: "good",
    CleanupRun.State.PARTIAL: "warn",
    CleanupRun.State.REFUSED: "bad",
    CleanupRun.State.FAILED: "bad",
}
"""The colour family of each state."""


@dataclass(frozen=True)
class Column:
    """One run in the chart."""

    label: str
    rows: int
    height: str
    top: str
    """From the top of the chart to its bar, in hundredths."""


@dataclass(frozen=True)
class Trend:
    """How its last runs got on, the oldest first."""

    runs: Sequence[CleanupRun]
    """The newest first, for the table."""
    columns: Sequence[Column]
    most: int
    last: CleanupRun | None
    """The last that counted what it left."""
    is_growing: bool


def whole(request: HttpRequest, policy: CleanupPolicy) -> dict[str, Any]:
    """Everything on the page."""
    now = clock.now()
    preview = policy.previews.select_related("created_by").order_by("-id").first()
    is_same = preview is not None and preview.rule_hash == planner.rule_hash(policy)
    is_fresh = is_same and preview is not None and now - services.PREVIEW_LASTS < preview.created_at <= now
    trend = _trend(policy)
    ahead = _ahead(policy, now)
    return {
        "policy": policy,
        "status": _status(policy),
        "sentence": policy_words.sentence(policy, ahead, _expected(policy, ahead, now)),
        "rule": policy_words.rule(policy),
        "preview": preview,
        "plan": plan_page.shown(of_preview(preview)) if preview is not None and is_same else None,
        # The rows may name people: who only looks on sees how many they are.
        "hides_samples": not any(request.user.has_perm(one) for one in services.DECIDE),
        "is_same_rule": is_same,
        "is_fresh": is_fresh,
        "ran_since": bool(
            preview and trend.runs and trend.runs[0].total and trend.runs[0].started_at > preview.created_at
        ),
        "trend": trend,
        "holds": _holds(policy, now),
        "kept": _kept(policy),
        "tones": TONES,
        **_permission_to_go(request, policy, preview if is_fresh else None, now),
        **room(policy.targets, trend.last),
        "deeds": _deeds(policy),
    }


def _status(policy: CleanupPolicy) -> tuple[str, str]:
    return ("good", "On") if policy.is_enabled else ("quiet", "Off")


def _permission_to_go(
    request: HttpRequest, policy: CleanupPolicy, preview: CleanupPreview | None, now: datetime
) -> dict[str, Any]:
    """Whether somebody else has to agree, who has, and what this person may do about it."""
    over = services.unapproved(policy, preview) if preview is not None else ()
    asked = approval.waiting(policy)
    return {
        "over": over,
        "asked": asked,
        "given": guard.valid_approval(policy, now),
        "refused": approval.refused(policy) if asked is None else None,
        "why_not_approve": approval.why_not(policy, asked, request.user) if asked is not None else "",  # type: ignore[arg-type]
        "may_approve": asked is not None and request.user.has_perm(approval.APPROVE),
        "usual": guard.usual(policy),
    }


def _ahead(policy: CleanupPolicy, now: datetime) -> Ahead:
    schedules = Schedule.objects.filter(kind="cleanup", target_id=policy.pk).select_related("periodic_task", "calendar")
    soonest = list(schedules.filter(next_due_at__isnull=False).order_by("next_due_at", "pk")[:LISTED])
    if not soonest:
        return Ahead(None, "its schedule has no time ahead" if schedules.exists() else "")
    pauses = DeskPause.covering(now)
    reasons = []
    for schedule in soonest:
        assert schedule.next_due_at is not None
        why = why_not(schedule, schedule.next_due_at, schedule.policy(pauses))
        if why is None:
            return Ahead(schedule.next_due_at)
        reasons.append(
            f"“{schedule.name}” {str(why)[:1].lower()}{str(why)[1:]}"
            if why.word != "Paused"
            else f"“{schedule.name}” is paused"
        )
    return Ahead(None, reasons[0])


def _expected(policy: CleanupPolicy, ahead: Ahead, now: datetime) -> int | None:
    """How many rows will be old enough when it runs next; None where a short look does not tell."""
    known = targets.known(policy.targets)
    if not policy.is_enabled or ahead.due_at is None or not all(isinstance(one, Target) for one in known):
        return None
    try:
        plan = planner.plan(policy.rule(), max(now, ahead.due_at), now, seconds=LOOK_SECONDS, in_short=True)
    except (ValueError, UnknownFilter, DatabaseError):
        return None
    return guard.capped(policy, plan)


def _trend(policy: CleanupPolicy) -> Trend:
    runs = list(policy.runs.order_by("-id")[:LISTED])
    ended = [run for run in reversed(runs) if run.state != CleanupRun.State.RUNNING]
    most = max((run.total for run in ended), default=0)
    columns = [_column(run, most or 1) for run in ended]
    last = next((run for run in runs if run.backlog is not None), None)
    return Trend(runs, columns, most, last, backlog.is_growing(backlog.trend(policy)))


def _column(run: CleanupRun, most: int) -> Column:
    height = 100 * run.total / most
    return Column(words.here(run.started_at), run.total, f"{height:.2f}", f"{100 - height:.2f}")


def _holds(policy: CleanupPolicy, now: datetime) -> list[tuple[Hold, str]]:
    """The holds that may keep some of its rows, each in words."""
    found: dict[int, Hold] = {}
    for target in targets.known(policy.targets):
        found |= {hold.pk: hold for hold in held_rows.biting(target, now)}
    newest = sorted(found.values(), key=lambda hold: -hold.pk)[:LISTED]
    prefetch_related_objects(newest, "created_by")
    return [(hold, holding.in_words(hold)) for hold in newest]


def _kept(policy: CleanupPolicy) -> list[CleanupRun]:
    """Its last runs that kept a copy, each with how much of it there still is."""
    parts = ArchivePart.objects.filter(cleanup_run=OuterRef("pk"), deleted_at=None)
    # The runs first, then their sums: summing up all parts of all runs takes long where there are very many.
    latest = list(policy.runs.filter(Exists(parts)).order_by("-id").values_list("pk", flat=True)[:PARTS])
    there = Q(parts__deleted_at=None)
    runs = CleanupRun.objects.filter(pk__in=latest).annotate(
        kept_parts=Count("parts", filter=there), kept_rows=Sum("parts__row_count", filter=there),
        kept_bytes=Sum("parts__byte_count", filter=there), kept_until=Min("parts__expires_at", filter=there),
    )  # fmt: skip
    return list(runs.order_by("-id"))


def room(keys: Sequence[str], last: CleanupRun | None) -> dict[str, Any]:
    """The sizes of the tables that these targets delete from."""
    tables: dict[str, str] = {}
    for target in targets.known(keys):
        if isinstance(target, Target):
            for model in reversed(target.tables()):
                tables[model._meta.db_table] = str(model._meta.verbose_name_plural)
    return {
        "sizes": table_sizes.of_tables(tables.items()) if tables else [],
        "is_large": last is not None and last.total_rows >= LARGE,
    }


def _deeds(policy: CleanupPolicy) -> list[AuditEntry]:
    """What people did with it, the latest first."""
    about = Q(object_type=policy._meta.label_lower, object_id=str(policy.pk))
    return list(AuditEntry.objects.filter(about).order_by("-id")[:LISTED])
