"""The database is away for a moment (a restart, a failover); what is being worked on can wait for it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.db import InterfaceError, OperationalError, connection

from runs import clock

logger = logging.getLogger(__name__)

ERRORS = (OperationalError, InterfaceError)
LONGEST_SECONDS = 120
TRY_EVERY_SECONDS = 1


def wait(error: Exception, checkpoint: Callable[[], None]) -> None:
    """Returns when the database answers again; raises the error when it does not for long."""
    logger.warning("the database does not answer (%s); waiting until it does", error)
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        connection.close()
        checkpoint()
        try:
            clock.now()
            return
        except ERRORS:
            if time.monotonic() > deadline:
                raise error from None
        time.sleep(TRY_EVERY_SECONDS)
