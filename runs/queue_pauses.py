"""Pausing a queue: its runs wait in the ledger until somebody resumes it."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from runs import audit, clock
from runs.audit import Actor
from runs.models import QueuePause

PERMISSION = "runs.pause_queue"


def paused() -> dict[str, QueuePause]:
    """The queues that are paused now, by name."""
    return {pause.queue: pause for pause in QueuePause.objects.all()}


def names() -> QuerySet[QueuePause, str]:
    """Their names as a condition of another query, which then needs none of its own."""
    return QueuePause.objects.order_by().values_list("queue", flat=True)


def pause_queue(actor: Actor, queue: str, *, reason: str) -> QueuePause:
    """From now on no run of this queue is sent or starts; those that run go on.

    Raises:
        ValidationError: no reason is given, or the queue is paused already.
        PermissionDenied: the actor may not.
    """
    audit.require(actor, PERMISSION, f"pause the queue {queue}"[:60])
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": "Say why it is paused, so that others understand."})
    if len(reason) > 200:
        raise ValidationError({"reason": "The reason is longer than 200 characters."})
    try:
        with transaction.atomic():
            pause = QueuePause.objects.create(
                queue=queue, reason=reason, paused_at=clock.now(), paused_by_name="" if actor is None else str(actor)
            )
            audit.record(actor, "paused the queue", pause, reason=reason)
    except IntegrityError:
        raise ValidationError(f"The queue “{queue}” is paused already.") from None
    return pause


def resume_queue(actor: Actor, queue: str) -> bool:
    """Lets its runs start again, the oldest first; False when it was not paused.

    Raises:
        PermissionDenied: the actor may not.
    """
    audit.require(actor, PERMISSION, f"resume the queue {queue}"[:60])
    with transaction.atomic():
        pause = QueuePause.objects.filter(queue=queue).first()
        if pause is None:
            return False
        audit.record(actor, "resumed the queue", pause, before={"paused_at": pause.paused_at, "reason": pause.reason})
        pause.delete()
    return True
