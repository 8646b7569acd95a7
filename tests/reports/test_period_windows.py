"""The days that a report covers: from the instant at which it was due, in its own zone, whenever it is really made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone as django_timezone

from reports import coming, opening, periods, running
from reports.drafts import ReportDraft
from reports.models import ReportDefinition, ReportRun
from reports.periods import Window
from runs.models import Run
from runs.tasks import JobFailed, RunContext

ZONES = ["Pacific/Auckland", "America/Los_Angeles", "UTC"]
Define = Callable[..., ReportDefinition]
Claim = Callable[..., RunContext]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("due", "auckland", "los_angeles", "utc"),
    [
        # 00:00 UTC on the first: Auckland is in the new month, Los Angeles still in the old one.
        ("2026-11-01T00:00+00:00", "2026-10", "2026-09", "2026-10"),
        ("2025-12-31T23:30+00:00", "2025-12", "2025-11", "2025-11"),
        ("2026-01-01T00:00+00:00", "2025-12", "2025-11", "2025-12"),
        ("2026-01-01T09:00+00:00", "2025-12", "2025-12", "2025-12"),
        ("2028-02-29T12:00+00:00", "2028-02", "2028-01", "2028-01"),  # in Auckland it is 1 March
        ("2028-03-01T12:00+00:00", "2028-02", "2028-02", "2028-02"),
        # The nights in which clocks change: Auckland's on 4 April and 26 September, Los Angeles' on 8 March and 1 November.
        ("2026-04-04T14:30+00:00", "2026-03", "2026-03", "2026-03"),
        ("2026-09-26T14:30+00:00", "2026-08", "2026-08", "2026-08"),
        ("2026-03-08T10:30+00:00", "2026-02", "2026-02", "2026-02"),
        ("2026-11-01T08:30+00:00", "2026-10", "2026-10", "2026-10"),
        ("2026-11-01T09:30+00:00", "2026-10", "2026-10", "2026-10"),
    ],
)
def test_last_month_is_that_of_the_reports_zone(due: str, auckland: str, los_angeles: str, utc: str) -> None:
    for zone, month in zip(ZONES, (auckland, los_angeles, utc), strict=True):
        window = periods.resolve("last_month", at(due), zone)
        first = date.fromisoformat(f"{month}-01")
        assert (window.first, window.beyond) == (first, (first + timedelta(days=32)).replace(day=1)), zone
        clock = ZoneInfo(zone)
        for edge in (window.start, window.end):
            assert edge.astimezone(clock).time().isoformat() == "00:00:00" and edge.astimezone(clock).day == 1


@pytest.mark.parametrize("zone", ZONES)
def test_twenty_four_months_tile_without_gap_or_overlap(zone: str) -> None:
    """Made at 00:00 UTC on the first of each month, over a leap day, two turns of the year and eight nights of changed clocks."""
    due = [datetime(2027 + n // 12, n % 12 + 1, 1, tzinfo=timezone.utc) for n in range(24)]
    windows = [periods.resolve("last_month", moment, zone) for moment in due]
    assert all(one.end == following.start for one, following in pairwise(windows))
    hours = [windows[0].start + timedelta(hours=n) for n in range(24 * 732)]
    inside = [moment for moment in hours if moment < windows[-1].end]
    in_windows = [sum(window.start <= moment < window.end for window in windows) for moment in inside[::7]]
    assert set(in_windows) == {1}, "each instant lies in exactly one"
    assert sum((one.end - one.start for one in windows), timedelta()) == windows[-1].end - windows[0].start
    assert sum(len(list(one.days)) for one in windows) == (windows[-1].beyond - windows[0].first).days


@pytest.mark.parametrize("zone", ZONES)
def test_a_report_that_is_made_36_hours_late_covers_the_days_it_was_due_for(
    define: Define, claim: Claim, zone: str, settings: Any
) -> None:
    due = at("2026-10-01T00:00+00:00")
    definition = define(period="last_month", time_zone=zone)
    assert django_timezone.now() - due > timedelta(hours=36)  # whatever the clock says now
    opened = opening.open_run(claim(definition, due_at=due), definition)
    window = periods.resolve("last_month", due, zone)
    assert (opened.window_start, opened.window_end, opened.period) == (window.start, window.end, window.words)


def test_the_first_report_since_the_last_covers_a_week() -> None:
    window = periods.resolve("since_last", at("2026-11-19T09:00+01:00"), "Europe/Berlin")
    assert window == Window(date(2026, 11, 12), date(2026, 11, 19), "Europe/Berlin")


def test_since_the_last_goes_on_where_that_ended_and_leaves_out_today() -> None:
    before = periods.resolve("yesterday", at("2026-10-20T09:00+02:00"), "Europe/Berlin")
    due = at("2026-11-19T09:00+01:00")
    window = periods.resolve("since_last", due, "Europe/Berlin", previous_end=before.end)
    assert (window.start, window.beyond) == (before.end, date(2026, 11, 19))
    again = periods.resolve("since_last", due, "Europe/Berlin", previous_end=window.end)
    assert again.start == again.end and again.words.startswith("no day yet")
    future = periods.resolve("since_last", due, "Europe/Berlin", previous_end=due + timedelta(days=30))
    assert future.start == future.end


def test_since_the_last_in_a_new_zone_leaves_nothing_out() -> None:
    before = periods.resolve("yesterday", at("2026-11-10T09:00+00:00"), "America/Los_Angeles")
    window = periods.resolve("since_last", at("2026-11-19T09:00+00:00"), "Asia/Tokyo", previous_end=before.end)
    assert window.start <= before.end < window.start + timedelta(days=1)


def test_fixed_days_are_both_included() -> None:
    chosen = (date(2026, 1, 1), date(2026, 3, 31))
    for due in ("2026-02-01T09:00+00:00", "2030-01-01T09:00+00:00"):
        window = periods.resolve("fixed", at(due), "Europe/Berlin", fixed=chosen)
        assert window.words == "1 January to 31 March 2026, Europe/Berlin"
        assert window.end == at("2026-04-01T00:00+02:00")


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (date(2026, 2, 2), date(2026, 2, 1), "the last day lies before the first one"),
        (None, date(2026, 2, 1), "is missing"),
        (date(2026, 2, 1), None, "is missing"),
        (date(1990, 1, 1), date(2026, 1, 1), "more than 3,660 days"),
        (date(2195, 1, 1), date(2200, 1, 1), "between 1970 and 2199"),
        (date(9999, 12, 1), date(9999, 12, 31), "between 1970 and 2199"),
    ],
)
def test_fixed_days_that_make_no_sense_are_refused_in_words(
    define: Define, claim: Claim, first: date | None, last: date | None, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        periods.resolve("fixed", at("2026-11-19T09:00+01:00"), "UTC", fixed=(first, last))
    definition = define()
    ReportDefinition.objects.update(period="fixed", fixed_first=first, fixed_last=last)
    definition.refresh_from_db()
    with pytest.raises(JobFailed, match=words) as raised:
        running.perform(claim(definition))
    assert not raised.value.may_retry


def test_reports_since_the_last_tile_and_an_incomplete_one_is_made_up_for(define: Define, claim: Claim) -> None:
    definition = define(time_zone="Pacific/Auckland")
    ReportDefinition.objects.update(period="since_last")
    definition.refresh_from_db()
    first = at("2026-03-20T20:00+00:00")
    for day, state in ((0, "succeeded"), (3, "failed"), (5, "incomplete"), (9, "skipped"), (20, "succeeded")):
        opened = opening.open_run(claim(definition, due_at=first + timedelta(days=day)), definition)
        ReportRun.objects.filter(pk=opened.pk).update(state=state)
        Run.objects.filter(pk=opened.run_id).update(state="succeeded")
    made = list(ReportRun.objects.order_by("id"))
    complete = [one for one in made if one.state in ("succeeded", "skipped")]
    assert all(one.window_end == other.window_start for one, other in pairwise(complete))
    assert made[1].window_start == made[2].window_start == made[0].window_end
    # A late run for an earlier due time looks at what was complete before that.
    late = opening.open_run(claim(definition, due_at=first + timedelta(days=8)), definition)
    assert late.window_start == made[0].window_end and late.window_end < made[3].window_end


def test_the_next_five_say_their_days(define: Define, make_schedule: Callable[..., Any]) -> None:
    definition = define(period="last_month", time_zone="Pacific/Auckland")
    make_schedule(definition, "Monthly", "0 0 1 * *")
    rows = coming.next_five(definition)
    assert len(rows) == 5 and [row.schedule_name for row in rows] == ["Monthly"] * 5
    for row in rows:
        assert row.days == periods.resolve("last_month", row.due_at, "Pacific/Auckland").words


def test_the_next_five_of_two_schedules_are_in_order_and_go_on_from_one_another(
    define: Define, make_schedule: Callable[..., Any]
) -> None:
    definition = define(time_zone="Europe/Berlin")
    ReportDefinition.objects.update(period="since_last")
    definition.refresh_from_db()
    make_schedule(definition, "Weekly", "0 9 * * mon")
    make_schedule(definition, "Daily", "0 7 * * *")
    paused = make_schedule(definition, "Paused", "*/5 * * * *", paused=True)
    rows = coming.next_five(definition)
    assert [row.due_at for row in rows] == sorted(row.due_at for row in rows)
    assert {row.schedule_name for row in rows} <= {"Weekly", "Daily"} and paused.name not in str(rows)
    days = [row.days for row in rows if row.schedule_name == "Daily"]
    assert all("no day yet" not in one for one in days) and len(set(days)) == len(days)


def test_the_next_five_say_what_is_wrong(define: Define, make_schedule: Callable[..., Any]) -> None:
    definition = define()
    make_schedule(definition, "Weekly", "0 9 * * mon")
    ReportDefinition.objects.update(period="fixed", fixed_first="2026-02-02", fixed_last="2026-02-01")
    definition.refresh_from_db()
    rows = coming.next_five(definition)
    assert [row.problem for row in rows] == ["The last day lies before the first one."] * 5


def test_the_page_of_a_report_shows_the_next_five(
    define: Define, make_schedule: Callable[..., Any], client: Client, admin_user: User
) -> None:
    definition = define(period="last_week")
    client.force_login(admin_user)
    address = f"/admin/reports/reportdefinition/{definition.pk}/change/"
    assert "The next reports and their days" not in client.get(address).content.decode()
    make_schedule(definition, "Weekly", "0 9 * * mon")
    page = client.get(address).content.decode()
    assert "The next reports and their days" in page and page.count("by “Weekly”") == 5
    assert coming.next_five(definition)[4].days in page


def test_a_report_since_the_last_one_waits_for_the_one_before_it(define: Define, claim: Claim) -> None:
    definition = define(period="since_last")
    earlier = claim(definition, due_at=at("2026-11-10T09:00+01:00"))
    opening.open_run(earlier, definition)
    later = claim(definition, due_at=at("2026-11-19T09:00+01:00"))
    with pytest.raises(JobFailed, match="The report before this one is still being made") as raised:
        opening.open_run(later, definition)
    assert raised.value.may_retry
    Run.objects.filter(pk=earlier.id).update(state="succeeded")
    ReportRun.objects.update(state="succeeded")
    assert opening.open_run(later, definition).window_start == ReportRun.objects.earliest("pk").window_end


def test_the_preview_of_what_is_typed_goes_on_where_the_last_report_ended(define: Define, claim: Claim) -> None:
    definition = define(period="since_last")
    opened = opening.open_run(claim(definition, due_at=at("2026-11-10T09:00+01:00")), definition)
    ReportRun.objects.update(state="succeeded")
    typed = ReportDefinition(**ReportDraft.of(definition).column_values(), pk=definition.pk)
    due = at("2026-11-19T09:00+01:00")
    assert typed.window_at(due).start == opened.window_end == definition.window_at(due).start
