"""Takes a person's words out of what the desk wrote down: the activity log, runs, their logs, alerts and notices.

Entries stay, with their time, who acted and what was done; only the words that name the person go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib.admin.models import LogEntry
from django.db.models import CharField, F, Model, Q, QuerySet, TextField
from django.db.models.functions import Cast

from runs.models import Alert, AuditEntry, Notice, Run, RunEvent

GONE = "an erased person"
_WRITTEN: tuple[tuple[type[Model], tuple[str, ...]], ...] = (
    (AuditEntry, ("object_label", "reason", "before", "after")),
    (Run, ("target_label", "parameters", "reason_text", "result", "error", "traceback")),
    (RunEvent, ("message",)),
    (Alert, ("title", "detail")),
    (Notice, ("text",)),
    (LogEntry, ("object_repr", "change_message")),
)


def forget(row: Model, words: Sequence[str]) -> int:
    """Replaces the words everywhere, whatever their case, and empties the entries about the row; returns how many changed.

    It reads the tables once each: no index knows what a text holds. Call it inside a transaction.
    """
    pattern = _pattern(words)
    changed = AuditEntry.objects.filter(object_type=row._meta.label_lower, object_id=str(row.pk)).update(
        object_label=GONE, before={}, after={}
    )
    for model, names in _WRITTEN:
        for found in _naming(model, names, words):
            cleaned = {name: _fitting(model, name, _without(getattr(found, name), pattern)) for name in names}
            if any(getattr(found, name) != value for name, value in cleaned.items()):
                model._default_manager.filter(pk=found.pk).update(**cleaned)
                changed += 1
    return changed


def without(text: str, words: Sequence[str]) -> str:
    """The text with the words replaced, whatever their case."""
    return _pattern(words).sub(GONE, text)


def names_of(model: type[Model]) -> tuple[str, ...]:
    """The fields of one of these tables in which somebody may be named."""
    return dict(_WRITTEN)[model]


def texts_with_addresses(rows: QuerySet[Any], names: Sequence[str], most: int) -> list[str] | None:
    """What stands in these fields of the rows in which there may be an address; None where there are more than so many."""
    wanted = Q()
    for name in names:
        rows, looked_at = _as_text(rows, name)
        wanted |= Q(**{f"{looked_at}__contains": "@"})
    found = list(rows.filter(wanted).order_by().values_list(*names)[: most + 1])
    return None if len(found) > most else [" ".join(_strings(list(row))) for row in found]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)
    elif isinstance(value, dict):
        yield from _strings([*value, *value.values()])


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    """The longest first: an address inside a longer name goes with it. ann@x.org is no part of joann@x.org."""
    longest_first = sorted(forms(words), key=len, reverse=True)
    either = "|".join(re.escape(form) for form in longest_first)
    return re.compile(rf"(?<![\w.+%'-])(?:{either})(?![\w-]|\.\w)", re.IGNORECASE)


def forms(words: Sequence[str]) -> set[str]:
    """Databases ignore the case of ASCII letters only, and JSON may be stored with escapes."""
    spelled = {form for word in words for form in (word, word.lower(), word.upper())}
    return spelled | {json.dumps(form)[1:-1] for form in spelled}


def _naming(model: type[Model], names: Sequence[str], words: Sequence[str]) -> list[Any]:
    rows: QuerySet[Any] = model._default_manager.all()
    wanted = Q()
    for name in names:
        rows, looked_at = _as_text(rows, name)
        for word in forms(words):
            wanted |= Q(**{f"{looked_at}__icontains": word})
    return list(rows.filter(wanted))


def _as_text(rows: QuerySet[Any], name: str) -> tuple[QuerySet[Any], str]:
    """The rows, and under which name the field is a text."""
    if isinstance(rows.model._meta.get_field(name), (CharField, TextField)):
        return rows, name
    return rows.annotate(**{f"{name}_text": Cast(F(name), TextField())}), f"{name}_text"


def _fitting(model: type[Model], name: str, value: Any) -> Any:
    longest = getattr(model._meta.get_field(name), "max_length", None)
    return value[:longest] if isinstance(value, str) and longest else value


def _without(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(GONE, value)
    if isinstance(value, list):
        return [_without(one, pattern) for one in value]
    if isinstance(value, dict):
        return {_without(key, pattern): _without(one, pattern) for key, one in value.items()}
    return value
