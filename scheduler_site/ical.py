"""The iCalendar feed (RFC 5545): what ran in the last days and what is to come, for one person's calendar program."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import get_conditional_response, patch_cache_control
from django.views.decorators.http import require_safe
from icalendar import Calendar, Event

from runs import clock
from runs.models import StaffSettings
from scheduler_site import calendar_agenda, calendar_coming, calendar_days, density, feed
from scheduler_site.calendar_cells import Cells
from scheduler_site.calendar_coming import Several
from schedules import targets, zones
from schedules.coming import why_not
from schedules.models import DeskPause, Schedule
from schedules.policies import Pause

BACK_DAYS, AHEAD_DAYS = 7, 60
SCHEDULES, EVENTS = 200, 2000
"""How much one feed holds at most."""
OFTEN = 3
"""What falls due more often than this on one day is one line for the whole day."""
SHOWN_FOR = timedelta(minutes=15)
"""Calendar programs hide what has no length."""


@require_safe
def calendar(request: HttpRequest, token: str) -> HttpResponse:
    """The feed behind a private address; the same "not found" for every address that does not work."""
    owner = feed.owner_of(token)
    if owner is None:
        raise Http404
    content = build(owner, clock.now()).to_ical()
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    response = HttpResponse(content, content_type="text/calendar; charset=utf-8")
    response["Content-Disposition"] = 'inline; filename="almanac.ics"'
    response["ETag"] = etag
    response["X-Robots-Tag"] = "noindex"
    response["X-Content-Type-Options"] = "nosniff"
    response = get_conditional_response(request, etag=etag, response=response) or response
    patch_cache_control(response, private=True, max_age=300)
    return response


@dataclass(frozen=True)
class Entry:
    """What becomes one event; very many of them are cheap, events are not."""

    key: str
    at: datetime
    summary: str
    url: str
    changed_at: datetime
    description: str = ""
    day: date | None = None
    """Set where it fills the whole day."""


def build(owner: User, now: datetime) -> Calendar:
    """Everything that the owner may see now; where there is too much, the soonest of it."""
    zone = _zone_of(owner)
    whole = Calendar()
    whole.add("prodid", "-//Almanac//Scheduling desk//EN")
    whole.add("version", "2.0")
    whole.add("method", "PUBLISH")
    whole.add("x-wr-calname", "Almanac")
    whole.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    whole.add("x-published-ttl", "PT1H")
    entries, was_cut = _past(now, zone) if owner.has_perm("runs.view_run") else ([], False)
    rows = calendar_coming.due_by(now + timedelta(days=AHEAD_DAYS)).select_related("periodic_task", "calendar")
    schedules = list(rows.order_by("next_due_at", "pk")[: SCHEDULES + 1])
    desk_pauses = DeskPause.covering(now)
    gone = targets.without(schedules[:SCHEDULES])
    today = now.astimezone(zone).date()
    days = [today + timedelta(days=number) for number in range(AHEAD_DAYS)]
    cells = Cells(calendar_days.day_edges(days, zone))
    for schedule in schedules[:SCHEDULES]:
        several = Several(schedule, schedule.next_due_at or now, has_target=schedule.pk not in gone)
        entries += _coming(several, days, cells, desk_pauses)
    entries.sort(key=lambda entry: (entry.at, entry.key))
    if was_cut or len(schedules) > SCHEDULES or len(entries) > EVENTS:
        entries = [_cut_short(now, zone), *entries[:EVENTS]]
    for entry in entries:
        whole.add_component(_event(entry))
    return whole


def _past(now: datetime, zone: ZoneInfo) -> tuple[list[Entry], bool]:
    """What ran in the last days, very frequent things as one line a day; and whether some had no room."""
    today = now.astimezone(zone).date()
    days = [today - timedelta(days=number) for number in range(BACK_DAYS, -1, -1)]
    edges = calendar_days.day_edges(days, zone)
    entries, was_cut = [], False
    for day, start, end in zip(days, edges, edges[1:], strict=False):
        agenda = calendar_agenda.past(start, end, often_from=OFTEN)
        was_cut |= agenda.has_more_past
        for line in agenda.lines:
            changed = line.changed_at or line.at
            if line.count > 1:
                entries.append(Entry(line.key, start, f"{line.name}: {line.detail}", line.url, changed, day=day))
            else:
                summary = f"{line.name}: {line.word.lower()}"
                entries.append(Entry(line.key, line.at, summary, line.url, changed, line.detail))
    return entries, was_cut


def _coming(several: Several, days: list[date], cells: Cells, desk_pauses: list[Pause]) -> Iterator[Entry]:
    schedule = several.schedule
    url = reverse("admin:schedules_schedule_detail", args=[schedule.pk])
    edges = cells.edges
    key, changed, said = f"schedule-{schedule.pk}", schedule.changed_at, schedule.describe()
    try:
        policy = schedule.policy(desk_pauses)
        loads = calendar_coming.tally(several, cells, desk_pauses)
        end = edges[-1] if schedule.ends_at is None else min(edges[-1], schedule.ends_at + density.TICK)
        for day, load, start, until in zip(days, loads, edges, edges[1:], strict=False):
            number, left = load.expected + load.left_out, load.expected
            if number > OFTEN:
                yield Entry(f"{key}-coming", start, _often(schedule, load), url, changed, said, day)
                continue
            since = max(start, several.since)
            for due in density.due_times(schedule.timing, since, min(until, end), OFTEN) if number else ():
                why = why_not(schedule, due, policy, has_target=several.has_target)
                if why or left:
                    left -= not why
                    summary = f"{why.word}: {schedule.name}" if why else schedule.name
                    yield Entry(key, due, summary, url, changed, f"{said}\n{why or ''}".strip())
    except (ValueError, ArithmeticError):
        return  # unreadable: the planner shows it broken


def _often(schedule: Schedule, load: calendar_coming.Load) -> str:
    if not load.expected:
        return f"Left out: {schedule.name} × {load.left_out:,}"
    return f"{schedule.name} × {load.expected:,}" + (f", {load.left_out:,} left out" if load.left_out else "")


def _cut_short(now: datetime, zone: ZoneInfo) -> Entry:
    today = now.astimezone(zone).date()
    (midnight, _) = calendar_days.day_edges([today], zone)
    summary = f"Almanac: only the first {SCHEDULES} schedules and {EVENTS:,} entries are in this calendar"
    return Entry("cut-short", midnight, summary, reverse("admin:calendar"), midnight, day=today)


def _event(entry: Entry) -> Event:
    """Stable as long as nothing changes: its stamp is the last change, so that an unchanged feed is not sent again."""
    event = Event()
    at = entry.at.replace(microsecond=0)
    when = f"{at:%Y%m%dT%H%M%SZ}" if entry.day is None else f"{entry.day:%Y%m%d}"
    event.add("uid", f"{entry.key}-{when}@{settings.PUBLIC_URL.split('//', 1)[-1].split('/', 1)[0]}")
    event.add("dtstamp", entry.changed_at.replace(microsecond=0))
    event.add("dtstart", at if entry.day is None else entry.day)
    event.add("dtend", at + SHOWN_FOR if entry.day is None else entry.day + timedelta(days=1))
    event.add("summary", entry.summary)
    event.add("url", f"{settings.PUBLIC_URL}{entry.url}")
    event.add("transp", "TRANSPARENT")  # it does not make its reader busy
    if entry.description:
        event.add("description", entry.description)
    return event


def _zone_of(owner: User) -> ZoneInfo:
    """The owner's own zone, for what fills whole days."""
    chosen = StaffSettings.objects.filter(user=owner).values_list("time_zone", flat=True).first()
    try:
        return zones.zone(chosen or settings.TIME_ZONE)
    except zones.UnknownZone:
        return zones.zone(settings.TIME_ZONE)
