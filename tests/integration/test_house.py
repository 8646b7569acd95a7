"""The whole house on real parts: from a schedule to the mailbox, the file and the emptied table."""

from __future__ import annotations

import signal
import time
from collections import Counter
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from PIL import Image as PillowImage

from cleanup import services as cleanup_services
from cleanup.models import CleanupPolicy
from newsletters import floods
from newsletters.models import Delivery, Image, Issue, Newsletter, Subscription
from reports.models import Artefact, ReportDefinition
from runs import clock
from runs.models import Heartbeat, Notice, Run
from runs.states import FINAL, Reason, State, Trigger
from schedules import services
from schedules.drafts import ScheduleDraft
from schedules.models import OutsideEdit, Schedule
from tests.integration.stack import Stack, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def demo(transactional_db: None) -> None:
    call_command("loaddata", "demo_newsletters", "demo_reports", "demo_cleanup", verbosity=0)


def finished(run_id: int) -> Run | None:
    run = Run.objects.get(pk=run_id)
    return run if run.state in FINAL else None


def runs_of(schedule: Schedule) -> list[Run]:
    return list(Run.objects.filter(schedule_id=schedule.pk).order_by("due_at", "id"))


def every_minute(name: str, kind: str, target_id: int, **more: object) -> Schedule:
    draft = ScheduleDraft.for_kind(kind, name=name, target_id=target_id, expression="* * * * *", **more)
    return services.create_schedule(None, draft)


def up(stack: Stack, beats: int = 1, workers: int = 1) -> None:
    for _ in range(beats):
        stack.start_beat()
    for _ in range(workers):
        stack.start_worker()
    wait_until(lambda: Heartbeat.objects.filter(role="beat").count() >= beats, 30, "the beats are up")
    wait_until(lambda: Heartbeat.objects.filter(role="worker").count() >= workers, 30, "the workers are up")


