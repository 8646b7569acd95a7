"""The control: an ordinary Celery application with django-celery-beat's own scheduler, every option at its default."""

from __future__ import annotations

import os
import time

import django
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.faults.stock_settings")
django.setup()

from tests.faults import journal  # noqa: E402

app = Celery("stock")
app.conf.update(
    broker_url=os.environ.get("BROKER_URL", ""),
    beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler",
    timezone="UTC",
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)
if os.environ.get("STOCK_VISIBILITY"):  # late acknowledgement, and a job that is longer than the broker waits
    app.conf.task_acks_late = True
    app.conf.broker_transport_options = {
        "visibility_timeout": int(os.environ["STOCK_VISIBILITY"]),
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    }


@app.task(name="stock.work")
def work(number: int, milliseconds: int = 50) -> None:
    """Journals its start, works and journals its end."""
    path = os.environ[journal.VARIABLE]
    journal.note(path, "start", number, 1)
    time.sleep(milliseconds / 1000)
    journal.note(path, "end", number, 1)
