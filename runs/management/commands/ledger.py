"""Prints runs from the ledger, for scripts and operators."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from runs.models import Run

FIELDS = ("schedule", "due_at", "state", "reason", "trigger", "attempt", "published_at", "started_at", "finished_at")


class Command(BaseCommand):
    """``manage.py ledger [--json] [--schedule NAME] [--since ISO]``, oldest due time first."""

    help = "Prints runs: what was due when, and what became of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object a line")
        parser.add_argument("--schedule", default="", help="only runs of the schedule with this name")
        parser.add_argument(
            "--since", default="", help="only runs due at or after this ISO time (UTC if it has no zone)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        runs = Run.objects.order_by("due_at", "id")
        if options["schedule"]:
            runs = runs.filter(schedule_name=options["schedule"])
        if options["since"]:
            runs = runs.filter(due_at__gte=_instant(options["since"]))
        for run in runs.iterator(chunk_size=2000):
            facts = {field: _plain(getattr(run, "schedule_name" if field == "schedule" else field)) for field in FIELDS}
            if options["json"]:
                self.stdout.write(json.dumps(facts))
            else:
                self.stdout.write(
                    f"{facts['due_at']}  {facts['state']:<9}  {facts['schedule'] or run.target_label}  {run.reason_text}".rstrip()
                )


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--since {text!r} is no ISO time; write 2026-11-21T09:00:00Z.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
