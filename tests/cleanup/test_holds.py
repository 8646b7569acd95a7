"""What is held is never deleted: whenever the hold was set, by number, by what it belongs to, or by a row below it."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models import Q

from cleanup import holding, planner, running, targets
from cleanup.models import ANY_TARGET, CleanupRun, Hold
from runs import clock, failpoints
from tests.cleanup import tables
from tests.cleanup.conftest import begin, change, enabled

pytestmark = pytest.mark.django_db(transaction=True)

INTERLEAVINGS = int(os.environ.get("CLEANUP_INTERLEAVINGS", "16"))


@pytest.fixture
def made() -> Iterator[dict[str, Any]]:
    children = targets.Target(
        key="made_children", label="Made children", noun=("child", "children"), model="cleanup.MadeChild", date_field="parent__at",
        floor_days=1, children=(targets.Child("cleanup.MadeGrandchild", "child"),),
        scopes=(targets.Scope("of", "All of one kind", lambda value: Q(parent__of=value)),),
    )  # fmt: skip
    with tables.made(tables.family()) as family, tables.registered(tables.family_target(), children):
        yield family


def old(made: dict[str, Any], count: int, first: int = 1, **values: Any) -> None:
    tables.populate(made, count, clock.now() - timedelta(days=40), first=first, **values)


def left(made: dict[str, Any]) -> set[int]:
    return set(made["MadeParent"].objects.values_list("pk", flat=True))


def clean(**values: Any) -> CleanupRun:
    policy = enabled(name=f"Made {CleanupRun.objects.count()}", targets=["made"], days=30, **values)
    context = begin(policy)
    running.perform(context)
    return CleanupRun.objects.get(run_id=context.id)


def test_by_number_by_scope_by_everything_and_by_a_row_below(made: dict[str, Any]) -> None:
    old(made, 4)
    old(made, 4, first=10, of="b")
    holding.add_hold(None, target="made", object_id="2", reason="A dispute")
    holding.add_hold(None, target=ANY_TARGET, scope="of", value="b", reason="An audit")
    holding.add_hold(None, target="made_children", object_id="6", reason="A child of 3")
    policy = enabled(name="Looked at", targets=["made"], days=30)
    (finding,) = planner.preview(policy, clock.now()).findings
    assert (finding.count, finding.held, len(finding.hold_words)) == (2, 6, 3)
    assert "An audit" in finding.hold_words[1] and "All of one kind: b" in finding.hold_words[1]
    done = clean()
    assert left(made) == {2, 3, 10, 11, 12, 13} and done.skipped == {"made": {"held": 6}}
    everything = holding.add_hold(None, target="made", reason="All of it")
    Hold.objects.exclude(pk=everything.pk).delete()
    assert clean().total == 0
    holding.release_hold(None, everything.pk)
    assert clean().total == 6


def test_a_hold_whose_scope_is_no_longer_known_holds_everything(made: dict[str, Any]) -> None:
    old(made, 3)
    Hold.objects.create(target="made", scope="no such", value="x", reason="Older than this version")
    assert clean().total == 0


def test_a_hold_on_a_row_that_has_just_gone_says_so(made: dict[str, Any]) -> None:
    for number in ("31", "no number"):
        with pytest.raises(ValidationError, match="no such row"):
            holding.add_hold(None, target="made", object_id=number, reason="Too late")
    assert not Hold.objects.exists()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"target": "nothing"}, "target"),
        ({"target": ANY_TARGET}, "scope"),
        ({"target": "made", "scope": "of", "value": " "}, "value"),
        ({"target": "made", "scope": "colour", "value": "x"}, "scope"),
        ({"target": "made", "scope": "of", "value": "a", "object_id": "3"}, "object_id"),
        ({"target": "made", "reason": "  "}, "reason"),
        ({"target": "made", "until": clock}, "until"),
    ],
)
def test_it_says_at_the_field_what_is_wrong(made: dict[str, Any], values: dict[str, Any], field: str) -> None:
    if "until" in values:
        values = {**values, "until": clock.now() - timedelta(minutes=1)}
    with pytest.raises(ValidationError) as refusal:
        holding.check_hold(**{"reason": "x", **values})
    assert list(refusal.value.message_dict) == [field]


class Holder(threading.Thread):
    """Somebody who sets a hold at this very moment, on a connection of their own; knows how it ended."""

    def __init__(
        self, wait: Callable[[], object] = lambda: None, look: Callable[[], set[int]] = set, **values: Any
    ) -> None:
        super().__init__(daemon=True)
        self._wait, self._look, self._values = wait, look, values
        self.saw: set[int] = set()
        self.is_held = False
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        connection.ensure_connection()
        self._wait()
        try:
            holding.add_hold(None, reason="Just in time", **self._values)
            self.is_held = True
            self.saw = self._look()
        except ValidationError:
            pass  # it was too late, and was told so
        except BaseException as error:
            self.error = error
        finally:
            connection.close()


@pytest.mark.parametrize("moment", ["cleanup_locked", "cleanup_deleted", "cleanup_before_commit", "cleanup_committed"])
def test_a_hold_set_during_a_batch_waits_for_it_and_knows(
    made: dict[str, Any], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    old(made, 6)
    holders: list[Holder] = []

    def passing(name: str) -> None:
        if name == moment and not holders:
            holders.append(Holder(target="made", object_id="2"))
            holders.append(Holder(target="made", object_id="5"))
            holders[1].join(0.15 if moment == "cleanup_committed" else 0.05)

    monkeypatch.setattr(failpoints, "passing", passing)
    clean(batch_size=3)
    for holder in holders:
        holder.join()
        assert holder.error is None
    assert not holders[0].is_held  # it was in the batch that was under way
    assert left(made) == ({5} if holders[1].is_held else set())
    if moment == "cleanup_committed":
        assert holders[1].is_held


class Moment:
    """Comes when a run has passed so many of its failpoints, and not after so long: no machine is too slow for it."""

    def __init__(self, passed: int) -> None:
        self._left = passed
        self.come = threading.Event()
        self.holder: Holder | None = None

    def passing(self, name: str) -> None:
        time.sleep(random.random() * 0.004)
        if self._left == 0:
            self.come.set()
            # Between two batches nothing keeps it waiting; in the midst of one it may get as far as it likes.
            assert self.holder is not None
            self.holder.join(10 if name == "cleanup_committed" else random.random() * 0.03)
        self._left -= 1


def test_no_held_row_goes_however_the_two_meet(made: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A hold that was set names a row that is there, and it stays; one that came too late was told so."""
    chance = random.Random(2026)
    policy = enabled(name="Made", targets=["made"], days=30)
    outcomes = {True: 0, False: 0}
    for number in range(INTERLEAVINGS):
        Hold.objects.all().delete()
        made["MadePointer"].objects.all().delete()
        for name in ("MadeGrandchild", "MadeChild", "MadeParent"):
            made[name].objects.all().delete()
        old(made, 6, of="a")
        size = chance.choice((1, 2, 3, 6))
        change(policy, batch_size=size)
        by_scope = chance.random() < 0.3
        wanted: dict[str, Any] = (
            {"scope": "of", "value": "a"} if by_scope else {"object_id": str(chance.randrange(1, 7))}
        )
        batch = chance.randrange((6 // size + 1) // 2)
        moment = Moment(4 * batch + chance.choice((0, 1, 2, 3, 3, 3)))  # each batch passes four, a commit last
        monkeypatch.setattr(failpoints, "passing", moment.passing)
        target = ANY_TARGET if by_scope else "made"
        holder = moment.holder = Holder(moment.come.wait, lambda: left(made), target=target, **wanted)
        run_policy(policy)
        moment.come.set()
        holder.join()
        assert holder.error is None, (number, holder.error)
        if by_scope:
            run_policy(policy)
            assert left(made) == holder.saw, number  # what was there when it was set is still there
        else:
            assert left(made) == ({int(wanted["object_id"])} if holder.is_held else set()), number
            outcomes[holder.is_held] += 1
    assert all(outcomes.values()), f"the two never met: {outcomes}"


def run_policy(policy: Any) -> None:
    running.perform(begin(policy))


def test_the_last_of_each_group_stay_and_a_held_one_counts_among_them(made: dict[str, Any]) -> None:
    old(made, 5)
    old(made, 5, first=10, of="b")
    holding.add_hold(None, target="made", object_id="5", reason="Among the last of its group as it is")
    policy = enabled(name="Keeps", targets=["made"], days=30, keep_last=2)
    (finding,) = planner.preview(policy, clock.now()).findings
    assert (finding.count, finding.kept, finding.held) == (6, 3, 1)
    change(policy, batch_size=2)
    for _ in range(2):
        run_policy(policy)
        assert left(made) == {4, 5, 13, 14}
