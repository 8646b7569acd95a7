"""What schedules run: it cannot be deleted while one does, and a schedule whose thing is gone is seen at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from runs import clock
from runs.models import Run
from schedules import findings, kinds, planner, services, status, targets
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule

MakeSchedule = Callable[..., Schedule]
MakeDraft = Callable[..., ScheduleDraft]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["Monday letter"], "The schedule “Monday letter” still runs it. Delete or change that schedule first."),
        (["B", "A"], "The schedules “A” and “B” still run it. Delete or change them first."),
        (list("FBDAEC"), "The schedules “A”, “B”, “C” and 3 more still run it. Delete or change them first."),
    ],
)
def test_the_refusal_names_the_schedules(create: MakeSchedule, target: Group, names: list[str], words: str) -> None:
    for name in names:
        create(name=name)
    with pytest.raises(ValidationError) as refused, transaction.atomic():
        targets.require_unused(target)
    assert refused.value.messages == [words]


@pytest.mark.django_db
def test_what_another_thing_or_kind_of_the_same_number_is_on_is_no_reason(create: MakeSchedule, target: Group) -> None:
    other = Group.objects.create(name="Other")
    create(name="Letter", target_id=other.pk)
    Schedule.objects.update(kind="else", target_id=target.pk)
    with transaction.atomic():
        targets.require_unused(target)
        targets.require_unused(other)


@pytest.mark.django_db
def test_every_kind_that_runs_the_same_model_counts(create: MakeSchedule, target: Group) -> None:
    kinds.register(kinds.JobKind(key="second", label="Second", perform=lambda run: "", target_model="auth.group"))
    try:
        create(name="Other kind", kind="second")
        assert targets.still_used(target).startswith("The schedule “Other kind”")
    finally:
        kinds._registry.pop("second")


def in_another_thread(do: Callable[[], object]) -> tuple[threading.Thread, list[str]]:
    """Starts it and gives it time to meet whatever holds it up; what it was refused with lands in the list."""
    said: list[str] = []

    def work() -> None:
        try:
            do()
            said.append("done")
        except ValidationError as error:
            said.extend(error.messages)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(0.4)
    return thread, said


def delete(target: Group) -> None:
    with transaction.atomic():
        targets.require_unused(target)
        target.delete()


@pytest.mark.django_db(transaction=True)
def test_a_thing_put_on_a_schedule_in_the_same_moment_is_not_deleted(draft: MakeDraft, target: Group) -> None:
    wanted = draft(name="Letter")
    with transaction.atomic():
        services.create_schedule(None, wanted)
        thread, said = in_another_thread(lambda: delete(target))
        assert said == [], "it waits until the schedule is there or not"
    thread.join(20)
    assert said == ["The schedule “Letter” still runs it. Delete or change that schedule first."]
    assert Group.objects.filter(pk=target.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_a_thing_deleted_in_the_same_moment_is_not_put_on_a_schedule(draft: MakeDraft, target: Group) -> None:
    wanted = draft(name="Letter")
    with transaction.atomic():
        delete(target)
        thread, said = in_another_thread(lambda: services.create_schedule(None, wanted))
        assert said == []
    thread.join(20)
    assert said == ["That test job no longer exists. Choose another one."] and not Schedule.objects.exists()


# Deleted all the same: in a shell, by another program


@pytest.fixture
def orphan(create: MakeSchedule, fake_clock: Callable[[str], Any]) -> Schedule:
    fake_clock("2026-11-20T17:55:00")
    schedule = create(name="Orphan", expression="0 9 * * *")
    create(name="Sound", target_id=Group.objects.create(name="Kept").pk, expression="0 9 * * *")
    Group.objects.filter(name="Target").delete()
    return schedule


@pytest.mark.django_db
def test_the_watchdog_finds_it_before_it_is_due_and_says_the_same_after(
    orphan: Schedule, fake_clock: Callable[[str], Any]
) -> None:
    before = list(findings.broken(clock.now()))
    assert [(found.key, found.title, found.detail) for found in before] == [
        (f"broken:{orphan.pk}", "“Orphan” is broken", "What it should run no longer exists.")
    ]
    fake_clock("2026-11-21T09:00:10")
    planner.plan_due()
    assert Schedule.objects.get(pk=orphan.pk).broken_reason and Run.objects.filter(state="missed").count() == 1
    assert list(findings.broken(clock.now())) == before


@pytest.mark.django_db
def test_the_tabs_of_the_list_put_it_where_its_word_says(orphan: Schedule, client: Client) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    listed = {
        tab: {
            schedule.name
            for schedule in client.get(f"/admin/schedules/schedule/?status={tab}").context["cl"].result_list
        }
        for tab in ("active", "broken")
    }
    assert listed == {"active": {"Sound"}, "broken": {"Orphan"}}


@pytest.mark.django_db
def test_the_command_line_calls_it_broken_too(orphan: Schedule, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("schedule", "list")
    assert [line.split()[0] == "Broken" for line in capsys.readouterr().out.splitlines()] == [True, False]
    call_command("schedule", "show", "Orphan")
    assert "status: broken" in capsys.readouterr().out


@pytest.mark.django_db
def test_looking_for_it_costs_the_same_however_many_there_are(
    orphan: Schedule, create: MakeSchedule, django_assert_num_queries: Any
) -> None:
    kept = Group.objects.get(name="Kept")
    for number in range(8):
        create(name=f"S{number}", target_id=kept.pk)
    rows = Schedule.objects.select_related("periodic_task")
    with django_assert_num_queries(3):  # the soonest, their things, the broken ones
        assert [schedule.name for schedule in status.broken(rows)] == [orphan.name]
