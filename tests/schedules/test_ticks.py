"""What a beat does in one tick, and whom it wakes."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from celery import current_app

from cleanup.models import CleanupPolicy
from runs import clock
from runs.models import Run
from runs.occurrences import Unsent
from schedules import services
from schedules.drafts import ScheduleDraft
from schedules.models import OutsideEdit, Schedule
from schedules.scheduler import LedgerScheduler

pytestmark = pytest.mark.django_db


class Publisher:
    """In the place of the thread that sends: it notes that it was woken."""

    woken = 0

    def wake(self) -> None:
        self.woken += 1

    def take(self, unsent: list[Unsent]) -> None:
        self.wake()


@pytest.fixture
def beat() -> LedgerScheduler:
    scheduler = LedgerScheduler(app=current_app, lazy=True)
    scheduler._publisher = Publisher()  # type: ignore[assignment]
    return scheduler


@pytest.fixture
def schedule() -> Schedule:
    policy = CleanupPolicy.objects.create(name="Old", targets=["sessions"], days=30, is_enabled=True)
    draft = ScheduleDraft.for_kind("cleanup", name="Nightly", target_id=policy.pk, expression="30 3 * * *")
    return services.create_schedule(None, draft)


@pytest.mark.parametrize("is_just_edited", [True, False])
def test_what_is_due_is_sent_in_the_same_tick_also_right_after_an_edit(
    beat: LedgerScheduler, schedule: Schedule, is_just_edited: bool
) -> None:
    due = clock.now() + timedelta(milliseconds=200)
    draft = ScheduleDraft.for_kind(
        "cleanup", name=schedule.name, target_id=schedule.target_id, mode="once", once_at=due
    )
    services.edit_schedule(None, schedule.pk, draft)
    time.sleep(0.3)
    if not is_just_edited:
        OutsideEdit.objects.all().delete()
    beat._tick()
    assert Run.objects.get(schedule_id=schedule.pk).due_at == due
    assert beat._publisher.woken  # type: ignore[union-attr]


def test_a_tick_with_nothing_due_wakes_nobody(beat: LedgerScheduler, schedule: Schedule) -> None:
    OutsideEdit.objects.all().delete()
    beat._tick()
    assert not beat._publisher.woken  # type: ignore[union-attr]
