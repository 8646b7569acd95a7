"""``manage.py up``: the whole house on embedded parts, in one terminal."""

from __future__ import annotations

import fcntl
import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from scheduler_site import launch
from scheduler_site.environment import Environment, replaced


class Command(BaseCommand):
    """Prepares the data directory, then runs web, workers, beats, broker and mailbox until it is stopped."""

    help = "Starts everything on embedded parts: web, workers, beats, broker and a local mailbox."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=Environment().port("PORT", 8000), help="port of the web pages")
        parser.add_argument(
            "--data-dir", type=Path, default=settings.DATA_DIR, help="where the embedded parts keep their files"
        )
        parser.add_argument("--no-demo", action="store_true", help="start empty")
        parser.add_argument("--beats", type=int, default=1, help="how many beats")
        parser.add_argument("--workers", type=int, default=1, help="how many workers, of two processes each")

    def handle(self, *args: Any, **options: Any) -> None:
        data_dir: Path = options["data_dir"].resolve()
        if data_dir != settings.DATA_DIR:  # the settings are built from the environment: start again with the right one
            environment = replaced(os.environ, {"DATA_DIR": str(data_dir)})
            os.execve(sys.executable, [sys.executable, *sys.argv], environment)  # noqa: S606
        port = options["port"]
        if not 1 <= port <= 65535:
            raise CommandError(f"{port} is no port; choose one from 1 to 65535.", returncode=2)
        if launch.is_taken(port):
            raise CommandError(f"Port {port} is taken. Choose another one: PORT={port + 1} make run", returncode=2)
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = _lock(data_dir)
        from scheduler_site import provision

        password = provision.provision(with_demo=not options["no_demo"])
        plan = launch.Plan(port=port, data_dir=data_dir, beats=options["beats"], workers=options["workers"])
        code = launch.run(plan, _banner(port, password))
        lock.close()
        sys.exit(code)


def _lock(data_dir: Path) -> TextIO:
    lock = open(data_dir / "up.lock", "w")  # noqa: SIM115 - held as long as the process lives
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise CommandError(
            f"Almanac is already running on {data_dir}. Stop it, or choose another folder with DATA_DIR=…", returncode=2
        ) from None
    return lock


def _banner(port: int, password: str) -> str:
    secret = password or "the one you chose"
    return f"""
Almanac is ready.
    Open      http://127.0.0.1:{port}/admin/
    User      admin
    Password  {secret}
Ctrl-C stops everything.
"""
