"""The columns of archived rows beside those that their table has by now: what was added since, and what has gone."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import connection, models

from cleanup import table_sql
from cleanup.archive_file import ArchiveError


@dataclass(frozen=True)
class Columns:
    """What becomes of each column."""

    names: list[str]
    """Those that archive and table both have."""
    added: list[models.Field[Any, Any]]
    """Those of the table that were added since and need a value: what may be empty, or has a default in the database, does
    not."""
    gone: list[str]
    """Those that the archive holds and the table has no more."""

    @classmethod
    def of(cls, table: type[models.Model], held: Collection[str]) -> Columns:
        """Of an archive that holds these. Raises ArchiveError where its rows cannot come back."""
        own = table_sql.fields_of(table)
        label, names = table._meta.label, [str(one.column) for one in own if one.column in held]
        if table._meta.pk.column not in held:
            raise ArchiveError(f"Rows of {label} are numbered in another way by now, so these cannot come back.")
        added = []
        for one in own:
            if one.column in held or one.has_db_default():
                continue
            if connection.schema_editor().effective_default(one) is not None:
                added.append(one)
            elif not one.null:
                raise ArchiveError(
                    f"{label} has got “{one.column}” since, which must have a value and has no default, so these rows cannot "
                    "come back."
                )
        return cls(names, added, sorted(set(held) - {str(one.column) for one in own}))


def defaults(field: models.Field[Any, Any], count: int) -> list[Any]:
    """What so many rows of the past get in a column that was added, each its own: the same as rows that were there then."""
    editor = connection.schema_editor()
    return [editor.effective_default(field) for _ in range(count)]


def in_json(field: models.JSONField, value: Any) -> str:
    """A default of such a column as text, without what the driver wraps around it."""
    return json.dumps(getattr(value, "obj", value), cls=field.encoder)
