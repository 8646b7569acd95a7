"""When a newsletter's issues go out: its schedules' due times, and the one-off schedule behind a time of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletters.models import Issue
from runs import clock
from runs.audit import Actor
from schedules import kinds, services
from schedules.coming import Coming, coming
from schedules.cron import CronError
from schedules.drafts import MAX_NAME_LENGTH, ScheduleDraft
from schedules.models import DeskPause, Schedule

KIND = "newsletter"
AHEAD = 6
MOST_SCHEDULES = 50
"""Schedules of one newsletter that are looked at; nobody has more."""


@dataclass(frozen=True)
class DueTime:
    """One time at which a newsletter is to go out."""

    at: datetime
    schedule: Schedule
    why_not: str = ""
    """Why its schedule will leave it out, as things stand now; empty when it will run."""


def schedules_of(newsletter_id: int) -> list[Schedule]:
    """The newsletter's schedules, oldest first."""
    rows = Schedule.objects.filter(kind=KIND, target_id=newsletter_id)
    return list(rows.select_related("periodic_task", "calendar").order_by("pk")[:MOST_SCHEDULES])


def ahead(newsletter_id: int, count: int = AHEAD) -> list[DueTime]:
    """The next times at which the newsletter goes out, each once, the earliest first."""
    found: dict[datetime, DueTime] = {}
    now = clock.now()
    for schedule, one in _coming(newsletter_id, now, now, count):
        if one.due_at not in found or found[one.due_at].why_not:
            found[one.due_at] = DueTime(one.due_at, schedule, _why(one))
    return [found[at] for at in sorted(found)][:count]


def find(newsletter_id: int, at: datetime) -> DueTime | None:
    """The due time at exactly this moment, ahead or past; None when no schedule of the newsletter has it."""
    blocked = None
    for schedule, one in _coming(newsletter_id, at - timedelta(microseconds=1), at, 1):
        if one.due_at == at:
            due = DueTime(at, schedule, _why(one))
            if not one.why_not:
                return due
            blocked = blocked or due
    return blocked


def _coming(
    newsletter_id: int, after: datetime, pauses_since: datetime, count: int
) -> Iterator[tuple[Schedule, Coming]]:
    schedules = schedules_of(newsletter_id)
    pauses = DeskPause.covering(pauses_since) if schedules else []
    for schedule in schedules:
        try:
            for one in coming(schedule, after, count, pauses):
                yield schedule, one
        except CronError:
            continue  # it is shown as broken on its own page, and is due at no time


def _why(one: Coming) -> str:
    """ "paused: a strike", to go on with in a sentence."""
    said = str(one.why_not or "")
    return said[:1].lower() + said[1:]


def last_start(newsletter_id: int, at: datetime) -> datetime | None:
    """Until when the issue of this due time may still start by itself; None when there is no such limit."""
    due = find(newsletter_id, at)
    seconds = due.schedule.start_deadline_seconds if due else kinds.get(KIND).defaults.start_deadline_seconds
    return None if seconds is None else at + timedelta(seconds=seconds)


def is_too_late(issue: Issue, now: datetime) -> bool:
    """Whether the issue's time is so long past that only a person may decide to send it all the same."""
    if issue.scheduled_for is None:
        return False
    limit = last_start(issue.newsletter_id, issue.scheduled_for)
    return limit is not None and now > limit


def own_schedule(issue: Issue) -> Schedule | None:
    """The one-off schedule that was made for this issue alone."""
    own = Schedule.objects.filter(
        kind=KIND, target_id=issue.newsletter_id, mode=Schedule.Mode.ONCE, periodic_task__name=_own_name(issue)
    )
    return own.select_related("periodic_task").first()


def set_own_time(actor: Actor, issue: Issue, at: datetime, time_zone: str) -> Schedule:
    """Makes the issue's one-off schedule, or moves it; the caller checked the right to send.

    Raises:
        ValidationError: ``once_at`` says what is wrong with the time.
    """
    schedule = own_schedule(issue)
    draft = ScheduleDraft.for_kind(
        KIND, name=_own_name(issue), target_id=issue.newsletter_id, mode=Schedule.Mode.ONCE, once_at=at,
        time_zone=time_zone,
    )  # fmt: skip
    if schedule is None:
        return services.create_schedule(_acting(actor, "schedules.add_schedule"), draft)
    return services.edit_schedule(_acting(actor, "schedules.change_schedule"), schedule.pk, draft)


def drop_own_time(actor: Actor, issue: Issue) -> None:
    """Removes the issue's one-off schedule, if it has one: without the issue the usual text would go out then."""
    schedule = own_schedule(issue)
    if schedule is not None:
        services.delete_schedule(_acting(actor, "schedules.delete_schedule"), schedule.pk)


def _acting(actor: Actor, permission: str) -> Actor:
    """Who makes the one-off schedule: somebody who may send but not plan schedules has Almanac do it for the issue.

    The issue's own entry in the activity log names the person in either case.
    """
    return actor if actor is None or actor.has_perm(permission) else None  # type: ignore[union-attr]


def _own_name(issue: Issue) -> str:
    number = f": issue {issue.pk}"
    return f"{issue.newsletter.name[: MAX_NAME_LENGTH - len(number)]}{number}"
