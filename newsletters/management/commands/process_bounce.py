"""Takes one mail that came back from the mail server's pipe."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError

from newsletters import bounces
from newsletters.bounce_reading import MAX_BYTES

_PIECE = 1024 * 1024


class Command(BaseCommand):
    """``manage.py process_bounce [--recipient ADDRESS] < mail``.

    Exit codes are those of sysexits.h: 0 the mail was dealt with, also where it says nothing; 65 it cannot be read;
    66 there was none; 75 the database does not answer, and the mail server keeps the mail and tries again.
    """

    help = "Reads one mail that came back from standard input. Exit codes are for mail servers: 0, 65 (cannot be read), 66 (no mail), 75 (later)."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--recipient",
            default=os.environ.get("ORIGINAL_RECIPIENT", ""),
            help="whom the mail was addressed to, such as ${original_recipient} of Postfix",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        raw = _standard_input()
        if not raw.strip():
            self.stderr.write("There was no mail on standard input.")
            sys.exit(os.EX_NOINPUT)
        try:
            outcome = bounces.process(raw, options["recipient"])
        except (OperationalError, InterfaceError) as error:
            self.stderr.write(f"The database does not answer ({type(error).__name__}); please try again later.")
            sys.exit(os.EX_TEMPFAIL)
        except Exception as error:  # any: a mail server that was told to try again would do so for days
            self.stderr.write(f"The mail cannot be read ({type(error).__name__}).")
            sys.exit(os.EX_DATAERR)
        self.stdout.write(outcome.words)


def _standard_input() -> bytes:
    """As much as is looked at; the rest is taken and dropped, so that the mail server's pipe does not break."""
    raw = sys.stdin.buffer.read(MAX_BYTES)
    while sys.stdin.buffer.read(_PIECE):
        pass
    return raw
