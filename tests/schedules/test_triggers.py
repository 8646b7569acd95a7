"""The triggers note what matters and nothing else, so that a beat at work leaves no notes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django_celery_beat.models import PeriodicTask

from schedules import outside, planner, triggers
from schedules.models import OutsideEdit, Schedule

pytestmark = pytest.mark.django_db
MakeSchedule = Callable[..., Schedule]


def test_a_beat_at_work_leaves_no_notes(create: MakeSchedule, fake_clock: Callable[[str], Any]) -> None:
    clock = fake_clock("2026-11-23T08:59:30")
    create(expression="* * * * *")
    while outside.reconcile():
        pass
    for _ in range(3):
        clock.value += timedelta(minutes=1)
        assert planner.plan_due() == 1
    assert not OutsideEdit.objects.exists()
    PeriodicTask.objects.update(description="a word that changes nothing", last_run_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert not OutsideEdit.objects.exists()


def test_they_are_back_after_every_migrate(create: MakeSchedule) -> None:
    with connection.cursor() as cursor:
        for trigger in triggers.TRIGGERS:
            on = f" ON {trigger.table}" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER {trigger.name}{on}")
    OutsideEdit.objects.all().delete()  # what other tests left
    create()
    assert not OutsideEdit.objects.exists()
    call_command("migrate", verbosity=0)
    create(name="Another")
    assert OutsideEdit.objects.count() == 2, "one note for the task, one for the schedule"


def test_a_rolled_back_edit_leaves_no_note(create: MakeSchedule) -> None:
    from django.db import transaction

    create()
    while outside.reconcile():
        pass
    with pytest.raises(RuntimeError), transaction.atomic():
        Schedule.objects.update(expression="1 1 * * *")
        raise RuntimeError
    assert not OutsideEdit.objects.exists()
