"""The rows of an approved query: of the text that was approved and of no other, in the sandbox."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reports.datasets.registry import Row
from reports.models import ReportQuery
from reports.periods import Window
from reports.queries import parameters, sandbox
from reports.queries.fingerprints import fingerprint
from reports.queries.sandbox import Limits, Query, Reading, SandboxError
from reports.sources import Choices, Head, Statement, Unreadable


class QuerySource:
    """See :class:`reports.sources.Source`. Every method may raise Unreadable."""

    def __init__(self, choices: Choices, window: Window, seconds: float | None = None) -> None:
        self._query = _approved(choices, window)
        own = Limits.of_reports()
        self._limits = own if seconds is None else replace(own, seconds=min(seconds, own.seconds))
        self._reading: Reading | None = None
        """Begun, and not read yet."""
        self._read: Reading | None = None

    @property
    def heads(self) -> Sequence[Head]:
        # What is begun for its columns is read by rows(); where nobody reads it, it ends with this object.
        heads: dict[str, Head] = {}
        for number, column in enumerate(self._begun().columns, start=1):
            name = column.name if column.name not in heads else f"{column.name}_{number}"
            heads[name] = Head(name, column.name, column.kind)
        return list(heads.values())

    def count(self) -> int | None:
        """Counting would run it twice."""
        return None

    def rows(self) -> Iterator[Row]:
        reading, self._reading = self._begun(), None
        self._read = reading
        try:
            yield from reading.rows()
        except SandboxError as error:
            raise Unreadable(str(error)) from error
        finally:
            reading.close()

    def interrupt(self) -> None:
        """Ends the reading, from any thread; whoever reads gets Unreadable."""
        for reading in (self._reading, self._read):
            if reading is not None:
                reading.interrupt()

    def statement(self) -> Statement | None:
        """Nothing of it may reach our own connection."""
        return None

    def totals(self) -> Mapping[str, Any]:
        return {}

    def _begun(self) -> Reading:
        if self._reading is None:
            try:
                self._reading = sandbox.begin(self._query, self._limits)
            except SandboxError as error:
                raise Unreadable(str(error)) from error
            weakref.finalize(self, self._reading.close)
        return self._reading


def _approved(choices: Choices, window: Window) -> Query:
    row = ReportQuery.objects.filter(pk=choices.query_id or 0).first()
    if row is None:
        raise Unreadable("The SQL query of this report was deleted. Edit the report and choose what it lists.")
    if not row.approved_sha256:
        raise Unreadable(f"Nobody has approved the SQL query “{row}” yet. Ask somebody who may approve it.")
    if fingerprint(row.approved_sql, row.approved_parameters) != row.approved_sha256:
        raise Unreadable(f"The approved text of the SQL query “{row}” was changed behind our back. Approve it anew.")
    if choices.query_sha256 and choices.query_sha256 != row.approved_sha256:
        raise Unreadable(
            f"The SQL query “{row}” was approved with another text since this report was begun. Make the report anew."
        )
    try:
        bound = parameters.bound(parameters.read(row.approved_parameters), choices.parameters, window)
    except parameters.NoValue as error:
        raise Unreadable(f"“{error}” has no value. Edit the report and write one.") from error
    except parameters.BadValue as error:
        raise Unreadable(f"{error} Edit the report.") from error
    return Query(row.approved_sql, bound, window.zone)
