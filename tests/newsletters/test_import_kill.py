"""kill -9 of the worker in the middle of an import: no row lost, none twice, and the numbers are right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from newsletters import import_work, imports
from newsletters.models import ImportJob, List, Subscriber, Subscription
from runs import clock, rescue
from runs.models import Run
from runs.states import State
from schedules.tasks import run_job
from tests.integration.conftest import database_url

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

WORKER = """
import sys, django
django.setup()
from newsletters import import_work
import_work.BATCH = 100
from schedules.tasks import run_job
run_job(int(sys.argv[1]))
"""
ROWS = 1000


def work(run: Run, files: Path, failpoint: str = "") -> int:
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "scheduler_site.settings", "DATABASE_URL": database_url(),
        "SECRET_KEY": settings.SECRET_KEY, "PUBLIC_URL": "https://news.example.org", "FILES_URL": str(files),
        "FAILPOINT": failpoint,
    }  # fmt: skip
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        [sys.executable, "-c", WORKER, str(run.pk)], env=environment, cwd=root, timeout=120
    ).returncode


def hand_over(run: Run) -> None:
    """What the watchdog does once the dead worker's lease has run out."""
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert rescue.rescue(clock.now()) == [run.pk]


def test_killed_at_sixty_percent_within_a_batch_and_between_two(
    city_news: List, settings: object, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path  # type: ignore[attr-defined]
    lines = [f"r{number}@example.org,R {number}" if number % 50 else "wrong,W" for number in range(ROWS)]
    lines[701] = lines[3]  # an address of an earlier batch again
    upload = SimpleUploadedFile("r.csv", ("mail,name\n" + "\n".join(lines)).encode())
    job = imports.upload_file(None, upload)
    check = imports.check_file(
        None, job.pk, mapping={0: "email", 1: "name"}, lists=[city_news], update_existing=False, consent="Fair"
    )
    run_job(check.pk)
    job.refresh_from_db()
    foretold = [getattr(job, name) for name in import_work.Numbers]
    run = imports.start_import(None, job.pk)
    for failpoint, settled in (("within_import_batch:6", 500), ("after_import_batch:2", 700)):
        assert work(run, tmp_path, failpoint) == -signal.SIGKILL
        job.refresh_from_db()
        assert sum(getattr(job, name) for name in import_work.Numbers) == settled
        assert Subscriber.objects.count() == Subscription.objects.count() == job.added
        hand_over(run)
    assert work(run, tmp_path) == 0
    run.refresh_from_db()
    job.refresh_from_db()
    assert (run.state, run.attempt, job.state) == (State.SUCCEEDED, 3, ImportJob.State.DONE)
    assert [getattr(job, name) for name in import_work.Numbers] == foretold == [ROWS - 20 - 1, 0, 1, 0, 20]
    assert Subscriber.objects.count() == Subscription.objects.count() == ROWS - 21
    assert job.problems.count() == 20
