"""A worker that knows the benchmark's data set."""

from __future__ import annotations

import django

django.setup()

from benchmarks import orders  # noqa: E402
from scheduler_site.celery import app  # noqa: E402

orders.add_to_registry()
app.set_current()
