"""Schedules leave as a YAML file and come in from one, by name, all or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command

from runs.models import AuditEntry
from schedules import calendars, exchange_file, exchange_values, services
from schedules.models import HolidayCalendar, Schedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def bring_in(tmp_path: Path) -> Callable[..., str]:
    """Brings a text in by the command and returns what it said."""

    def run(text: str, *options: str) -> str:
        file = tmp_path / "schedules.yaml"
        file.write_text(text)
        out = StringIO()
        call_command("import_schedules", str(file), *options, stdout=out)
        return out.getvalue()

    return run


def exported() -> str:
    out = StringIO()
    call_command("export_schedules", stdout=out, stderr=StringIO())
    return out.getvalue()


def rows() -> list[dict[str, Any]]:
    """Every stored value but the ones that say when it was written."""
    volatile = ("changed_at", "created_at", "id", "periodic_task_id", "cursor_at", "anchor_at", "settled_timing")
    found = Schedule.objects.order_by("periodic_task__name").values()
    return [{name: value for name, value in row.items() if name not in volatile} for row in found]


@pytest.fixture
def several(create: Callable[..., Schedule]) -> None:
    calendar = calendars.save_calendar(None, HolidayCalendar(), name="Bavaria", country="DE", subdivision="BY")
    create(name="Weekly", time_zone="Europe/Berlin", calendar_id=calendar.pk, calendar_rule="move", retries=3)
    create(name="Often", mode="interval", expression="", every_seconds=5400, max_runs=7, jitter_seconds=30)
    create(name="on", expression="*/5 * * * *", start_deadline_seconds=600, pause_after=4)
    paused = create(name="2026", expression="0 9 1 * *")
    services.pause_schedule(None, paused.pk, reason="New logo: yes")


def test_what_leaves_and_comes_in_again_changes_nothing(several: None, bring_in: Callable[..., str]) -> None:
    text, before, entries = exported(), rows(), AuditEntry.objects.count()
    said = bring_in(text)
    assert "0 added, 0 changed, 4 unchanged." in said
    assert (rows(), AuditEntry.objects.count()) == (before, entries)


def test_it_comes_in_the_same_where_there_was_nothing(several: None, bring_in: Callable[..., str]) -> None:
    text, before = exported(), rows()
    for schedule in Schedule.objects.all():
        services.delete_schedule(None, schedule.pk)
    assert "4 added" in bring_in(text)
    assert exported() == text
    versions = [
        {name: value for name, value in row.items() if name not in ("paused_at", "next_due_at")} for row in rows()
    ]
    assert versions == [
        {name: value for name, value in row.items() if name not in ("paused_at", "next_due_at")} for row in before
    ]


def test_a_dry_run_says_each_difference_and_does_nothing(several: None, bring_in: Callable[..., str]) -> None:
    before = rows()
    text = """\
schedules:
  - name: Weekly
    cron: 0 10 * * 1
    retries: 3
    calendar:
  - name: "2026"
    paused:
  - name: Brand new
    kind: test
    target: Target
    every_seconds: 3600
  - name: Often
    cron: '*/30 * * * *'
