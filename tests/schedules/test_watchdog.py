"""The watchdog sees each kind of trouble, is silent when there is none, and only one process checks at a time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from runs import canaries, clock, heartbeats, ledger
from runs.models import Alert, Heartbeat, QueueCanary, Run
from runs.states import State, Trigger
from schedules import expectations, findings, planner, signals, watchdog
from schedules.models import Schedule
from schedules.watchdog import Finding
from tests.integration.stack import free_port, wait_until
from tests.schedules.conftest import FakeClock

pytestmark = pytest.mark.django_db

Create = Callable[..., Schedule]
SetClock = Callable[[str], FakeClock]
START = "2026-11-21T09:00:30"


@pytest.fixture(autouse=True)
def nobody_outside(settings: Any) -> None:
    settings.ALERT_MAIL = ["ops@example.org"]
    settings.ALERT_URLS = []
    settings.WATCHDOG_PING_URL = ""


@pytest.fixture
def now(fake_clock: SetClock) -> FakeClock:
    return fake_clock(START)


@pytest.fixture
def create(create: Create, now: FakeClock) -> Create:
    """As the house's own, with the moment of the test instead of the machine's."""

    def make(**changes: Any) -> Schedule:
        schedule = create(**changes)
        change(schedule, created_at=now.value, changed_at=now.value)
        return schedule

    return make


def alive() -> None:
    """A beat, a worker and canaries, all of this moment."""
    for name, role in (("b", "beat"), ("w", "worker"), (canaries.SENDER, "watchdog")):
        heartbeats.beat(name, role, clock.now())


def keys(now: FakeClock) -> list[str]:
    alive()
    return [finding.key for finding in watchdog.check(now.value)]


def one(now: FakeClock) -> Finding:
    alive()
    (finding,) = watchdog.check(now.value)
    return finding


def ago(now: FakeClock, seconds: float) -> datetime:
    return now.value - timedelta(seconds=seconds)


def plan(**changes: Any) -> Run:
    values: dict[str, Any] = {"kind": "test", "target_id": None, "target_label": "Test", "trigger": Trigger.MANUAL}
    return ledger.plan(ledger.NewRun(**{**values, **changes}))


def change(row: Run | Schedule, **values: Any) -> None:
    type(row)._default_manager.filter(pk=row.pk).update(**values)


def every_minute_until(create: Create, now: FakeClock, iso: str, **more: Any) -> Schedule:
    """A schedule that ran each minute up to that time, as a beat would have planned it."""
    schedule = create(expression="* * * * *", **more)
    until = datetime.fromisoformat(f"{iso}+00:00")
    while now.value < until:
        now.value += timedelta(minutes=1)
        planner.plan_due()
    Run.objects.update(state=State.SUCCEEDED, next_publish_at=None)
    schedule.refresh_from_db()
    return schedule


def test_all_is_well(now: FakeClock, create: Create) -> None:
    create()
    assert keys(now) == []


def test_late_schedules_are_one_finding(now: FakeClock, create: Create) -> None:
    rows = [create(name=f"S{number}") for number in range(5)]
    for row in rows:
        change(row, next_due_at=ago(now, 59))
    assert "late" not in keys(now)
    for row in rows:
        change(row, next_due_at=ago(now, 61), cursor_at=ago(now, 90), expression="* * * * *", settled_timing="")
    finding = next(finding for finding in watchdog.check(now.value) if finding.key == "late")
    assert finding.detail.startswith("5 schedules overdue, for up to 1 minute")
    assert finding.detail.endswith(": S0, S1, S2 and 2 more")


def test_more_than_can_be_counted(now: FakeClock, create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "LIMIT", 2)
    for number in range(4):
        change(create(name=f"S{number}"), next_due_at=ago(now, 61))
    (finding,) = findings.late(now.value)
    assert finding.detail.startswith("more than 2 schedules overdue")


def test_a_due_time_without_a_row_is_found(now: FakeClock, create: Create) -> None:
    schedule = every_minute_until(create, now, "2026-11-21T09:20:30")
    assert keys(now) == []
    Run.objects.filter(due_at__minute=10).delete()
    finding = one(now)
    assert finding.key == f"missing:{schedule.pk}" and finding.schedule_id == schedule.pk and finding.is_error
    assert finding.detail == "1 due time without any record, the first Sat 21 Nov 2026, 09:10 UTC."
    assert finding.url.endswith(f"/schedule/{schedule.pk}/")


def test_paused_ones_are_compared_as_well(now: FakeClock, create: Create) -> None:
    every_minute_until(create, now, "2026-11-21T09:05:30")
    schedule = Schedule.objects.get()
    change(schedule, paused_at=now.value, pause_reason="tea", settled_timing="")
    now.value += timedelta(minutes=5)
    planner.plan_due()
    assert set(Run.objects.order_by("-due_at").values_list("state", flat=True)[:5]) == {State.SKIPPED}
    assert keys(now) == []
    Run.objects.filter(due_at__minute=8).delete()
    assert keys(now) == [f"missing:{schedule.pk}"]


def test_what_was_due_before_an_edit_is_not_expected(now: FakeClock, create: Create) -> None:
    schedule = every_minute_until(create, now, "2026-11-21T09:20:30")
    Run.objects.all().delete()
    assert len(keys(now)) == 1
    change(schedule, changed_at=now.value)
    assert keys(now) == []


def test_a_row_that_sums_up_stands_for_what_follows(now: FakeClock, create: Create) -> None:
    every_minute_until(create, now, "2026-11-21T09:20:30")
    Run.objects.filter(due_at__minute__in=(10, 11, 12)).delete()
    Run.objects.filter(due_at__minute=9).update(folded_count=3)
    assert keys(now) == []
    Run.objects.filter(due_at__minute=15).delete()
    assert len(keys(now)) == 1


def test_a_schedule_that_would_silently_never_start_is_found(now: FakeClock, create: Create) -> None:
    schedule = create()
    change(schedule, next_due_at=None)
    finding = one(now)
    assert finding.key == f"missing:{schedule.pk}"
    assert finding.detail == "Its next run is noted as none; by its timing it is Mon 23 Nov 2026, 09:00 UTC."


def test_one_that_has_ended_is_well(now: FakeClock, create: Create) -> None:
    every_minute_until(create, now, "2026-11-21T09:05:30", max_runs=2)
    every_minute_until(create, now, "2026-11-21T09:10:30", name="Until", ends_at=now.value + timedelta(minutes=2))
    create(name="Once", mode="once", expression="", once_at=now.value + timedelta(minutes=1))
    now.value += timedelta(minutes=3)
    planner.plan_due()
    Run.objects.update(state=State.SUCCEEDED, next_publish_at=None)
    assert Schedule.objects.filter(next_due_at=None).count() == 3
    assert keys(now) == []


def test_unreadable_ones_are_left_to_their_own_check(now: FakeClock, create: Create) -> None:
    change(create(), expression="nonsense", settled_timing="")
    assert keys(now) == []


def test_they_are_compared_in_turn(now: FakeClock, create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expectations, "PIECE", 2)
    monkeypatch.setattr(expectations, "AT_MOST", 2)
    rows = [create(name=f"S{number}") for number in range(5)]
    for row in (rows[0], rows[4]):
        change(row, next_due_at=None)
    position = expectations.Position()
    seen = []
    for _ in range(4):
        found, position = expectations.compare(now.value, position)
        seen.append([finding.schedule_id for finding in found])
    # Found ones are looked at each time; the turn begins anew after the last one.
    assert seen == [[rows[0].pk], [rows[0].pk], [rows[0].pk, rows[4].pk], [rows[0].pk, rows[4].pk]]
    change(rows[0], next_due_at=rows[0].next_due_at)
    found, position = expectations.compare(now.value, position)
    assert [finding.schedule_id for finding in found] == [rows[4].pk]


def test_many_wrong_ones_are_summed_up(now: FakeClock, create: Create, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "ONE_BY_ONE", 2)
    for number in range(5):
        change(create(name=f"S{number}"), next_due_at=None)
    found = watchdog.check(now.value)
    missing = [finding for finding in found if finding.key.startswith("missing")]
    assert len(missing) == 3 and missing[-1].key == "missing"
    assert missing[-1].detail == "3 further schedules: S2, S3, S4"


def test_runs_that_cannot_be_sent_are_one_finding(now: FakeClock) -> None:
    runs = [plan(), plan()]
    assert keys(now) == []
    for run in runs:
        change(run, next_publish_at=ago(now, 61))
    assert one(now).key == "unpublished" and one(now).detail.startswith("2 runs waiting")
    change(runs[0], state=State.PUBLISHED)
    change(runs[1], next_publish_at=now.value + timedelta(seconds=60))  # it waits for another attempt
    assert keys(now) == []


def published(now: FakeClock, **values: Any) -> Run:
    run = plan(queue=values.pop("queue", "default"), schedule_id=values.pop("schedule_id", None))
    facts = {"state": State.PUBLISHED, "published_at": ago(now, 91), "publish_count": 2, "next_publish_at": now.value}
    change(run, **facts | values)
    return run


def test_runs_that_no_worker_takes_are_found_by_queue(now: FakeClock) -> None:
    for queue in ("default", "reports", "reports"):
        published(now, queue=queue)
    assert keys(now) == ["unclaimed:default", "unclaimed:reports"]


def test_when_the_workers_are_busy_it_is_only_a_warning(now: FakeClock) -> None:
    published(now)
    assert one(now).is_error
    assert ledger.claim(plan().pk, "w") is not None
    assert not one(now).is_error and "busy" in one(now).detail


@pytest.mark.parametrize(
    "values",
    [
        {"published_at": "fresh"},
        {"not_before_at": "fresh"},
        {"publish_count": 1},
        {"attempt": 1},
        {"state": State.RUNNING, "next_publish_at": None},
    ],
)
def test_runs_that_wait_for_a_reason_are_no_trouble(now: FakeClock, values: dict[str, Any]) -> None:
    published(now, **{name: ago(now, 80) if value == "fresh" else value for name, value in values.items()})
    assert keys(now) == []


def test_a_run_behind_another_one_of_its_schedule_is_no_trouble(now: FakeClock) -> None:
    running = plan(schedule_id=7)
    assert ledger.claim(running.pk, "w") is not None
    published(now, schedule_id=7)
    assert keys(now) == []


def test_a_lost_worker_whose_run_nobody_takes_up(now: FakeClock) -> None:
    run = plan()
    assert ledger.claim(run.pk, "w") is not None
    change(run, lease_until=ago(now, 59))
    assert keys(now) == []
    change(run, lease_until=ago(now, 61))
    assert keys(now) == ["stuck"]


def test_a_run_far_beyond_its_time_limit(now: FakeClock) -> None:
    run = plan(time_limit_seconds=60)
    assert ledger.claim(run.pk, "w") is not None
    change(run, started_at=ago(now, 179))
    assert keys(now) == []
    change(run, started_at=ago(now, 181))
    assert keys(now) == ["overtime"]


def test_silent_processes(now: FakeClock) -> None:
    assert [finding.key for finding in findings.processes(now.value)] == ["beat", "worker"]
    alive()
    now.value += timedelta(seconds=14)
    assert not list(findings.processes(now.value))
    now.value += timedelta(seconds=2)
    (finding,) = findings.processes(now.value)
    assert finding.key == "beat" and "The last one was seen 16 seconds ago." in finding.detail
    now.value += timedelta(seconds=45)
    assert [finding.key for finding in findings.processes(now.value)] == ["beat", "worker"]


def test_queues_that_nobody_reads_or_that_are_busy(now: FakeClock) -> None:
    QueueCanary.objects.create(queue="default", sent_at=ago(now, 41))
    QueueCanary.objects.create(queue="reports", sent_at=ago(now, 1000))
    assert ledger.claim(plan(queue="reports").pk, "w") is not None
    alive()
    assert [(finding.key, finding.level) for finding in watchdog.check(now.value)] == [
        ("deaf:default", "error"),
        ("busy:reports", "warning"),
    ]


def test_a_broker_that_takes_no_messages(now: FakeClock) -> None:
    heartbeats.beat("b", "beat", now.value)
    assert not list(findings.queues(now.value))  # it has only just started
    now.value += timedelta(seconds=91)
    heartbeats.beat("b", "beat", now.value)
    assert [finding.key for finding in findings.queues(now.value)] == ["unsent"]
    heartbeats.beat(canaries.SENDER, "watchdog", ago(now, 31))
    assert not list(findings.queues(now.value))


def test_a_wrong_clock_is_named(now: FakeClock) -> None:
    heartbeats.beat("beat@a", "beat", now.value, skew_seconds=0.4)
    heartbeats.beat("worker@b", "worker", now.value, skew_seconds=-2.5)
    heartbeats.beat("worker@gone", "worker", ago(now, 100), skew_seconds=99)
    (finding,) = findings.clocks(now.value)
    assert finding.key == "clock:worker@b" and not finding.is_error and "2.5 s behind" in finding.detail


def test_broken_schedules_are_told_to_their_owners(
    now: FakeClock, create: Create, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = User.objects.create_user("anna")
    broken = create(name="Letter")
    change(broken, broken_reason="It cannot be read.", next_due_at=None, owner=anna)
    assert one(now) == Finding(
        f"broken:{broken.pk}", "“Letter” is broken", "It cannot be read.", schedule_id=broken.pk, owner_id=anna.pk,
        url=f"/admin/schedules/schedule/{broken.pk}/",
    )  # fmt: skip
    monkeypatch.setattr(findings, "ONE_BY_ONE", 1)
    change(create(name="Other"), broken_reason="No.")
    assert keys(now) == [f"broken:{broken.pk}", "broken"]


def test_a_faulty_check_hides_nothing(now: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(now: datetime) -> list[Finding]:
        raise ZeroDivisionError("oh")

    watchdog.act(now.value)
    assert Alert.objects.filter(resolved_at=None).count() == 2
    monkeypatch.setitem(findings.CHECKS, "processes", faulty)
    assert [finding.key for finding in watchdog.act(now.value)] == ["fault:processes"]
    assert Alert.objects.filter(resolved_at=None).count() == 3  # what it would have seen is unknown


def test_checks_cost_a_fixed_number_of_queries(
    now: FakeClock, create: Create, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        create(name=f"S{number}", expression="* * * * *")
    now.value += timedelta(minutes=30)
    planner.plan_due()
    Run.objects.update(state=State.SUCCEEDED, next_publish_at=None)
    alive()
    with django_assert_max_num_queries(20):
        assert watchdog.check(now.value) == []


def test_findings_become_alerts_and_end_with_their_cause(now: FakeClock, create: Create) -> None:
    Alert.objects.create(key="other:1", title="Not ours", first_seen_at=now.value, last_seen_at=now.value, told_count=1)
    Alert.objects.update(told_at=now.value)
    watchdog.run_check()
    assert set(Alert.objects.values_list("key", flat=True)) == {"watchdog:beat", "watchdog:worker", "other:1"}
    assert [message.subject for message in mail.outbox] == ["Almanac: 2 problems"]
    now.value += timedelta(seconds=16)
    alive()
    watchdog.run_check()
    assert set(Alert.objects.filter(resolved_at=None).values_list("key", flat=True)) == {"other:1"}
    assert mail.outbox[1].subject == "Almanac: recovered: 2 problems" and len(mail.outbox) == 2


def test_of_several_processes_only_one_checks_in_each_period(now: FakeClock) -> None:
    assert watchdog.run_check() is not None
    now.value += timedelta(seconds=14)
    assert watchdog.run_check() is None
    assert watchdog.seconds_to_next() == pytest.approx(1)
    now.value += timedelta(seconds=1)
    assert watchdog.run_check() is not None
    assert watchdog.run_check() is None


def test_a_clock_that_was_put_back_does_not_end_the_checks(now: FakeClock) -> None:
    watchdog.run_check()
    now.value -= timedelta(hours=1)
    assert watchdog.run_check() is not None and watchdog.run_check() is None


@pytest.mark.django_db(transaction=True)
def test_processes_that_race_check_once() -> None:
    heartbeats.beat(watchdog.NAME, "watchdog", clock.now() - timedelta(seconds=20))
    together = threading.Barrier(4)
    turns: list[bool] = []

    def race() -> None:
        try:
            together.wait(10)
            turns.append(watchdog._take_turn(clock.now()))
        finally:
            connection.close()

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(turns) == [False, False, False, True]


def test_processes_dead_for_a_day_are_forgotten(now: FakeClock) -> None:
    heartbeats.beat("old", "worker", ago(now, 86_500))
    heartbeats.beat("silent", "beat", ago(now, 86_300))
    watchdog.run_check()
    assert set(Heartbeat.objects.values_list("name", flat=True)) == {"silent", watchdog.NAME}


@pytest.fixture
def pings(settings: Any) -> Iterator[list[str]]:
    """A web server that counts the pings."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.WATCHDOG_PING_URL = f"http://127.0.0.1:{server.server_address[1]}/code"
    yield seen
    server.shutdown()
    server.server_close()


