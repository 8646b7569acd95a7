"""Celery's own hooks: a worker shows a sign of life in the ledger while it is up."""

from __future__ import annotations

import logging
import platform
import threading
import time
from typing import Any

import celery
from celery.signals import worker_init, worker_ready, worker_shutdown, worker_shutting_down
from django.db import connection

from runs import clock, heartbeats, stopping
from runs.models import Heartbeat

logger = logging.getLogger(__name__)

SECONDS = 10
_stop = threading.Event()


def _show_life(name: str, details: dict[str, Any]) -> None:
    while True:
        try:
            now = clock.now()
            heartbeats.beat(name, "worker", now, **details, skew_seconds=round(time.time() - now.timestamp(), 3))
        except Exception as error:
            logger.warning("cannot note the worker's sign of life (%s)", error)
        finally:
            # The pool may fork at any time; no child shall inherit a connection that is in use.
            connection.close()
        if _stop.wait(SECONDS):
            return


@worker_init.connect
def prepare(**_: Any) -> None:
    """Before the pool starts, so that its processes share the flag."""
    stopping.prepare()


@worker_shutting_down.connect
def tell_running_jobs(**_: Any) -> None:
    """SIGTERM: jobs under way stop at their next safe point and go back to waiting for another worker."""
    stopping.announce()


@worker_ready.connect
def start(sender: Any, **_: Any) -> None:
    """Begins when the worker takes messages."""
    details = {
        "hostname": str(sender.hostname),
        "queues": sorted(sender.app.amqp.queues.consume_from),
        "processes": sender.pool.num_processes,
        "version": f"Python {platform.python_version()}, Celery {celery.__version__}",
    }
    _stop.clear()
    threading.Thread(
        target=_show_life, args=(heartbeats.process_name("worker"), details), name="life", daemon=True
    ).start()
    logger.info("worker is up (%s)", sender.hostname)


@worker_shutdown.connect
def stop(**_: Any) -> None:
    """Ends with the worker, which then is no longer counted as one that should answer."""
    _stop.set()
    try:
        Heartbeat.objects.filter(name=heartbeats.process_name("worker")).delete()
    except Exception as error:
        logger.warning("cannot take back the worker's sign of life (%s)", error)
