"""LedgerTask: the Celery base class that turns a message (a run id) into one fenced attempt of a run."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from datetime import datetime
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from celery import Task
from django.conf import settings
from django.db import connection

from runs import heartbeats, ledger, stopping
from runs.models import RunEvent
from runs.states import Reason

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""How often a running job is told that its worker is stopping."""


class JobFailed(Exception):
    """A job's failure in words that staff understand; the cause stays in the folded traceback."""

    def __init__(self, message: str, *, may_retry: bool = True) -> None:
        super().__init__(message)
        self.may_retry = may_retry


class RunContext:
    """What a job sees of its run: facts to read, and fenced ways to report."""

    def __init__(self, claimed: ledger.Claim) -> None:
        self._claim = claimed
        self._last_report = 0.0
        self._stop: Exception | None = None
        run = claimed.run
        self.id: int = run.pk
        self.attempt: int = claimed.attempt
        self.kind: str = run.kind
        self.target_id: int | None = run.target_id
        self.due_at: datetime = run.due_at
        self.trigger: str = run.trigger
        self.schedule_id: int | None = run.schedule_id
        self.schedule_name: str = run.schedule_name
        self.time_zone: str = run.time_zone
        self.parameters: dict[str, Any] = run.parameters
        self.requested_by_id: int | None = run.requested_by_id

    def progress(self, done: int, total: int | None = None, unit: str = "") -> None:
        """Reports how far the job is (stored at most once a second) and stops it when it must stop.

        Raises:
            LeaseLost: another attempt owns the run, or (WorkerStopping) the worker must stop.
            RunCancelled: staff asked for it to stop.
        """
        self.checkpoint()
        if time.monotonic() - self._last_report >= 1 or done == total:
            self._last_report = time.monotonic()
            ledger.progress(self._claim, done, total, unit)

    def checkpoint(self) -> None:
        """Call between units of work: raises LeaseLost or RunCancelled when the heartbeat saw either."""
        if self._stop is not None:
            raise self._stop

    def confirm(self) -> None:
        """Asks the database now whether this attempt still owns the run; raises as :meth:`progress`."""
        ledger.renew(self._claim)

    def log(self, message: str, level: str = RunEvent.Level.INFO) -> None:
        """Adds one line to the run's log."""
        ledger.log(self.id, message, level=level, attempt=self.attempt)

    def attach(self, label: str, url: str) -> None:
        """Adds a link to something this run made (a download page, an issue)."""
        ledger.attach(self._claim, label, url)

    def stop_with(self, error: Exception) -> None:
        """Called by the heartbeat: the next checkpoint raises ``error``."""
        self._stop = error


class _LeaseKeeper(threading.Thread):
    """Renews the lease while the job runs, on a database connection of its own."""

    def __init__(self, claimed: ledger.Claim, context: RunContext) -> None:
        super().__init__(name=f"lease-{claimed.run.pk}", daemon=True)
        self._claim = claimed
        self._context = context
        self._done = threading.Event()
        self._renew_at = time.monotonic() + settings.LEASE_SECONDS / 4

    def run(self) -> None:
        try:
            while not self._done.wait(LOOK_SECONDS):
                if stopping.is_announced():
                    self._context.stop_with(ledger.WorkerStopping())
                if time.monotonic() < self._renew_at:
                    continue
                self._renew_at = time.monotonic() + settings.LEASE_SECONDS / 4
                try:
                    ledger.renew(self._claim)
                except (ledger.LeaseLost, ledger.RunCancelled) as stop:
                    self._context.stop_with(stop)
                    if isinstance(stop, ledger.LeaseLost):
                        return
                except Exception:
                    # The database is away for a moment: try again before the lease ends.
                    logger.exception("could not renew the lease of run %s", self._claim.run.pk)
                    connection.close()
        finally:
            connection.close()

    def stop(self) -> None:
        self._done.set()
        self.join(timeout=5)


class LedgerTask(Task):  # type: ignore[type-arg]
    """Base class of the one task: claim, lease, heartbeat, fencing, and an end for every attempt.

    The message carries only the run's id. The wrapped function receives a :class:`RunContext` and
    returns the result in one line of words.
    """

    abstract = True
    acks_late = True
    ignore_result = True

    def __call__(self, run_id: int) -> None:
        claimed = ledger.claim(run_id, heartbeats.process_name("worker"))
        if claimed is None:
            logger.info("run %s: nothing to do (done, owned by another worker, or waiting)", run_id)
            return
        context = RunContext(claimed)
        keeper = _LeaseKeeper(claimed, context)
        keeper.start()
        try:
            self._attempt(claimed, context)
        except ledger.WorkerStopping:
            ledger.hand_back(claimed)
            logger.info("run %s: handed back, the worker is stopping", run_id)
        except ledger.LeaseLost:
            logger.warning("run %s: attempt %s lost its lease and stopped", run_id, claimed.attempt)
        finally:
            keeper.stop()

    def _attempt(self, claimed: ledger.Claim, context: RunContext) -> None:
        logger.info("run %s started: %s", claimed.run.pk, claimed.run)
        try:
            result = str(self.run(context) or "Done.")
        except ledger.LeaseLost:
            raise
        except ledger.RunCancelled:
            ledger.cancelled(claimed, Reason.CANCELLED_BY_STAFF.label)
        except SoftTimeLimitExceeded:
            limit = claimed.run.time_limit_seconds
            ledger.fail(
                claimed, f"Stopped after its time limit of {limit} s.", reason=Reason.TIME_LIMIT, may_retry=False
            )
        except JobFailed as error:
            ledger.fail(claimed, str(error), traceback=traceback.format_exc(), may_retry=error.may_retry)
        except Exception as error:
            # Whoever collects the log's tracebacks gets the run with it.
            facts = {"run": claimed.run.pk, "attempt": claimed.attempt, "kind": claimed.run.kind}
            logger.exception("run %s failed", claimed.run.pk, extra=facts)
            words = f"Something unexpected went wrong ({type(error).__name__}: {error})."
            ledger.fail(claimed, words, traceback=traceback.format_exc())
        else:
            ledger.finish(claimed, result)
            logger.info("run %s succeeded: %s", claimed.run.pk, result)
