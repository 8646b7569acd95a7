"""The messages that tell workers which run to perform: the same as Celery's own, made a thousand at a time.

Of a run's message only its number differs. So Celery and kombu make one message per queue and time limit, and the
others are cut from it. Making each anew takes eight times as long and is most of what publishing costs.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu import Producer

from runs.occurrences import Unsent
from schedules.tasks import TASK

MARK = "0000almanac0000"
"""Stands for the run's number in the message that the others are cut from."""
GRACE_SECONDS = 30
"""Between the polite end of a job at its time limit and the end of its process."""
PERSISTENT = 2
"""The delivery mode that kombu's producers give to every message (AMQP 0-9-1, basic properties)."""
PIECE = 500
"""Messages in one command to Redis, so that none blocks it for long."""


def send(app: Celery, producer: Producer, runs: Sequence[Unsent]) -> None:
    """Puts one message per run on its queue. Raises what the connection raises; some may have arrived then."""
    by_kind: dict[tuple[str, int], list[int]] = defaultdict(list)
    for run in runs:
        by_kind[run.queue, run.time_limit_seconds].append(run.pk)
    if hasattr(producer.channel, "create_publish_batch"):
        _send_to_redis(app, producer.channel, by_kind)
        return
    for (queue, limit), run_ids in by_kind.items():
        for run_id in run_ids:
            body, message = _message(app, str(run_id), limit)
            producer.publish(
                body, routing_key=queue, content_type="application/json", content_encoding="utf-8",
                headers=message.headers, **message.properties,
            )  # fmt: skip


def _send_to_redis(app: Celery, channel: Any, by_kind: dict[tuple[str, int], list[int]]) -> None:
    with channel.conn_or_acquire() as client, client.pipeline(transaction=False) as pipeline:
        for (queue, limit), run_ids in by_kind.items():
            key, cut = _cutter(app, channel, queue, limit)
            for first in range(0, len(run_ids), PIECE):
                pipeline.lpush(key, *cut(run_ids[first : first + PIECE]))
        pipeline.execute()


def _cutter(app: Celery, channel: Any, queue: str, limit: int) -> tuple[str, Callable[[Iterable[int]], list[str]]]:
    """The Redis key of the queue, and what makes the stored messages of these runs."""
    body, message = _message(app, MARK, limit)
    prepared = channel.prepare_message(
        body, 0, content_type="application/json", content_encoding="utf-8", headers=message.headers,
        properties={**message.properties, "delivery_mode": PERSISTENT},
    )  # fmt: skip
    recorder = _Recorder()
    channel.basic_publish(prepared, exchange="", routing_key=queue, _publish_batch=recorder)
    key, stored = recorder.lpush
    envelope = json.loads(stored)
    tag, encoded = envelope["properties"]["delivery_tag"], envelope["body"]
    if encoded != b64encode(body.encode()).decode() or MARK not in stored:
        raise TypeError("kombu stores messages in a form that is not known here")
    parts = re.split(f"({re.escape(encoded)}|{re.escape(tag)}|{MARK})", stored)
    start, end = body.split(MARK)

    def cut(run_ids: Iterable[int]) -> list[str]:
        made = []
        for run_id in run_ids:
            number = str(run_id)
            own = {encoded: b64encode(f"{start}{number}{end}".encode()).decode(), tag: str(uuid4()), MARK: number}
            made.append("".join([own.get(part, part) for part in parts]))
        return made

    return key, cut


def _message(app: Celery, number: str, limit: int) -> tuple[str, Any]:
    """Celery's message for a run, and its body as text."""
    message = app.amqp.as_task_v2(
        number, TASK, args=(MARK,), time_limit=limit + GRACE_SECONDS, soft_time_limit=limit, ignore_result=True,
        argsrepr=f"({number},)", kwargsrepr="{}", origin="almanac",
    )  # fmt: skip
    return json.dumps(message.body).replace(f'"{MARK}"', number), message


class _Recorder:
    """Stands in for kombu's batch, and keeps what would be sent."""

    def __init__(self) -> None:
        self.lpush: tuple[str, str] = ("", "")

    def add(self, name: str, *arguments: Any) -> None:
        if name == "lpush":
            self.lpush = (str(arguments[0]), str(arguments[1]))
