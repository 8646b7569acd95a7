"""``manage.py schedule``: the same services, in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command

from runs.models import AuditEntry, Run
from runs.states import State
from schedules.models import HolidayCalendar, Schedule

pytestmark = pytest.mark.django_db
SetClock = Callable[[str], Any]


def schedule(*arguments: str) -> str:
    out = StringIO()
    call_command("schedule", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def weekly(target: Group, fake_clock: SetClock) -> Any:
    clock = fake_clock("2026-11-20T17:55:00")
    schedule(
        "add", "Weekly", "--kind", "test", "--target", "Target", "--cron", "0 9 * * mon", "--zone", "Europe/Berlin"
    )
    return clock


def test_add_says_what_it_understood(target: Group, fake_clock: SetClock) -> None:
    fake_clock("2026-11-20T17:55:00")
    HolidayCalendar.objects.create(name="Bavaria", country="DE", subdivision="BY")
    said = schedule(
        "add", "Letter", "--kind", "test", "--target", str(target.pk), "--words", "every weekday at 9", "--zone",
        "Europe/Berlin", "--calendar", "Bavaria", "--calendar-rule", "move", "--pause-after", "3", "--retries", "2",
    )  # fmt: skip
    assert (
        "Added “Letter”: Every weekday (Monday to Friday) at 09:00" in said
        and "Next: 2026-11-23 09:00 Europe/Berlin." in said
    )
    row = Schedule.objects.get()
    assert (row.pause_after, row.retries, row.calendar_rule, str(row.calendar)) == (3, 2, "move", "Bavaria")
    assert AuditEntry.objects.get().action == "created the schedule"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--target", "Nobody", "--cron", "0 9 * * 1"], "There is no test “Nobody”. There are: “Target”."),
        (["--target", "Target", "--cron", "0 25 * * *"], "expression: "),
        (["--target", "Target", "--words", "now and then"], "every weekday at 9"),
        (["--target", "Target", "--cron", "0 9 * * 1", "--zone", "Mars/Base"], "is not a time zone"),
        (["--target", "Target", "--once", "soon"], "no date and time"),
        (["--target", "Target", "--once", "2020-01-01T09:00"], "That time has passed"),
        (["--target", "Target", "--cron", "0 9 30 2 *"], "never run"),
        (["--target", "Target", "--cron", "0 9 * * 1", "--calendar", "Mars"], "There is no calendar “Mars”."),
        (["--target", "Target", "--cron", "0 9 * * 1", "--pause-after", "0"], "pause_after: "),
    ],
)
def test_a_wrong_value_is_one_plain_line(target: Group, arguments: list[str], says: str) -> None:
    with pytest.raises(CommandError, match=says.replace("(", r"\(")):
        schedule("add", "X", "--kind", "test", *arguments)
    assert not Schedule.objects.exists()


def test_pause_list_resume(weekly: Any) -> None:
    assert "is paused" in schedule("pause", "Weekly", "--reason", "New logo")
    facts = json.loads(schedule("list", "--json"))
    assert (facts["status"], facts["detail"], facts["when"]) == ("paused", "New logo", "Every Monday at 09:00")
    weekly.value = datetime(2026, 11, 24, tzinfo=UTC)
    assert "is active" in schedule("resume", "Weekly", "--run", "latest")
    assert {run.state for run in Run.objects.all()} == {State.SKIPPED, State.PLANNED}
    assert schedule("list").startswith("Active  Weekly: Every Monday at 09:00. Next: 2026-11-30 09:00 Europe/Berlin.")


def test_skip_run_backfill_delete(weekly: Any) -> None:
    said = schedule("skip-next", "Weekly")
    assert said == "The run of “Weekly” at 2026-11-23 09:00 Europe/Berlin will be skipped.\n"  # its clock, not ours
    assert "will take place" in schedule("skip-next", "Weekly", "--undo")
    assert "was started" in schedule("run", "Weekly")
    stretch = ("--from", "2026-11-01T00:00", "--to", "2026-11-20T12:00")
    assert schedule("backfill", "Weekly", *stretch, "--dry-run").split() == [
        "2026-11-02T09:00:00+01:00", "2026-11-09T09:00:00+01:00", "2026-11-16T09:00:00+01:00",
    ]  # fmt: skip
    assert "3 runs were started" in schedule("backfill", "Weekly", *stretch)
    assert "was deleted" in schedule("delete", "Weekly")
    assert not Schedule.objects.exists() and Run.objects.count() == 4


def test_it_acts_with_the_rights_of_a_user(weekly: Any) -> None:
    User.objects.create_user("anna")
    with pytest.raises(CommandError, match="You may not do this"):
        schedule("--as", "anna", "pause", "Weekly", "--reason", "x")
    with pytest.raises(CommandError, match="no active user"):
        schedule("--as", "nobody", "pause", "Weekly", "--reason", "x")
    assert not Schedule.objects.get().is_paused
    assert AuditEntry.objects.filter(was_refused=True, actor_name="anna").exists()


def test_an_unknown_name_is_said(weekly: Any) -> None:
    with pytest.raises(CommandError, match="There is no schedule “Monthly”"):
        schedule("pause", "Monthly", "--reason", "x")


def test_every_verb_can_say_it_to_a_machine(weekly: Any) -> None:
    def said(*arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in schedule(*arguments, "--json").splitlines()]

    when = ("--kind", "test", "--target", "Target", "--words", "every day at 7")
    assert said("add", "Daily", *when)[0]["expression"] == "0 7 * * *"
    assert [one["name"] for one in said("list")] == ["Daily", "Weekly"]
    (shown,) = said("show", "Weekly")
    assert (shown["target"], shown["upcoming"][0], shown["retries"]) == ("Target", "2026-11-23T09:00:00+01:00", 0)
    assert said("pause", "Weekly", "--reason", "x")[0]["status"] == "paused"
    assert said("resume", "Weekly")[0]["status"] == "active"
    assert said("skip-next", "Weekly")[0]["skip_at"] == "2026-11-23T08:00:00+00:00"
    assert said("skip-next", "Weekly", "--undo")[0]["skip_at"] is None
    assert said("run", "Weekly")[0]["run"] == Run.objects.get().pk
    stretch = ("--from", "2026-11-01T00:00", "--to", "2026-11-10T12:00")
    assert [one["due_at"] for one in said("backfill", "Weekly", *stretch, "--dry-run")] == [
        "2026-11-02T09:00:00+01:00", "2026-11-09T09:00:00+01:00",
    ]  # fmt: skip
    assert len(said("backfill", "Weekly", *stretch)[0]["runs"]) == 2
    assert said("delete", "Weekly") == [{"name": "Weekly", "status": "deleted"}]


def test_one_unreadable_zone_does_not_stop_the_list(weekly: Any, target: Group) -> None:
    schedule("add", "A", "--kind", "test", "--target", "Target", "--cron", "0 9 * * *")
    Schedule.objects.filter(periodic_task__name="A").update(time_zone="Mars/Base", broken_reason="It cannot be read.")
    lines = schedule("list").splitlines()
    assert lines[0].startswith("Broken  A: Cannot be read: “Mars/Base” is not a time zone.") and "UTC" in lines[0]
    assert lines[1].startswith("Active  Weekly")
    assert [json.loads(line)["status"] for line in schedule("list", "--json").splitlines()] == ["broken", "active"]
    assert json.loads(schedule("show", "A", "--json"))["upcoming"] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["show", "Weekly"],
        ["backfill", "Weekly", "--from", "2026-11-01T00:00", "--to", "2026-11-20T12:00", "--dry-run"],
    ],
)
def test_looking_takes_the_right_to_see(weekly: Any, arguments: list[str]) -> None:
    anna = User.objects.create_user("anna")
    with pytest.raises(CommandError, match="You may not do this"):
        schedule("--as", "anna", *arguments)
    assert AuditEntry.objects.get(was_refused=True).reason == "lacks schedules.view_schedule"
    anna.user_permissions.add(Permission.objects.get(codename="view_schedule"))
    assert schedule("--as", "anna", *arguments)
