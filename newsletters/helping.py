"""Several processes send one issue: the run's own asks, and whichever worker is idle takes a turn.

Turns are short, so that a large issue never keeps a worker from the other jobs in its queue. A message that is lost or
comes twice is harmless: the lanes decide who sends, and the run's own process would send everything alone.
"""

from __future__ import annotations

import logging
import time

from django.conf import settings

from newsletters import deliveries, lanes, pausing
from newsletters.models import Issue
from newsletters.sender import Stopped, begin
from newsletters.smtp_replies import ServerTrouble
from runs import database_away, stopping
from runs.ledger import LeaseLost, WorkerStopping
from runs.tasks import RunContext

logger = logging.getLogger(__name__)

TURN_SECONDS = 20
WORTH_HELPING = 5_000
"""Recipients that wait; fewer are sent before help has come."""
WORTH_HELPING_PER_SECOND = 50
"""A slower rate is kept by one process alone."""
ASK_EVERY_SECONDS = 3
MESSAGE_SECONDS = 15
"""A message that no worker took for so long is thrown away; the next one asks again."""
REAP_EVERY_SECONDS = 5
WAIT_SECONDS = 0.1


class Driver:
    """The work of the run's own process: as the run sees it, and with help."""

    def __init__(self, run: RunContext, issue: Issue) -> None:
        self._run = run
        self._issue = issue
        self._next_ask = 0.0
        self._next_reap = time.monotonic() + REAP_EVERY_SECONDS
        rate = issue.newsletter.seconds_per_mail
        self._may_ask = settings.SENDING_PROCESSES > 1 and rate <= 1 / WORTH_HELPING_PER_SECOND

    def progress(self, done: int, total: int | None = None, unit: str = "") -> None:
        """As :meth:`RunContext.progress`."""
        self._run.progress(done, total, unit)
        if self._may_ask and (total or 0) - done > WORTH_HELPING and time.monotonic() >= self._next_ask:
            self._ask()
        if time.monotonic() >= self._next_reap:
            self._next_reap = time.monotonic() + REAP_EVERY_SECONDS
            lanes.reap(self._issue.pk)

    def _ask(self) -> None:
        """One message for each lane that nobody holds."""
        from newsletters.tasks import help_send  # its module needs this one

        self._next_ask = time.monotonic() + ASK_EVERY_SECONDS
        held = set(lanes.held(self._issue.pk).values_list("number", flat=True))
        for number in range(1, settings.SENDING_PROCESSES):
            if number not in held:
                try:
                    help_send.apply_async(
                        (self._issue.pk, number, self._run.id),
                        queue="newsletters",
                        expires=MESSAGE_SECONDS,
                        retry=False,
                    )
                except Exception:  # whatever is wrong with the broker: nobody comes, and we go on
                    logger.warning("nobody could be asked to help with issue %s", self._issue.pk, exc_info=True)
                    self._next_ask = time.monotonic() + 10 * ASK_EVERY_SECONDS
                    return


class _Helper:
    """The work of a process that helps: it tells nobody, and ends when its worker is asked to stop."""

    def progress(self, done: int, total: int | None = None, unit: str = "") -> None:
        if stopping.is_announced():
            raise WorkerStopping


def take_a_turn(issue_id: int, number: int, run_id: int) -> None:
    """Sends on a lane of its own until nothing waits, the turn is over, or somebody stops the issue."""
    issue = Issue.objects.select_related("newsletter").filter(pk=issue_id, state=Issue.State.RUNNING).first()
    if issue is None:
        return
    try:
        hold = lanes.take(issue, run_id, number)
    except lanes.LaneBusy:
        return
    sender = begin(_Helper(), issue, hold)
    try:
        sender.send(until=time.monotonic() + TURN_SECONDS)
        sender.look()
    except Stopped:
        pass
    except database_away.ERRORS as error:
        sender.abandon()
        database_away.wait(error, lambda: None)
        lanes.release(hold)
    except LeaseLost:
        logger.info("issue %s: lane %s is given back", issue_id, number)
    except ServerTrouble as trouble:
        pausing.pause(issue, str(trouble), code=trouble.code)
    finally:
        sender.close()
        deliveries.leave_out_if_cancelled(issue_id)


def wait_until_alone(run: RunContext, issue_id: int, *, is_of_any_run: bool = False) -> None:
    """Until those who help this run have stopped as well, and killed ones are settled: then the counts are right."""
    held = lanes.held(issue_id) if is_of_any_run else lanes.held(issue_id).filter(run_id=run.id)
    while held.exists():
        if not lanes.reap(issue_id):
            run.checkpoint()
            time.sleep(WAIT_SECONDS)
