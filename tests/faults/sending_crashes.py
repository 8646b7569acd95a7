"""N2, N6: a newsletter is being sent while processes and servers are killed, and while staff pause it again and again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psutil
from django.db import OperationalError, connections

from newsletters import services
from newsletters.models import Delivery, Issue, List, Newsletter, Pace, Subscriber, Subscription
from runs import ledger
from runs.models import Run
from runs.states import OPEN, Trigger
from tests.faults.database_faults import Server
from tests.faults.house import House, away_from_database, is_sqlite, within
from tests.faults.results import Counts, Result
from tests.integration import mail_sink
from tests.integration.stack import wait_until

PAUSE_SECONDS = 2
"""Within so long a pause must act."""
QUIET_SECONDS = 1.0
"""A sending that handed over nothing for so long has stopped."""
LONGEST_WAIT = 1200


def _sink(house: House, milliseconds: float) -> mail_sink.Running:
    """The mail server of the test; the house's processes are told."""
    sink = mail_sink.Running(house.directory / "arrived.txt", milliseconds)
    house.preload |= {"EMAIL_URL": f"smtp://127.0.0.1:{sink.port}", "PUBLIC_URL": "https://news.example.org"}
    return sink


def _newsletter(recipients: int) -> Newsletter:
    """A newsletter to so many readers; what an earlier test left is gone."""
    for model in (Delivery, Issue, Newsletter, Subscription, Subscriber, List, Pace):
        model.objects.all().delete()
    readers = List.objects.create(name="Readers", slug="readers")
    people = Subscriber.objects.bulk_create(
        [
            Subscriber(email=f"r{n}@example.org", email_norm=f"r{n}@example.org", name=f"Reader {n}")
            for n in range(recipients)
        ],
        batch_size=2000,
    )
    Subscription.objects.bulk_create(
        [Subscription(subscriber=one, list=readers, state="confirmed") for one in people], batch_size=2000
    )
    letter = Newsletter.objects.create(
        name="Letter", subject="News for {{ name|you }}", body="Hello {{ name|there }}", from_email="desk@example.org"
    )
    letter.lists.set([readers])
    return letter


def _start(letter: Newsletter) -> Run:
    return ledger.plan(
        ledger.NewRun(
            kind="newsletter", target_id=letter.pk, target_label="Letter", trigger=Trigger.MANUAL,
            due_at=datetime.now(UTC), queue="newsletters", max_attempts=1000, time_limit_seconds=7200,
        )
    )  # fmt: skip