"""
    said = bring_in(text, "--dry-run")
    assert [line.strip() for line in said.splitlines()] == [
        "changed: “Weekly” (line 2)", "cron: 0 9 * * 1 → 0 10 * * 1", "calendar: Bavaria → nothing",
        "changed: “2026” (line 6)", "paused: New logo: yes → nothing",
        "added: “Brand new” (line 8)", "kind: test", "target: Target", "every_seconds: 3600",
        "changed: “Often” (line 12)", "cron: nothing → */30 * * * *", "every_seconds: 5400 → nothing",
        "Would be: 1 added, 3 changed, 0 unchanged.", "Not in the file, left alone: 1 (“on”).", "Nothing was changed.",
    ]  # fmt: skip
    assert rows() == before
    facts = [json.loads(line) for line in bring_in(text, "--json").splitlines()]
    assert [(one["name"], one["change"]) for one in facts][-1] == ("on", "left alone")
    assert facts[0]["fields"]["calendar"] == {"old": "Bavaria", "new": "nothing"}
    weekly, year = (Schedule.objects.get(periodic_task__name=name) for name in ("Weekly", "2026"))
    assert (weekly.expression, weekly.calendar_id, weekly.retries, year.is_paused) == ("0 10 * * 1", None, 3, False)
    assert "0 added, 0 changed, 4 unchanged" in bring_in(text)


WRONG = [
    ("schedules: [", "line 2: This is no YAML"),
    ("", "line 1: The file is empty."),
    ("- name: X", "must begin with “schedules:”"),
    ("schedules:\n  - X", "line 2: Each schedule is a list of fields"),
    ("schedules:\n  - kind: test", "line 2: name: Give the schedule a name."),
    ("schedules:\n  - name: X\n    cron: */5 * * * *", "line 3: This is no YAML"),
    ("schedules:\n  - name: X\n    kindd: test", "line 3: “X”: There is no field “kindd”. Did you mean “kind”?"),
    ("schedules:\n  - name: X\n    kind: magic", "line 3: “X”, kind: There is no kind “magic”."),
    ("{X}\n    target: Nobody", "line 6: “X”, target: There is no test “Nobody”. There are: “Target”, “Twin”."),
    ("{X}\n    target: Twin", "There are 2 of the kind test called “Twin”"),
    ("{X}\n    target: Target\n    cron: 0 25 * * *", "line 7: “X”, cron: It is given twice."),
    ("{X}\n    target: Target\n    retries: many", "line 7: “X”, retries: “many” is no whole number."),
    ("{X}\n    target: Target\n    retries: 99", "line 7: “X”, retries: Write a number from 0 to 10."),
    ("{X}\n    target: Target\n    time_zone: Mars/Base", "line 7: “X”, time_zone: “Mars/Base” is not a time zone."),
    ("{X}\n    target: Target\n    calendar: Mars", "line 7: “X”, calendar: There is no calendar “Mars”."),
    ("{X}\n    target: Target\n    ends: soon", "line 7: “X”, ends: “soon” is no date and time"),
    ("{X}\n    target: Target\n    missed: never", "line 7: “X”, missed: Choose one of: skip, latest, all."),
    ("{X}\n    target: Target\n    every_seconds: 60", "not by several"),
    ("{X}\n    target: [Target]", "line 6: “X”, target: Write one value, not a list."),
    ("{X}\n    target: Target\n  - name: X", "line 7: “X”, name: The file names it twice; the first time on line 3."),
]


@pytest.mark.parametrize(("text", "says"), WRONG)
def test_what_is_wrong_is_said_with_its_line_and_nothing_is_brought_in(
    target: Group, bring_in: Callable[..., str], text: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_values.Names, "targets", lambda self, kind: {"Target": [target.pk], "Twin": [1, 2]})
    good = "schedules:\n  - {name: Fine, kind: test, target: Target, cron: 0 9 * * 1}\n"
    text = text.replace("{X}", f"{good}  - name: X\n    kind: test\n    cron: 0 9 * * 1")
    with pytest.raises(CommandError) as refusal:
        bring_in(text)
    assert says in str(refusal.value) and str(refusal.value).endswith("Nothing was changed.")
    assert not Schedule.objects.exists() and not AuditEntry.objects.exists()


def test_every_problem_is_said_at_once(target: Group, bring_in: Callable[..., str]) -> None:
    bad = "schedules:\n" + "".join(f"  - {{name: N{n}, kind: test, target: Target, cron: never}}\n" for n in range(3))
    with pytest.raises(CommandError) as refusal:
        bring_in(bad)
    assert [line.partition(":")[0] for line in str(refusal.value).splitlines()[:3]] == ["line 2", "line 3", "line 4"]


def test_it_acts_with_the_rights_of_a_user_and_a_refusal_outlives_the_rollback(
    create: Callable[..., Schedule], bring_in: Callable[..., str]
) -> None:
    create(name="Weekly")
    anna = User.objects.create_user("anna")
    text = (
        "schedules:\n  - {name: New, kind: test, target: Target, cron: 0 9 * * 1}\n  - {name: Weekly, paused: Stop}\n"
    )
    with pytest.raises(CommandError, match="You may not do this"):
        bring_in(text, "--as", "anna", "--dry-run")
    for name in ("view_schedule", "add_schedule"):
        anna.user_permissions.add(Permission.objects.get(codename=name))
    assert "1 added, 1 changed" in bring_in(text, "--as", "anna", "--dry-run")
    with pytest.raises(CommandError, match="pause the schedule"):
        bring_in(text, "--as", "anna")
    assert Schedule.objects.count() == 1
    refused = AuditEntry.objects.filter(was_refused=True, actor=anna).values_list("action", flat=True)
    assert set(refused) == {"compare a file with the schedules", "pause the schedule"}


def test_what_a_file_cannot_hold_is_said(create: Callable[..., Schedule], target: Group, tmp_path: Path) -> None:
    create(name="Weekly")
    lost = Group.objects.create(name="Lost")
    create(name="Orphan", target_id=lost.pk)
    ended = create(name="Over", max_runs=1)
    Schedule.objects.filter(pk=ended.pk).update(next_due_at=None)
    lost.delete()
    out, notes = StringIO(), StringIO()
    call_command("export_schedules", str(tmp_path / "out.yaml"), stdout=out, stderr=notes)
    assert "1 schedules were written" in out.getvalue()
    assert "“Orphan”: what it should run no longer exists." in notes.getvalue()
    assert "“Over” has ended." in notes.getvalue()
    assert [
        entry.name for entry in exchange_file.read((tmp_path / "out.yaml").read_text(), exchange_values.FIELDS)
    ] == ["Weekly"]


def test_a_file_is_text_and_never_an_object(target: Group, bring_in: Callable[..., str]) -> None:
    text = "schedules:\n  - {name: !!python/object/apply:os.system [echo], kind: test}\n"
    with pytest.raises(CommandError, match="line 2"):
        bring_in(text)


def test_files_that_cannot_be_read_or_written_are_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        call_command("import_schedules", str(tmp_path / "missing.yaml"))
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_schedules", str(tmp_path / "no" / "folder.yaml"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(CommandError, match="no text in UTF-8"):
        call_command("import_schedules", str(tmp_path / "bytes"))


def test_a_zone_nobody_knows_hinders_neither_leaving_nor_coming_back(
    create: Callable[..., Schedule], bring_in: Callable[..., str]
) -> None:
    broken = create(name="Broken")
    Schedule.objects.filter(pk=broken.pk).update(time_zone="Mars/Base", broken_reason="It cannot be read.")
    assert "1 unchanged" in bring_in(exported())
