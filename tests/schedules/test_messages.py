"""Messages cut from one are the messages that Celery and kombu would have made each."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from celery import Celery
from kombu import Connection, Producer

from runs.occurrences import Unsent
from scheduler_site.celery import transport_options
from schedules import messages
from schedules.tasks import TASK
from tests.integration.stack import Valkey

RUNS = [Unsent(7, "default", 60), Unsent(123456789012, "default", 60), Unsent(8, "reports", 3600)]


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(Path(tmp_path_factory.mktemp("valkey")))
    server.start()
    yield server
    server.kill()


def stored(valkey: Valkey, key: str) -> list[dict[str, Any]]:
    client = redis.Redis(port=valkey.port)
    rows = [json.loads(row) for row in reversed(cast(list[bytes], client.lrange(key, 0, -1)))]
    client.delete(key)
    return rows


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    properties = {name: value for name, value in row["properties"].items() if name != "delivery_tag"}
    return row | {"properties": properties, "body": json.loads(b64decode(row["body"]))}


def test_they_equal_what_kombu_stores_for_each(valkey: Valkey) -> None:
    app = Celery("test")
    options = transport_options(valkey.url, "almanac:")
    with Connection(valkey.url, transport_options=options) as connection, connection.channel() as channel:
        producer = Producer(channel, auto_declare=False)
        messages.send(app, producer, RUNS)
        cut = {queue: stored(valkey, f"almanac:{queue}") for queue in ("default", "reports")}
        for run in RUNS:
            message = app.amqp.as_task_v2(
                str(run.pk), TASK, args=(run.pk,), time_limit=run.time_limit_seconds + 30,
                soft_time_limit=run.time_limit_seconds, ignore_result=True, argsrepr=f"({run.pk},)", kwargsrepr="{}",
                origin="almanac",
            )  # fmt: skip
            producer.publish(
                message.body, routing_key=run.queue, serializer="json", headers=message.headers, **message.properties
            )
        own = {queue: stored(valkey, f"almanac:{queue}") for queue in ("default", "reports")}
    for queue in own:
        assert [comparable(row) for row in cut[queue]] == [comparable(row) for row in own[queue]]
    tags = [row["properties"]["delivery_tag"] for rows in cut.values() for row in rows]
    assert len(set(tags)) == len(RUNS), "each is acknowledged under a tag of its own"


def test_a_long_queue_arrives_in_order_and_whole(valkey: Valkey) -> None:
    app = Celery("test")
    runs = [Unsent(number, "default", 60) for number in range(1, 1302)]
    with Connection(valkey.url) as connection, connection.channel() as channel:
        messages.send(app, Producer(channel, auto_declare=False), runs)
        rows = stored(valkey, "default")
    assert [row["headers"]["id"] for row in rows] == [str(run.pk) for run in runs]


def test_other_brokers_get_the_same_message() -> None:
    app = Celery("test")
    with Connection("memory://") as connection:
        channel: Any = connection.channel()
        producer = Producer(channel, auto_declare=False)
        queue = "of-this-test"  # the memory transport is one for the whole process
        channel.queue_declare(queue)
        messages.send(app, producer, [Unsent(7, queue, 60)])
        message = channel.basic_get(queue, no_ack=True)
    assert message.headers["task"] == TASK and message.headers["id"] == "7"
    assert json.loads(message.body)[0] == [7]
