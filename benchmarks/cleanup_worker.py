"""A worker that knows the benchmark's target."""

from __future__ import annotations

import django

django.setup()

from benchmarks import visits  # noqa: E402
from scheduler_site.celery import app  # noqa: E402

visits.add_to_registry()
app.set_current()
