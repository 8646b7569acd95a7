"""The worker's connection to the broker, tried again every few seconds however long the broker was away."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.worker.consumer import Consumer

RECONNECT_SECONDS = 3


class QuickConsumer(Consumer):
    """Celery's own waits longer after each failure, up to half a minute, and has no setting for it."""

    def ensure_connected(self, conn: Any) -> Any:
        """As Celery's, with a bounded wait between two tries."""
        conn.ensure_connection = partial(
            conn.ensure_connection, interval_start=1, interval_step=1, interval_max=RECONNECT_SECONDS
        )
        return super().ensure_connected(conn)
