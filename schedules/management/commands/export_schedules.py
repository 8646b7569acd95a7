"""Writes every schedule to a YAML file, by names instead of numbers."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from schedules import exchange, exchange_file
from schedules.management.commands import _doors


class Command(BaseCommand):
    """``manage.py export_schedules [FILE] [--as USER]``."""

    help = "Writes the schedules as YAML, to a file or to the screen. import_schedules brings them in again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", default="", help="where to write; the screen when left out")
        parser.add_argument("--as", dest="user", default="", help="act as this user, with that user's permissions")

    def handle(self, *args: Any, **options: Any) -> None:
        with _doors.plain_errors():
            rows, left_out = exchange.export_schedules(_doors.actor(options["user"]))
        text = exchange_file.write(rows)
        if options["file"]:
            try:
                Path(options["file"]).write_text(text, encoding="utf-8")
            except OSError as error:
                raise CommandError(f"{options['file']} cannot be written: {error.strerror}.") from None
            self.stdout.write(f"{len(rows)} schedules were written to {options['file']}.")
        else:
            self.stdout.write(text, ending="")
        for words in left_out:
            self.stderr.write(f"Left out: {words}")
