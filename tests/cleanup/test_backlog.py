"""Who is told when a policy falls behind, and when it has caught up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from cleanup import backlog
from cleanup.models import CleanupPolicy, CleanupRun
from runs import alerts
from runs.models import Alert, Notice
from tests.cleanup.targets import ago

pytestmark = pytest.mark.django_db


@pytest.fixture
def leaves(policy: CleanupPolicy) -> Callable[..., None]:
    """A run of the policy that ends with so many rows left over."""
    policy.owner = User.objects.create_user("ann", email="ann@example.org")
    policy.save()

    def ended(count: int | None, state: str = "partial") -> None:
        run = CleanupRun.objects.create(
            policy=policy, policy_name=policy.name, run_id=CleanupRun.objects.count() + 1, started_at=ago(1),
            finished_at=ago(0), state=state, backlog=count, oldest_eligible=ago(400),
        )  # fmt: skip
        backlog.look(run)

    return ended


def is_told() -> bool:
    return Alert.objects.filter(resolved_at=None).exists()


def test_its_owner_is_told_after_three_runs_that_left_more_each(leaves: Callable[..., None]) -> None:
    for count in (100, 200, 300):
        leaves(count)
        assert not is_told()
    leaves(None, "failed")  # it counted nothing
    leaves(1400)
    alert = Alert.objects.get()
    assert (
        alert.title == "The cleanup “Old sessions” falls behind" and "100, 200, 300 and now 1,400 rows" in alert.detail
    )
    assert alert.owner is not None and alert.url.endswith("/detail/")
    alerts.deliver()
    assert "falls behind" in Notice.objects.get(user=alert.owner).text
    leaves(1500)
    assert Alert.objects.get().seen_count == 2


def test_they_are_told_when_it_catches_up(leaves: Callable[..., None]) -> None:
    for count in (1, 2, 3, 4):
        leaves(count)
    alerts.deliver()
    leaves(4)
    assert is_told()
    leaves(3)
    assert not is_told()
    alerts.deliver()
    assert "ecovered" in Notice.objects.latest("id").text


@pytest.mark.parametrize("counts", [(0, 0, 0, 0, 0), (5, 4, 3, 2), (1, 2, 3, 3), (1, 2, 1, 2, 3), (0, 0, 1, 2)])
def test_nobody_is_told_of_ups_and_downs(leaves: Callable[..., None], counts: tuple[int, ...]) -> None:
    for count in counts:
        leaves(count)
    assert not is_told()


def test_more_than_its_owner_is_told_when_it_is_refused_again_and_again(leaves: Callable[..., None]) -> None:
    for state in ("refused", "refused", "done", "refused", "refused"):
        leaves(0 if state == "done" else None, state)
        assert not is_told()
    leaves(None, "refused")
    assert Alert.objects.get(resolved_at=None).title == "The cleanup “Old sessions” is refused again and again"
    leaves(None, "failed")
    assert is_told()
    leaves(0, "done")
    assert not is_told()


@pytest.mark.parametrize("end", ["disabled", "deleted"])
def test_nobody_is_reminded_of_a_policy_that_is_off(
    leaves: Callable[..., None], policy: CleanupPolicy, end: str
) -> None:
    for count in (1, 2, 3, 4):
        leaves(count)
    if end == "disabled":
        CleanupPolicy.objects.update(is_enabled=False)
    else:
        policy.delete()
    other = CleanupPolicy.objects.create(name="Other", targets=["notices"], is_enabled=True)
    backlog.look(CleanupRun.objects.create(policy=other, policy_name="Other", run_id=99, started_at=ago(0), backlog=0))
    assert not is_told()