def test_a_newsletter_goes_from_its_schedule_to_every_mailbox_once(stack: Stack, demo: None) -> None:
    up(stack, beats=2)
    newsletter = Newsletter.objects.get(name="Weekly letter")
    schedule = every_minute("Letter", "newsletter", newsletter.pk, max_runs=1)
    run = wait_until(lambda: Run.objects.filter(schedule_id=schedule.pk).first(), 70, "the minute came")
    done = wait_until(lambda: finished(run.pk), 60, "the run ended")
    assert (done.state, done.trigger) == (State.SUCCEEDED, Trigger.SCHEDULE), done.error
    assert "200 sent" in done.result.replace("200 mails sent", "200 sent")
    assert len(stack.mailbox.mails) == 200 and set(Counter(stack.mailbox.recipients()).values()) == {1}
    assert Run.objects.filter(schedule_id=schedule.pk).count() == 1  # two beats, one row

    mail = next(mail for mail in stack.mailbox.mails)
    raw_headers = mail.content.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
    unsubscribe_line = next(line for line in raw_headers if line.lower().startswith(b"list-unsubscribe:"))
    assert unsubscribe_line.count(b"<http") == 1 and b"=?" not in unsubscribe_line
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in raw_headers
    message = message_from_bytes(mail.content, policy=default)
    body = message.get_body(preferencelist=("plain",))
    assert body is not None
    name = Delivery.objects.get(issue__run_id=run.pk, email=mail.recipients[0]).subscriber.name  # type: ignore[union-attr]
    assert name in body.get_content()

    url = unsubscribe_line.split(b"<", 1)[1].split(b">", 1)[0].decode()
    path = "/" + url.split("/", 3)[3]
    reader = Client()
    before = Subscription.objects.filter(state="unsubscribed").count()
    assert reader.get(path).status_code == 200
    assert Subscription.objects.filter(state="unsubscribed").count() == before
    answer = Client(enforce_csrf_checks=True).post(path, {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert Subscription.objects.filter(state="unsubscribed").count() == before + 1


def test_a_report_is_run_now_and_downloaded_by_those_who_may(stack: Stack, demo: None, django_user_model: Any) -> None:
    up(stack)
    definition = ReportDefinition.objects.first()
    assert definition is not None
    draft = ScheduleDraft.for_kind("report", name="Weekly", target_id=definition.pk, expression="0 7 * * mon")
    schedule = services.create_schedule(None, draft)
    run = services.run_now(None, schedule.pk)
    done = wait_until(lambda: finished(run.pk), 30, "the report ended")
    assert done.state == State.SUCCEEDED, done.error
    artefact = Artefact.objects.get(report_run__run_id=run.pk)
    link = done.links.get().url
    anna = django_user_model.objects.create_superuser("anna")
    client = Client()
    assert client.get(link).status_code == 302  # to the sign-in
    client.force_login(anna)
    answer: Any = client.get(link)
    content = b"".join(answer.streaming_content)
    assert answer.status_code == 200 and len(content) == artefact.byte_count
    nobody = django_user_model.objects.create_user("nobody", is_staff=True)
    other = Client()
    other.force_login(nobody)
    assert other.get(link).status_code == 403


def test_a_cleanup_deletes_what_its_preview_said(stack: Stack, demo: None) -> None:
    up(stack)
    old = timezone.now() - timedelta(days=60)
    Session.objects.bulk_create(
        [Session(session_key=f"old{n}", session_data="", expire_date=old) for n in range(1234)]
        + [
            Session(session_key=f"new{n}", session_data="", expire_date=timezone.now() + timedelta(days=1))
            for n in range(5)
        ]
    )
    pending = Subscription.objects.filter(state="pending").count()
    policy = CleanupPolicy.objects.get(name="Old sign-ups and sessions")
    cleanup_services.preview_policy(None, policy.pk)
    cleanup_services.enable_policy(None, policy.pk)
    draft = ScheduleDraft.for_kind("cleanup", name="Nightly", target_id=policy.pk, expression="30 3 * * *")
    schedule = services.create_schedule(None, draft)
    run = services.run_now(None, schedule.pk)
    done = wait_until(lambda: finished(run.pk), 60, "the cleanup ended")
    assert done.state == State.SUCCEEDED, done.error
    assert "1,234" in done.result or "1234" in done.result
    assert list(Session.objects.values_list("session_key", flat=True).order_by("session_key")) == [
        f"new{n}" for n in range(5)
    ]
    assert pending == 12 and not Subscription.objects.filter(state="pending").exists()


def test_a_pause_is_recorded_and_resume_fires_nothing(stack: Stack, demo: None) -> None:
    up(stack)
    schedule = every_minute("Paused", "report", ReportDefinition.objects.first().pk)  # type: ignore[union-attr]
    services.pause_schedule(None, schedule.pk, reason="Waiting for the new logo")
    skipped = wait_until(lambda: runs_of(schedule), 70, "the paused minute came")[0]
    assert (skipped.state, skipped.reason) == (State.SKIPPED, Reason.PAUSED)
    assert "new logo" in skipped.reason_text
    services.resume_schedule(None, schedule.pk)
    time.sleep(3)
    assert [run.state for run in runs_of(schedule)] == [State.SKIPPED] * len(runs_of(schedule))


def test_a_change_made_by_sql_is_noticed_within_five_seconds(stack: Stack, demo: None) -> None:
    stack.start_beat()
    definition = ReportDefinition.objects.first()
    assert definition is not None
    draft = ScheduleDraft.for_kind("report", name="Weekly", target_id=definition.pk, expression="0 7 * * mon")
    schedule = services.create_schedule(None, draft)
    wait_until(lambda: Heartbeat.objects.filter(role="beat").exists(), 30, "the beat is up")
    wait_until(lambda: not OutsideEdit.objects.exists(), 10, "the beat has read the notes")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_celery_beat_crontabschedule SET hour = '*', day_of_week = '*'")
    wait_until(lambda: Schedule.objects.get().expression == "0 * * * *", 5, "our row follows the stock row")
    PeriodicTask.objects.filter(pk=schedule.periodic_task_id).update(enabled=False)
    wait_until(lambda: Schedule.objects.get().is_paused, 5, "the switch pauses it")
    assert not Run.objects.exists()


def test_kill_9_of_a_beat_and_of_a_worker_loses_and_doubles_nothing(stack: Stack, demo: None) -> None:
    stack.mailbox.delay = 0.05
    up(stack, beats=2, workers=2)
    newsletter = Newsletter.objects.get(name="Weekly letter")
    schedule = every_minute("Letter", "newsletter", newsletter.pk, max_runs=1)
    run = wait_until(lambda: Run.objects.filter(schedule_id=schedule.pk).first(), 70, "the minute came")
    stack.kill(stack.processes[0])  # a beat, right after it planned
    wait_until(lambda: len(stack.mailbox.mails) > 20, 30, "sending is under way")
    stack.kill(_worker_of(stack, run.pk))
    sent_at_kill = len(stack.mailbox.mails)
    assert sent_at_kill < 200
    done = wait_until(lambda: finished(run.pk), 90, "another worker finished it")
    assert done.attempt >= 2
    issue = Issue.objects.get(run_id=run.pk)
    states = Counter(Delivery.objects.filter(issue=issue).values_list("state", flat=True))
    recipients = Counter(stack.mailbox.recipients())
    assert max(recipients.values()) == 1, "somebody had it twice"
    uncertain = states.get(Delivery.State.UNCERTAIN, 0)
    assert uncertain <= 1
    assert states[Delivery.State.SENT] + uncertain == 200
    assert 200 - uncertain <= len(recipients) <= 200
    assert Run.objects.filter(schedule_id=schedule.pk).count() == 1


def test_sigterm_in_the_middle_of_a_sending_leaves_nothing_uncertain(stack: Stack, demo: None) -> None:
    stack.mailbox.delay = 0.05
    up(stack, workers=2)
    schedule = every_minute("Letter", "newsletter", Newsletter.objects.get(name="Weekly letter").pk, max_runs=1)
    run = services.run_now(None, schedule.pk)
    wait_until(lambda: len(stack.mailbox.mails) > 20, 30, "sending is under way")
    worker = _worker_of(stack, run.pk)
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=20)
    assert len(stack.mailbox.mails) < 200, "it stopped before the end"
    done = wait_until(lambda: finished(run.pk), 60, "another worker finished it")
    assert (done.state, done.attempt) == (State.SUCCEEDED, 2), done.error
    assert len(stack.mailbox.mails) == 200 and set(Counter(stack.mailbox.recipients()).values()) == {1}
    assert set(Delivery.objects.values_list("state", flat=True)) == {Delivery.State.SENT}


def _worker_of(stack: Stack, run_id: int):  # type: ignore[no-untyped-def]
    """The worker process (group) that is performing the run."""
    import psutil

    pid = int(Run.objects.get(pk=run_id).worker.rsplit(":", 1)[1])
    parents = {parent.pid for parent in psutil.Process(pid).parents()} | {pid}
    return next(process for process in stack.processes if process.pid in parents)


def test_a_broker_that_is_away_for_20_seconds_is_only_a_delay(stack: Stack, demo: None) -> None:
    up(stack)
    definition = ReportDefinition.objects.first()
    assert definition is not None
    now = clock.now()
    due = [now + timedelta(seconds=3 + 2 * n) for n in range(8)]
    schedules = [
        services.create_schedule(
            None,
            ScheduleDraft.for_kind("report", name=f"Once {n}", target_id=definition.pk, mode="once", once_at=moment),
        )
        for n, moment in enumerate(due)
    ]
    stack.valkey.kill()
    wait_until(
        lambda: Run.objects.filter(schedule_id__in=[s.pk for s in schedules]).count() == 8, 40, "all were planned"
    )
    time.sleep(max(0, (now + timedelta(seconds=20) - clock.now()).total_seconds()))
    assert not Run.objects.filter(state=State.SUCCEEDED).exists()
    stack.valkey.start()
    wait_until(lambda: Run.objects.filter(state=State.SUCCEEDED).count() == 8, 60, "all ran when the broker was back")
    for schedule in schedules:
        (run,) = runs_of(schedule)
        assert (run.state, run.attempt) == (State.SUCCEEDED, 1)


def test_a_broker_that_forgot_everything_is_only_a_delay(stack: Stack, demo: None) -> None:
    stack.start_beat()
    definition = ReportDefinition.objects.first()
    assert definition is not None
    draft = ScheduleDraft.for_kind("report", name="Weekly", target_id=definition.pk, expression="0 7 * * mon")
    schedule = services.create_schedule(None, draft)
    runs = [services.run_now(None, schedule.pk) for _ in range(3)]
    wait_until(lambda: Run.objects.filter(state=State.PUBLISHED).count() == 3, 30, "the messages are in the broker")
    import redis

    redis.Redis(port=stack.valkey.port).flushall()
    stack.start_worker()
    for run in runs:
        done = wait_until(lambda pk=run.pk: finished(pk), 60, "it ran all the same")  # type: ignore[misc]
        assert (done.state, done.attempt) == (State.SUCCEEDED, 1)


def test_feedback_is_answered_at_once_though_the_mail_server_takes_20_seconds(
    stack: Stack, demo: None, django_user_model: Any
) -> None:
    django_user_model.objects.create_superuser("anna", "anna@example.org")
    stack.mailbox.delay = 20
    token = floods.form_token("feedback")
    up(stack)
    time.sleep(floods.LEAST_SECONDS)  # nobody types faster
    started = time.monotonic()
    answer = Client().post(
        reverse("newsletters:feedback"),
        {"name": "Anna", "email": "anna@example.org", "text": "Thank you!", "token": token},
    )
    took = time.monotonic() - started
    assert answer.status_code in (200, 302) and took < 10
    wait_until(lambda: stack.mailbox.mails, 90, "staff got the mail")
    assert b"Thank you!" in stack.mailbox.mails[0].content


def test_a_large_image_is_taken_at_once_and_a_worker_makes_the_sizes(
    stack: Stack, demo: None, django_user_model: Any, tmp_path: Path
) -> None:
    up(stack)
    anna = django_user_model.objects.create_superuser("anna")
    client = Client()
    client.force_login(anna)
    photo = tmp_path / "photo.jpg"
    PillowImage.effect_noise((4000, 3000), 40).convert("RGB").save(photo, quality=90)  # 12 megapixels
    started = time.monotonic()
    with photo.open("rb") as file:
        answer = client.post(reverse("admin:newsletters_image_add"), {"upload": file, "alt": "The harbour"})
    took = time.monotonic() - started
    assert answer.status_code == 302 and took < 2, answer.content[:2000]
    image = Image.objects.get()
    wait_until(lambda: Image.objects.get().state == Image.State.READY, 60, "the sizes are made")
    assert [size.width for size in image.sizes.order_by("width")] == [320, 640, 1280]
    assert Notice.objects.filter(user=anna).exists()
