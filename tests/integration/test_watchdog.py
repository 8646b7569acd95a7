"""Nobody claims: people hear of it within 90 s, by mail, once, and again when it is over."""

from __future__ import annotations

import time
from email import message_from_bytes
from email.policy import default

import pytest
from django.conf import settings

from runs.models import Alert, Heartbeat, QueueCanary
from tests.integration.stack import Stack, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("sqlite" in settings.DATABASES["default"]["ENGINE"], reason="in the suite on PostgreSQL"),
]


def subjects(stack: Stack) -> list[str]:
    return [str(message_from_bytes(mail.content, policy=default)["Subject"]) for mail in stack.mailbox.mails]


def test_a_killed_worker_is_told_within_90_seconds_and_its_return_as_well(stack: Stack) -> None:
    stack.set("ALERT_MAIL", "ops@example.org")
    stack.start_beat()
    worker = stack.start_worker()
    wait_until(lambda: Heartbeat.objects.filter(role="worker").exists(), 30, "the worker is up")
    answered = QueueCanary.objects.exclude(answered_at=None)
    wait_until(lambda: answered.count() == 4, 45, "a canary came back through every queue")
    assert not Alert.objects.exists()
    stack.kill(worker)
    killed_at = time.monotonic()
    wait_until(lambda: stack.mailbox.mails, 90, "somebody was told")
    print(f"told after {time.monotonic() - killed_at:.0f} s: {subjects(stack)}")
    open_alerts = Alert.objects.filter(resolved_at=None)
    assert any("No worker" in alert.title for alert in open_alerts), [alert.title for alert in open_alerts]
    wait_until(
        lambda: open_alerts.filter(key__contains="deaf:").count() == 4, 60, "the canary of every queue is missed"
    )
    stack.start_worker()
    wait_until(lambda: not Alert.objects.filter(resolved_at=None).exists(), 75, "the problems are over")
    wait_until(lambda: any("recovered" in subject.lower() for subject in subjects(stack)), 30, "the recovery is told")
    assert len(stack.mailbox.mails) <= 5, "grouped, not one by one"
