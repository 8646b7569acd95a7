"""Messages that were sent before: sent again soon where the broker has lost them, and not while they only wait."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Case, F, Q, QuerySet, Value, When
from kombu import Connection

from runs import clock, ledger
from runs.models import Run
from runs.states import State

logger = logging.getLogger(__name__)

SURE_AFTER = 5
"""From this repeat on a run is sent again whatever lies in its queue: a queue that is never empty hides a lost message."""


class Watch:
    """Compares, every ``REPUBLISH_SECONDS``, what should lie in each queue with what the broker says.

    An empty queue whose runs nobody has claimed has lost their messages (a restart without a file, a flush): they go
    again at once, however far their back-off has taken them. While messages lie in the queue, most of those runs are
    merely waiting for their turn, and each copy would cost a worker a look: the next repeat is put off.
    """

    def __init__(self) -> None:
        self._looked_at = 0.0

    def look_if_due(self, broker: Connection) -> None:
        """Raises what the broker's connection raises."""
        if time.monotonic() - self._looked_at < settings.REPUBLISH_SECONDS:
            return
        self._looked_at = time.monotonic()
        for queue in list(_sent().order_by("queue").values_list("queue", flat=True).distinct()):
            if depth(broker, queue):
                put_off(queue)
            elif lost := send_again(queue):
                logger.warning("queue %s is empty although %s run(s) wait in it; sending again", queue, lost)


def depth(broker: Connection, queue: str) -> int:
    """Messages that lie in the queue and that no worker has taken."""
    try:
        # A channel of its own: RabbitMQ closes the one on which somebody asks for a queue that does not exist.
        with broker.channel() as opened:
            channel: Any = opened  # kombu's stubs leave out what every transport's channel can do
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
    except broker.channel_errors:
        return 0


def send_again(queue: str) -> int:
    """Makes those of the queue due that were sent a while ago; returns how many. A worker may just be claiming the rest."""
    now = clock.now()
    wait = timedelta(seconds=settings.REPUBLISH_SECONDS)
    a_while_ago = Q()
    for count in range(2, SURE_AFTER + 2):
        a_while_ago |= Q(publish_count=count, next_publish_at__lte=now - wait + ledger.publish_backoff(count))
    last = now - wait + ledger.publish_backoff(SURE_AFTER + 2)
    a_while_ago |= Q(publish_count__gt=SURE_AFTER + 1, next_publish_at__lte=last)
    return (
        _sent().filter(a_while_ago, queue=queue, next_publish_at__gt=now).update(next_publish_at=now, publish_count=1)
    )


def put_off(queue: str) -> int:
    """Lets the repeats that would go before the next look wait one step of the back-off longer; returns how many."""
    now = clock.now()
    steps = [
        When(publish_count=count, then=Value(now + ledger.publish_backoff(count + 1))) for count in range(1, SURE_AFTER)
    ]
    soon = now + timedelta(seconds=settings.REPUBLISH_SECONDS)
    repeats = _sent().filter(queue=queue, publish_count__lt=SURE_AFTER, next_publish_at__lte=soon)
    return repeats.update(next_publish_at=Case(*steps), publish_count=F("publish_count") + 1)


def _sent() -> QuerySet[Run]:
    """Runs of which at least one message went out and that nobody has claimed; the index of what waits finds them."""
    return Run.objects.filter(next_publish_at__isnull=False, state=State.PUBLISHED, publish_count__gte=1).order_by()
