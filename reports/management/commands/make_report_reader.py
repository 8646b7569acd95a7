"""``manage.py make_report_reader``: makes the database role that staff's SQL queries run as."""

from __future__ import annotations

import secrets
from argparse import ArgumentParser
from typing import Any
from urllib.parse import quote

import psycopg
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from reports.queries import reader_role


class Command(BaseCommand):
    """Prints the statements; with ``--run`` it runs them, and prints what to write into the environment."""

    help = "Makes, or brings up to date, the PostgreSQL role that can only read and that SQL queries run as."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", default="almanac_reports", help="the name of the role")
        parser.add_argument("--password", default="", help="its password; a random one by default")
        parser.add_argument("--run", action="store_true", help="run them, as the role of DATABASE_URL")

    def handle(self, *args: Any, **options: Any) -> None:
        if connection.vendor != "postgresql":
            raise CommandError("On SQLite no role is needed: each SQL query runs in a locked process of its own.")
        password = options["password"] or secrets.token_urlsafe(24)
        connection.ensure_connection()
        wire = connection.connection
        left_out = 0
        with wire.cursor() as cursor:
            for step in list(reader_role.steps(cursor, options["name"], password)):
                if not options["run"]:
                    self.stdout.write(f"{step.statement.as_string(wire)};")
                else:
                    left_out += not _run(wire, step)
        if options["run"]:
            self._say(options["name"], password, left_out)

    def _say(self, name: str, password: str, left_out: int) -> None:
        self.stdout.write(
            "The role can read what SQL queries may read, and nothing else. Write into the environment:\n"
        )
        self.stdout.write(f"REPORTS_DATABASE_URL={_address(name, password)}")
        if left_out:
            self.stdout.write(
                f"\n{left_out} of the statements take a superuser and were left out. Queries are read-only and end in time "
                "all the same; a superuser can run the rest: manage.py make_report_reader prints it."
            )


def _address(name: str, password: str) -> str:
    """Where the role signs in: to the database of DATABASE_URL."""
    at = connection.connection.info
    who, database = f"{quote(name)}:{quote(password, safe='')}", quote(at.dbname)
    if at.host.startswith("/"):  # a socket
        return f"postgres://{who}@/{database}?host={quote(at.host, safe='')}&port={at.port}"
    return f"postgres://{who}@{at.host}:{at.port}/{database}"


def _run(wire: psycopg.Connection[Any], step: reader_role.Step) -> bool:
    try:
        with wire.transaction():
            wire.execute(step.statement)
    except psycopg.errors.InsufficientPrivilege as error:
        if not step.may_fail:
            raise CommandError(f"This takes a role that may create roles: {error}") from error
        return False
    return True
