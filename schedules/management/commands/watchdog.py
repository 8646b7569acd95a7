"""Checks once, for an outside timer."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError

from runs import clock
from schedules import watchdog


class Command(BaseCommand):
    """``manage.py watchdog [--json] [--dry-run]``; exit code 1 when something is wrong."""

    help = "Compares what should have happened with what did, and tells people what is wrong. Exit code 1 on an error."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object a line")
        parser.add_argument("--dry-run", action="store_true", help="only print; raise no alert and tell nobody")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            now = clock.now()
            found = watchdog.check(now) if options["dry_run"] else watchdog.act(now)
        except (DatabaseError, InterfaceError) as error:
            raise CommandError(f"The database does not answer ({error}).") from error
        for finding in found:
            self.stdout.write(json.dumps(asdict(finding)) if options["json"] else _words(finding))
        if not found and not options["json"]:
            self.stdout.write("Everything is as it should be.")
        if any(finding.is_error for finding in found):
            raise SystemExit(1)


def _words(finding: watchdog.Finding) -> str:
    text = f"{finding.level}: {finding.title}"
    return f"{text}: {finding.detail}" if finding.detail else text
