"""Tidying that comes round by itself: whoever keeps watch sees that something is due, and a worker does it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from runs import ledger
from runs.models import Run
from runs.states import Trigger

LOOK_SECONDS = 60
"""Each process looks no oftener whether something is due."""
SLOT_SECONDS = 300
"""At most one sweep of a kind is asked for in so long a time, however many processes look."""


@dataclass
class Sweep:
    """One kind of tidying. Its work is that of the kind of job of the same name."""

    kind: str
    label: str
    queue: str
    is_due: Callable[[datetime], bool]
    """Whether a sweep would find something; asked once a minute by each process."""
    look_at: float = field(default=0.0, compare=False)
    """The monotonic second before which nobody here looks again."""

    def look_after(self, now: datetime) -> None:
        """Called with every check of the watchdog; leaves the work itself to a worker."""
        if time.monotonic() < self.look_at:
            return
        self.look_at = time.monotonic() + LOOK_SECONDS
        if self.is_due(now):
            self.ask(now)

    def ask(self, now: datetime) -> Run:
        """Plans a run that removes what is due; the same run for whoever asks within five minutes."""
        slot = int(now.timestamp()) // SLOT_SECONDS
        return ledger.plan(
            ledger.NewRun(
                kind=self.kind, target_id=None, target_label=self.label, trigger=Trigger.EVENT, queue=self.queue,
                exclusive=False, max_attempts=3, idempotency_key=f"{self.kind.replace('_', '-')}-{slot}",
            )
        )  # fmt: skip
