"""The kinds of jobs that the newsletters announce can all be performed, though nobody imports them before."""

from __future__ import annotations

import subprocess
import sys

from django.utils.module_loading import import_string

from schedules import kinds

LOADED = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "scheduler_site.settings"
import django
django.setup()
from scheduler_site.celery import app
app.loader.import_default_modules()
print([name for name in ("newsletters.sending", "newsletters.content", "feedparser", "mrml") if name in sys.modules])
"""


def test_every_function_that_is_imported_later_exists() -> None:
    named = [
        function.__qualname__
        for kind in kinds._registry.values()
        for function in (kind.perform, kind.describe_impact)
        if function.__qualname__.startswith("newsletters.")
    ]
    assert len(named) > 10
    assert all(callable(import_string(name)) for name in named)


def test_a_process_that_performs_nothing_does_not_hold_what_jobs_are_made_of() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
