"""The Celery application and the settings that keep a lost or doubled message harmless."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_site.settings")
# Django's checks look at every page of the admin: a beat would hold 50 MB of them for good. They are made by
# "manage.py check" and before each migration; the environment is checked by the settings themselves.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")


def transport_options(broker_url: str, prefix: str) -> dict[str, Any]:
    """Options that differ by broker scheme; everything else in the product is the same for all."""
    if not broker_url.startswith(("redis", "rediss")):
        return {"confirm_publish": True} if broker_url.startswith("amqp") else {}
    options: dict[str, Any] = {
        "global_keyprefix": prefix,
        # A redelivered message is dropped at claim, so a short timeout costs nothing and heals sooner.
        "visibility_timeout": 900,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        # Without a socket timeout a half-open connection leaves the worker deaf for ever.
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
        "health_check_interval": 10,
    }
    if not broker_url.startswith("redis+socket"):
        options["socket_keepalive"] = True
    return options


app = Celery("almanac")


@app.on_configure.connect
def configure(**_: Any) -> None:
    """Reads Django's settings when Celery first needs them, so that importing this module needs none."""
    from django.conf import settings

    app.conf.update(
        broker_url=settings.BROKER_URL,
        broker_transport_options=transport_options(settings.BROKER_URL, settings.BROKER_PREFIX),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_consumer="scheduler_site.consumer:QuickConsumer",
        task_queues=[Queue(name) for name in settings.QUEUES],
        task_default_queue="default",
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        result_backend=None,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_soft_shutdown_timeout=30,
        # Celery kills a process that is not ready after 4 s, and begins another: a busy computer never got any.
        worker_proc_alive_timeout=60,
        worker_max_tasks_per_child=500,
        worker_max_memory_per_child=400_000,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        accept_content=["json"],
        task_serializer="json",
        timezone="UTC",
        enable_utc=True,
        beat_scheduler="schedules.scheduler:LedgerScheduler",
        beat_max_loop_interval=settings.BEAT_TICK_SECONDS,
    )


app.autodiscover_tasks()
