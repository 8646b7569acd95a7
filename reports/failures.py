"""Why a report could not be made, in words for staff."""

from __future__ import annotations

from typing import Any

from django.db import DataError, Error, InterfaceError, OperationalError, ProgrammingError, connection

from reports import sources, storage
from reports.datasets import registry
from reports.models import ReportRun
from reports.outputs import CannotWrite
from reports.rights import NotAllowed
from runs.tasks import JobFailed

_SAID_ALREADY = (storage.StorageError, sources.Unreadable, CannotWrite, NotAllowed)
_CANCELLED = "It was cancelled."
_OF_THE_DATABASE = {
    "QueryCanceled": "The database stopped reading the rows, because it took longer than it allows.",
    "DiskFull": "The database ran out of room on its disk while it put the rows in order.",
    "InsufficientPrivilege": "The database does not let Almanac read what this report lists.",
    "OutOfMemory": "The database ran out of memory while it read the rows.",
}
_WHAT_TO_DO = "Choose fewer days or columns, or ask an administrator."


def in_words(error: Exception) -> JobFailed | None:
    """What staff are told of it; None where nobody can say what it means."""
    if isinstance(error, JobFailed):
        return error
    if isinstance(error, _SAID_ALREADY):
        return JobFailed(str(error), may_retry=False)
    if isinstance(error, registry.UnknownDataSet):
        why = "What this report lists is no longer available. Edit the report and choose something else."
        return JobFailed(why, may_retry=False)
    if isinstance(error, Error):
        known = _OF_THE_DATABASE.get(type(error.__cause__).__name__)
        if known is not None:
            return JobFailed(f"{known} {_WHAT_TO_DO}")
        said = str(error).strip().splitlines()
        why = f"The rows could not be read; the database said: {said[0] if said else type(error).__name__}."
        return JobFailed(why, may_retry=not isinstance(error, ProgrammingError | DataError))
    return None


def is_database_away(error: Exception, before: Any) -> bool:
    """Whether the driver's connection that there was ``before`` is gone, and with it nothing but what was read so far."""
    is_gone = connection.connection is not before or getattr(before, "closed", False)
    return isinstance(error, OperationalError | InterfaceError) and connection.vendor == "postgresql" and bool(is_gone)


def close(report_run: ReportRun, why: str) -> None:
    """Notes that this attempt failed; whether another follows is the ledger's to decide."""
    _set(report_run, ReportRun.State.FAILED, why)


def close_cancelled(report_run: ReportRun) -> None:
    """Notes that it was cancelled."""
    _set(report_run, ReportRun.State.CANCELLED, _CANCELLED)


def _set(report_run: ReportRun, state: str, why: str) -> None:
    report_run.state, report_run.error = state, why[:500]
    report_run.save(update_fields=["state", "error"])
