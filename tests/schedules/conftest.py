"""A job kind of the tests' own, so that schedules are tested without any domain app."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group

from runs import clock
from runs.tasks import RunContext
from schedules import kinds, services
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule


def _perform(run: RunContext) -> str:
    return f"Did {run.target_id}."


@pytest.fixture(autouse=True)
def test_kind() -> Iterator[None]:
    kinds.register(kinds.JobKind(key="test", label="Test job", perform=_perform, target_model="auth.Group"))
    yield
    kinds._registry.pop("test", None)


@pytest.fixture
def target(db: None) -> Group:
    return Group.objects.create(name="Target")


@pytest.fixture
def draft(target: Group) -> Callable[..., ScheduleDraft]:
    """A draft that is right, with the given values changed."""

    def make(**changes: Any) -> ScheduleDraft:
        values: dict[str, Any] = {"name": "Weekly", "kind": "test", "target_id": target.pk, "expression": "0 9 * * 1"}
        return ScheduleDraft(**{**values, **changes})

    return make


@pytest.fixture
def create(draft: Callable[..., ScheduleDraft]) -> Callable[..., Schedule]:
    def make(**changes: Any) -> Schedule:
        return services.create_schedule(None, draft(**changes))

    return make


class FakeClock:
    """The ledger's clock under the test's control."""

    def __init__(self, now: datetime) -> None:
        self.value = now

    def now(self) -> datetime:
        return self.value


@pytest.fixture
def fake_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], FakeClock]:
    """Sets the database clock, which every part asks through ``clock.now()``, to an ISO time in UTC."""

    def set_to(iso: str) -> FakeClock:
        fake = FakeClock(datetime.fromisoformat(f"{iso}+00:00"))
        monkeypatch.setattr(clock, "now", fake.now)
        return fake

    return set_to
