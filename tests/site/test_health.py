"""Answers for machines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from runs import clock, heartbeats
from tests.integration.stack import free_port

pytestmark = pytest.mark.django_db


def alive(beat_age: int = 1, worker_age: int = 1) -> None:
    now = clock.now()
    heartbeats.beat("b", "beat", now - timedelta(seconds=beat_age))
    heartbeats.beat("w", "worker", now - timedelta(seconds=worker_age))


def test_healthz_asks_nothing(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert client.get("/healthz").status_code == 200


def test_ready_when_everything_answers(client: Client) -> None:
    alive()
    answer = client.get("/readyz")
    assert answer.status_code == 200 and answer.json()["ok"] is True


@pytest.mark.parametrize(
    ("ages", "part", "says"),
    [
        ((60, 1), "beat", "was last seen 1 minute ago"),
        ((1, 600), "workers", "10 minutes"),
        (None, "beat", "not been seen yet"),
    ],
)
def test_it_says_which_part_is_silent(client: Client, ages: tuple[int, int] | None, part: str, says: str) -> None:
    if ages:
        alive(*ages)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()[part]["ok"] is False and says in answer.json()[part]["words"]


def test_it_says_that_the_broker_is_away(client: Client, settings: Any) -> None:
    alive()
    settings.BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    answer = client.get("/readyz")
    assert answer.status_code == 503 and "Does not answer" in answer.json()["broker"]["words"]


def test_metrics_are_for_the_holder_of_the_token(client: Client, settings: Any) -> None:
    assert client.get("/metrics").status_code == 404
    settings.METRICS_TOKEN = "open-sesame"
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer open"}).status_code == 401
    answer = client.get("/metrics", headers={"Authorization": "Bearer open-sesame"})
    names = {family.name for family in text_string_to_metric_families(answer.content.decode())}
    assert {"almanac_runs_waiting", "almanac_oldest_waiting_seconds"} <= names
