"""How many messages lie in each queue of the broker; a broker that does not answer never holds up a page."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass

from django.conf import settings
from kombu import Connection

from scheduler_site.celery import transport_options
from schedules import repeats

SECONDS = 1.5
"""How long a page waits; the asking itself gives up soon after."""


@dataclass(frozen=True)
class Depths:
    """What the broker said, or why it said nothing."""

    messages: dict[str, int]
    trouble: str = ""


def ask(queues: Collection[str]) -> Depths:
    """The number of messages in each queue; answers within two seconds whatever the broker does."""
    answer: list[Depths] = []
    # A thread: names that do not resolve and servers that accept and then say nothing know no timeout of ours.
    asking = threading.Thread(target=lambda: answer.append(_ask(queues)), name="broker-depths", daemon=True)
    asking.start()
    asking.join(SECONDS)
    return answer[0] if answer else Depths({}, f"The message broker did not answer within {SECONDS} seconds.")


def _ask(queues: Collection[str]) -> Depths:
    options = transport_options(settings.BROKER_URL, settings.BROKER_PREFIX) | {
        "socket_connect_timeout": 1, "socket_timeout": 1, "read_timeout": 1, "write_timeout": 1,
    }  # fmt: skip
    if not settings.BROKER_URL.startswith("amqp"):
        options = {name: value for name, value in options.items() if name not in ("read_timeout", "write_timeout")}
    try:
        with Connection(settings.BROKER_URL, transport_options=options, connect_timeout=1) as broker:
            broker.ensure_connection(max_retries=1, timeout=1)
            return Depths({queue: repeats.depth(broker, queue) for queue in queues})
    except Exception as error:
        return Depths({}, f"The message broker does not answer ({type(error).__name__}).")
