"""Which due times run, which do not, and why: pure decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from runs.states import Reason, State
from schedules.policies import Decision, Pause, Policy, decide

NOW = datetime(2026, 11, 20, 17, 55, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def hours_ago(*hours: int) -> list[datetime]:
    return [NOW - timedelta(hours=h) for h in hours]


def outcomes(decisions: list[Decision]) -> list[tuple[State, Reason | None]]:
    return [(decision.state, decision.reason) for decision in decisions]


RUN = (State.PLANNED, None)
SUPERSEDED = (State.MISSED, Reason.SUPERSEDED)
OVERLAP = (State.SKIPPED, Reason.OVERLAP)
PAUSED = (State.SKIPPED, Reason.PAUSED)


def test_a_punctual_occurrence_runs() -> None:
    assert outcomes(decide([NOW], now=NOW, policy=Policy())) == [RUN]


def test_after_an_outage_only_the_latest_runs() -> None:
    decisions = decide(hours_ago(3, 2, 1), now=NOW, policy=Policy(missed="latest"))
    assert outcomes(decisions) == [SUPERSEDED, SUPERSEDED, RUN]


def test_a_punctual_one_is_the_latest() -> None:
    decisions = decide([*hours_ago(2, 1), NOW], now=NOW, policy=Policy(missed="latest"))
    assert outcomes(decisions) == [SUPERSEDED, SUPERSEDED, RUN]


def test_the_latest_is_not_among_these_when_more_follow() -> None:
    decisions = decide(hours_ago(3, 2), now=NOW, policy=Policy(missed="latest"), places_taken=1)
    assert outcomes(decisions) == [SUPERSEDED, SUPERSEDED]


def test_missed_ones_are_left_out_when_staff_chose_so() -> None:
    decisions = decide(hours_ago(2, 1), now=NOW, policy=Policy(missed="skip"))
    assert outcomes(decisions) == [(State.MISSED, Reason.NOTHING_RUNNING)] * 2


def test_all_missed_ones_run_up_to_the_cap_even_though_they_overlap() -> None:
    decisions = decide(hours_ago(4, 3, 2, 1), now=NOW, policy=Policy(missed="all", missed_cap=3))
    assert outcomes(decisions) == [SUPERSEDED, RUN, RUN, RUN]


def test_the_start_deadline_beats_catching_up() -> None:
    policy = Policy(missed="all", start_deadline=timedelta(minutes=90))
    assert outcomes(decide(hours_ago(2, 1), now=NOW, policy=policy)) == [(State.MISSED, Reason.DEADLINE), RUN]


def test_the_latest_that_is_past_its_deadline_is_not_replaced_by_an_older_one() -> None:
    policy = Policy(missed="latest", start_deadline=timedelta(minutes=30))
    assert outcomes(decide(hours_ago(2, 1), now=NOW, policy=policy)) == [(State.MISSED, Reason.DEADLINE)] * 2


def test_overlap_skip_queue_and_allow() -> None:
    assert outcomes(decide([NOW], now=NOW, policy=Policy(overlap="skip"), running=1)) == [OVERLAP]
    assert outcomes(decide([NOW], now=NOW, policy=Policy(overlap="skip"), waiting=1)) == [OVERLAP]
    assert outcomes(decide([NOW], now=NOW, policy=Policy(overlap="queue"), running=1)) == [RUN]
    assert outcomes(decide([NOW], now=NOW, policy=Policy(overlap="queue"), running=1, waiting=1)) == [OVERLAP]
    assert outcomes(decide([NOW], now=NOW, policy=Policy(overlap="allow"), running=3, waiting=3)) == [RUN]


def test_two_punctual_ones_in_one_look_overlap_each_other() -> None:
    assert outcomes(decide([NOW - MINUTE, NOW], now=NOW, policy=Policy())) == [RUN, OVERLAP]


def test_a_pause_covers_its_window_and_gives_the_reason() -> None:
    policy = Policy(
        missed="all",
        pauses=[Pause(NOW - timedelta(hours=3), NOW - timedelta(hours=1), "new logo")],
    )
    decisions = decide(hours_ago(4, 3, 2, 1), now=NOW, policy=policy)
    assert outcomes(decisions) == [RUN, PAUSED, PAUSED, RUN]
    assert decisions[1].reason_text == "paused: new logo"


def test_the_chosen_one_is_skipped_and_no_other() -> None:
    policy = Policy(missed="all", skip_at=hours_ago(2)[0])
    assert outcomes(decide(hours_ago(2, 1), now=NOW, policy=policy)) == [(State.SKIPPED, Reason.STAFF_SKIPPED), RUN]


def test_skipped_ones_do_not_use_up_the_number_of_runs() -> None:
    policy = Policy(missed="all", runs_left=1, skip_at=hours_ago(3)[0])
    decisions = decide(hours_ago(3, 2, 1), now=NOW, policy=policy)
    assert outcomes(decisions) == [(State.SKIPPED, Reason.STAFF_SKIPPED), RUN, (State.SKIPPED, Reason.ENDED)]


def test_every_due_time_gets_exactly_one_decision_in_order() -> None:
    due = [NOW - MINUTE * n for n in range(500, -1, -1)]
    decisions = decide(due, now=NOW, policy=Policy(missed="latest", start_deadline=timedelta(hours=2)))
    assert [decision.due_at for decision in decisions] == due
    assert [decision.due_at for decision in decisions if decision.is_planned] == [NOW - MINUTE]
    assert outcomes(decisions)[-1] == OVERLAP