def killed_while_sending(house: House, counts: Counts) -> Result:
    """N2: workers, their pool processes, the beat and the broker are killed and the database restarted while it goes out."""
    rng = random.Random(2)
    house.set("SENDING_PROCESSES", "3")
    killed_senders = 0
    with _sink(house, 0 if counts.recipients > 10_000 else 2) as sink:
        letter = _newsletter(counts.recipients)
        _start(letter)
        house.up(beats=1, workers=2, concurrency=2)
        beat, workers = house.processes[-3], house.processes[-2:]
        wait_until(lambda: sink.number > 20, 60, f"the sending began: {house.tail()}")
        for number in range(counts.sending_kills):
            _wait_for_progress(sink, counts.recipients * (number + 1) // (counts.sending_kills + 2))
            what = rng.choice(["worker", "child", "child", "beat", "broker", "database"])
            if what == "worker":
                worker = workers.pop(0)
                killed_senders += len(_children(worker.pid))
                house.kill(worker)
                house.processes.remove(worker)
                house.start_worker(2)
                workers.append(house.processes[-1])
            elif what == "child":
                children = [pid for worker in workers for pid in _children(worker.pid)]
                if children:
                    house.kill_child(rng.choice(children))
                    killed_senders += 1
            elif what == "beat":
                house.kill(beat)
                house.processes.remove(beat)
                house.start_beat()
                beat = house.processes[-1]
            elif what == "broker":
                house.valkey.kill()
                time.sleep(0.5)
                house.valkey.start()
            elif not is_sqlite():
                _restart_database(counts)
        settled = within(LONGEST_WAIT, lambda: _asked(lambda: not Run.objects.filter(state__in=OPEN).exists()))
        issue = Issue.objects.get()
        arrived = sink.arrived()
    uncertain = set(issue.deliveries.filter(state=Delivery.State.UNCERTAIN).values_list("email", flat=True))
    expected = {f"r{number}@example.org" for number in range(counts.recipients)}
    missing = len(expected - set(arrived) - uncertain)
    doubled = sum(1 for times in arrived.values() if times > 1)
    adds_up = issue.sent + issue.failed + issue.skipped + issue.uncertain == issue.planned == counts.recipients
    return Result(
        id="N2",
        fault="kill -9 of workers, pool processes, beat and Valkey, and PostgreSQL restarted, while a newsletter goes out",
        counts=f"{counts.sending_kills} faults, {killed_senders} sending processes killed, {counts.recipients} recipients",
        ours={
            "missing": missing, "doubled": doubled, "uncertain": issue.uncertain,
            "settled_s": settled if settled is not None else LONGEST_WAIT,
        },
        bar="0 missing, 0 doubled, uncertain ≤ processes killed, every recipient accounted for",
        ok=settled is not None and not missing and not doubled and issue.uncertain <= killed_senders and adds_up
        and not issue.failed,
    )  # fmt: skip


def paused_at_random(house: House, counts: Counts) -> Result:
    """N6: staff pause at random moments and resume."""
    rng = random.Random(6)
    house.set("SENDING_PROCESSES", "2")
    slowest, late = 0.0, 0
    with _sink(house, 1) as sink:
        letter = _newsletter(max(counts.recipients, counts.pauses * 400))
        _start(letter)
        house.up(beats=1, workers=1, concurrency=2)
        wait_until(lambda: sink.number > 20, 60, f"the sending began: {house.tail()}")
        issue = Issue.objects.get()
        pauses = 0
        for _ in range(counts.pauses):
            time.sleep(rng.uniform(0.05, 0.8))
            issue.refresh_from_db()
            if issue.state != Issue.State.RUNNING:
                break
            services.pause_issue(None, issue.pk, "again")
            paused_at = time.monotonic()
            slowest = max(slowest, _last_mail(sink, paused_at))
            stands_at = sink.number
            wait_until(lambda: not Run.objects.filter(state__in=OPEN).exists(), 30, f"the run ended: {house.tail()}")
            late += sink.number - stands_at
            pauses += 1
            services.resume_issue(None, issue.pk)
        wait_until(lambda: not Run.objects.filter(state__in=OPEN).exists(), LONGEST_WAIT, f"it ended: {house.tail()}")
        arrived = sink.arrived()
    issue.refresh_from_db()
    expected = {row.email for row in Subscriber.objects.all()}
    missing, doubled = len(expected - set(arrived)), sum(1 for times in arrived.values() if times > 1)
    return Result(
        id="N6",
        fault="staff pause the sending at random moments and resume it",
        counts=f"{pauses} pauses, {len(expected)} recipients",
        ours={"missing": missing, "doubled": doubled, "uncertain": issue.uncertain, "late_mails": late, "slowest_pause_s": slowest},
        bar=f"0 missing, doubled, uncertain; each pause acts within {PAUSE_SECONDS} s",
        ok=not (missing or doubled or issue.uncertain or late) and slowest < PAUSE_SECONDS and pauses == counts.pauses
        and issue.sent == len(expected),
    )  # fmt: skip


def _last_mail(sink: mail_sink.Running, since: float) -> float:
    """Seconds from a pause to the last mail that still arrived; the wait after it is not counted."""
    number, last, changed_at = sink.number, 0.0, time.monotonic()
    while time.monotonic() - changed_at < QUIET_SECONDS:
        time.sleep(0.02)
        if (now := sink.number) != number:
            number, changed_at = now, time.monotonic()
            last = changed_at - since
    return last


def _wait_for_progress(sink: mail_sink.Running, number: int) -> None:
    """Waits until so many mails arrived, or for some seconds in which nothing did: a fault may hit during a recovery."""
    deadline = time.monotonic() + 15
    while sink.number < number and time.monotonic() < deadline:
        time.sleep(0.02)


def _children(pid: int) -> list[int]:
    """The processes of a worker's pool."""
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _restart_database(counts: Counts) -> None:
    server = Server()
    with away_from_database():
        if counts.is_alone and server.is_throw_away:
            server.crash()
        else:
            server.terminate_often(1)


def _asked(question: Callable[[], bool]) -> bool:
    """The answer; False while the database cannot be asked."""
    try:
        return question()
    except OperationalError:
        connections.close_all()
        return False
