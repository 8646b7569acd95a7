"""Celery's own hooks: the main process of every worker takes part in the watchdog's checks."""

from __future__ import annotations

from typing import Any

from celery.signals import worker_ready, worker_shutdown

from schedules import watchdog

_thread: watchdog.WatchdogThread | None = None


@worker_ready.connect
def start(**_: Any) -> None:
    """Begins when the worker takes messages."""
    global _thread
    if _thread is None or not _thread.is_alive():
        _thread = watchdog.WatchdogThread()
        _thread.start()


@worker_shutdown.connect
def stop(**_: Any) -> None:
    """Does not wait: a check in hand may end or not."""
    if _thread is not None:
        _thread.stop()