def test_it_pings_once_a_minute_while_all_is_well(now: FakeClock, pings: list[str]) -> None:
    for _ in range(5):
        alive()
        watchdog.run_check()
        now.value += timedelta(seconds=15)
    assert pings == ["/code", "/code"]
    now.value += timedelta(seconds=60)  # the beat is silent now
    watchdog.run_check()
    assert len(pings) == 2


def test_a_warning_does_not_stop_the_pings(now: FakeClock, pings: list[str]) -> None:
    alive()
    heartbeats.beat("b2", "beat", now.value, skew_seconds=3)
    watchdog.run_check()
    assert len(pings) == 1


def test_a_ping_that_fails_is_only_logged(now: FakeClock, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.WATCHDOG_PING_URL = f"http://127.0.0.1:{free_port()}/secret-code"
    alive()
    assert watchdog.run_check() == []
    assert "the ping of WATCHDOG_PING_URL failed" in caplog.text and "secret-code" not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_the_thread_outlives_an_outage(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def flaky() -> None:
        calls.append(1)
        if len(calls) < 4:
            raise OperationalError("away")

    caplog.set_level("INFO", "schedules.watchdog")
    monkeypatch.setattr(watchdog, "START_SECONDS", 0)
    monkeypatch.setattr(watchdog, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(watchdog, "run_check", flaky)
    monkeypatch.setattr(watchdog, "seconds_to_next", lambda: 0.05)
    thread = watchdog.WatchdogThread()
    thread.start()
    wait_until(lambda: len(calls) > 5, 10, "it checks again")
    thread.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert caplog.text.count("cannot check") == 1 and caplog.text.count("can check again") == 1


def test_a_worker_starts_it_once_and_stops_it_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_thread", None)
    monkeypatch.setattr(watchdog, "START_SECONDS", 60)
    signals.start()
    first = signals._thread
    signals.start()
    assert first is not None and first is signals._thread and first.is_alive() and first.daemon
    began = time.monotonic()
    signals.stop()
    assert time.monotonic() - began < 0.5
    first.join(5)
    assert not first.is_alive()


def test_the_command_tells_and_says_by_its_exit_code(now: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("watchdog", "--dry-run")
    assert ended.value.code == 1 and "error: No beat is running: " in capsys.readouterr().out
    assert not Alert.objects.exists() and not Heartbeat.objects.exists()
    with pytest.raises(SystemExit):
        call_command("watchdog", "--json")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["key"] for line in lines] == ["beat", "worker"] and len(mail.outbox) == 1
    alive()
    call_command("watchdog")
    assert capsys.readouterr().out == "Everything is as it should be.\n"
    assert not Alert.objects.filter(resolved_at=None).exists()


def test_the_command_goes_on_where_the_last_check_ended(now: FakeClock) -> None:
    alive()
    call_command("watchdog")
    assert Heartbeat.objects.get(name=watchdog.NAME).details == {"after_id": 0, "suspects": []}


def test_the_command_says_that_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> datetime:
        raise OperationalError("no route")

    monkeypatch.setattr(clock, "now", away)
    with pytest.raises(CommandError, match="The database does not answer"):
        call_command("watchdog")


def test_a_death_is_told_within_ninety_seconds() -> None:
    """The next canary goes out 30 s after the last one, its silence counts after 40 s, the next check comes in 15 s."""
    longest = canaries.CANARY_SECONDS + canaries.UNANSWERED.total_seconds() + watchdog.CHECK_SECONDS
    assert longest < 90
