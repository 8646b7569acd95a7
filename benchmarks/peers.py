"""The peers of the dispatch benchmark as Celery applications: stock DatabaseScheduler, and RedBeat."""

from __future__ import annotations

import os

import django
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "scheduler_site.settings")
django.setup()

from django.conf import settings  # noqa: E402

stock = Celery("stock")
stock.conf.update(
    broker_url=settings.BROKER_URL,
    beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler",
    timezone="UTC",
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)

redbeat = Celery("redbeat")
redbeat.conf.update(
    broker_url=settings.BROKER_URL,
    redbeat_redis_url=settings.BROKER_URL,
    beat_scheduler="redbeat.RedBeatScheduler",
    redbeat_lock_timeout=25,
    beat_max_loop_interval=5,
    timezone="UTC",
    task_ignore_result=True,
)
