"""Brings the schedules of a YAML file in, all of them or none."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from schedules import exchange
from schedules.exchange import Change, Plan
from schedules.exchange_file import FileError
from schedules.management.commands import _doors

NAMES_LISTED = 20


class Command(BaseCommand):
    """``manage.py import_schedules FILE [--dry-run] [--json] [--as USER]``; FILE may be - for standard input."""

    help = "Adds and changes schedules as a YAML file says. What the file does not name is left alone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="a file that export_schedules wrote, or - for standard input")
        parser.add_argument("--dry-run", action="store_true", help="only say what would change")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")
        parser.add_argument("--as", dest="user", default="", help="act as this user, with that user's permissions")

    def handle(self, *args: Any, **options: Any) -> None:
        bring_in = exchange.plan_import if options["dry_run"] else exchange.import_schedules
        text = _text(options["file"])
        try:
            with _doors.plain_errors():
                plan = bring_in(_doors.actor(options["user"]), text)
        except FileError as error:
            raise CommandError(f"{error}\nNothing was changed.") from None
        if options["json"]:
            self._print_json(plan)
        else:
            self._print_words(plan, is_dry=options["dry_run"])

    def _print_json(self, plan: Plan) -> None:
        for change in plan.changes:
            fields = {name: {"old": old, "new": new} for name, (old, new) in change.fields.items()}
            self.stdout.write(json.dumps({"name": change.entry.name, "change": change.word, "fields": fields}))
        for name in plan.left_alone:
            self.stdout.write(json.dumps({"name": name, "change": "left alone", "fields": {}}))

    def _print_words(self, plan: Plan, *, is_dry: bool) -> None:
        for change in plan.changes:
            if change.word != "unchanged":
                self._print_change(change)
        counts = {
            word: sum(change.word == word for change in plan.changes) for word in ("added", "changed", "unchanged")
        }
        said = ", ".join(f"{count} {word}" for word, count in counts.items())
        self.stdout.write(f"{'Would be: ' if is_dry else ''}{said}.")
        if plan.left_alone:
            names = ", ".join(f"“{name}”" for name in plan.left_alone[:NAMES_LISTED])
            more = " and more" if len(plan.left_alone) > NAMES_LISTED else ""
            self.stdout.write(f"Not in the file, left alone: {len(plan.left_alone)} ({names}{more}).")
        if is_dry:
            self.stdout.write("Nothing was changed.")

    def _print_change(self, change: Change) -> None:
        self.stdout.write(f"{change.word}: “{change.entry.name}” (line {change.entry.line})")
        for name, (old, new) in change.fields.items():
            self.stdout.write(f"    {name}: {new}" if change.existing is None else f"    {name}: {old} → {new}")


def _text(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CommandError(f"{name} is no text in UTF-8.") from None
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.") from None
