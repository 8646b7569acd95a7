"""Answers for machines: is the process up, is the whole house ready, and figures for Prometheus."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Max, Min
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from kombu import Connection
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from runs import clock, words
from runs.models import Heartbeat, Run
from runs.states import WAITING
from scheduler_site.celery import transport_options
from schedules.findings import BEAT_SILENT, WORKER_SILENT


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The web process answers; nothing else is asked."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Each part with ``ok`` and a sentence; 503 when one is not."""
    parts = status()
    ok = all(part["ok"] for part in parts.values())
    return JsonResponse({"ok": ok, **parts}, status=200 if ok else 503)


def status(*names: str) -> dict[str, dict[str, Any]]:
    """How the named parts of the house stand, or all of them; never raises."""
    checks: dict[str, Callable[[], tuple[bool, str]]] = {
        "database": _database,
        "migrations": _migrations,
        "broker": _broker,
        "beat": lambda: _heartbeat("beat", BEAT_SILENT, "The clock"),
        "workers": lambda: _heartbeat("worker", WORKER_SILENT, "A worker"),
    }
    return {name: _checked(check) for name, check in checks.items() if not names or name in names}


def _checked(check: Callable[[], tuple[bool, str]]) -> dict[str, Any]:
    try:
        ok, sentence = check()
    except Exception as error:
        ok, sentence = False, f"Does not answer ({type(error).__name__})."
    return {"ok": ok, "words": sentence}


def _database() -> tuple[bool, str]:
    clock.now()
    return True, "Answers."


def _migrations() -> tuple[bool, str]:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return not missing, f"{len(missing)} not applied; run manage.py migrate." if missing else "All applied."


def _broker() -> tuple[bool, str]:
    options = transport_options(settings.BROKER_URL, settings.BROKER_PREFIX) | {
        "socket_connect_timeout": 2,
        "socket_timeout": 2,
    }
    with Connection(settings.BROKER_URL, transport_options=options, connect_timeout=2) as broker:
        broker.ensure_connection(max_retries=1, timeout=2)
        client = getattr(broker.default_channel, "client", None)
        if client is None:
            return True, "Answers."
        policy = str(client.config_get("maxmemory-policy").get("maxmemory-policy", "noeviction"))
    if policy != "noeviction":
        return False, f"Evicts messages when memory is full (maxmemory-policy is {policy}); set it to noeviction."
    return True, "Answers."


def _heartbeat(role: str, silent_after: timedelta, name: str) -> tuple[bool, str]:
    seen = Heartbeat.objects.filter(role=role).aggregate(seen=Max("seen_at"))["seen"]
    if seen is None:
        return False, f"{name} has not been seen yet."
    age = clock.now() - seen
    if age > silent_after:
        return False, f"{name} was last seen {words.duration(age)} ago."
    return True, f"{name} was seen {words.duration(age)} ago."


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Figures from the database, for the holder of METRICS_TOKEN; without a token the page does not exist."""
    if not settings.METRICS_TOKEN:
        raise Http404
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if not hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
        return HttpResponse("a valid bearer token is needed\n", status=401, content_type="text/plain")
    registry = CollectorRegistry()
    now = clock.now()
    recent = Run.objects.filter(due_at__gte=now - timedelta(days=1)).order_by()
    runs = Gauge(
        "almanac_runs_last_day", "Runs due in the last 24 hours by state", ["state", "kind"], registry=registry
    )
    for row in recent.values("state", "kind").annotate(count=Count("id")):
        runs.labels(row["state"], row["kind"]).set(row["count"])
    waiting = Run.objects.filter(finished_at=None, state__in=WAITING).order_by()
    figures = waiting.aggregate(count=Count("id"), oldest=Min("due_at"))
    Gauge("almanac_runs_waiting", "Runs that no worker has claimed", registry=registry).set(figures["count"])
    age = (now - figures["oldest"]).total_seconds() if figures["oldest"] else 0
    Gauge("almanac_oldest_waiting_seconds", "Age of the oldest waiting run", registry=registry).set(max(0, age))
    seen = Gauge("almanac_heartbeat_age_seconds", "Since a process was last seen", ["role", "name"], registry=registry)
    for beat in Heartbeat.objects.filter(seen_at__gte=now - timedelta(hours=1)):
        seen.labels(beat.role, beat.name).set((now - beat.seen_at).total_seconds())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
