"""A paused queue: its runs wait, whatever way they come, and start when it is resumed."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError

from runs import clock, ledger, occurrences, queue_pauses
from runs.models import AuditEntry, Run
from runs.states import State, Trigger
from schedules import messages, publisher

pytestmark = pytest.mark.django_db


def plan(queue: str) -> Run:
    return ledger.plan(ledger.NewRun("test", None, "Test", Trigger.MANUAL, queue=queue))


def test_nothing_is_sent_or_starts_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(messages, "send", lambda app, producer, batch: sent.extend(run.pk for run in batch))
    waiting, other = plan("mail"), plan("default")
    queue_pauses.pause_queue(None, "mail", reason="the provider asked us to")
    assert ledger.claim(waiting.pk, "w") is None, "its message was already with the broker"
    Run.objects.update(next_publish_at=clock.now())
    publisher.publish_due(None, None)  # type: ignore[arg-type]
    assert sent == [other.pk]
    unsent = occurrences.Unsent(plan("mail").pk, "mail", 60)
    publisher.publish(None, None, [unsent])  # type: ignore[arg-type]
    assert sent == [other.pk], "one that was planned a moment ago waits as well"

    assert queue_pauses.resume_queue(None, "mail")
    Run.objects.filter(state=State.PLANNED).update(next_publish_at=clock.now())
    publisher.publish_due(None, None)  # type: ignore[arg-type]
    assert sorted(sent) == sorted([other.pk, waiting.pk, unsent.pk])
    assert ledger.claim(waiting.pk, "w") is not None


def test_it_takes_a_reason_and_a_permission_and_is_recorded() -> None:
    nobody = User.objects.create_user("nobody", is_staff=True)
    with pytest.raises(PermissionDenied):
        queue_pauses.pause_queue(nobody, "mail", reason="x")
    with pytest.raises(ValidationError, match="Say why"):
        queue_pauses.pause_queue(None, "mail", reason="")
    assert not queue_pauses.resume_queue(None, "mail")
    queue_pauses.pause_queue(None, "mail", reason="x")
    with pytest.raises(ValidationError, match="already"):
        queue_pauses.pause_queue(None, "mail", reason="x")
    assert list(queue_pauses.paused()) == ["mail"]
    queue_pauses.resume_queue(None, "mail")
    actions = list(AuditEntry.objects.filter(was_refused=False).order_by("id").values_list("action", flat=True))
    assert actions == ["paused the queue", "resumed the queue"]
