"""Counts files that no row names."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from cleanup import held_rows, holding, outbox
from cleanup.findings import SAMPLES, Finding, TableCount
from cleanup.targets import FileTarget, OrphanFile
from runs import words
from runs.bounded_queries import TookTooLong

MOST = 200_000
"""A preview lists no more than this many files; the rest is said to be more."""
NAMED = 5
"""So many files are named of those that stay for a reason of their own."""
_FILES_A_SECOND = 2000
"""Listed, asked about and removed, on this machine's like."""


def find(
    target: FileTarget, cutoff: datetime, now: datetime, until: float, *, batch_size: int, in_short: bool
) -> Finding:
    """One finding; reads the folder once, until the time is over, and holds twenty of its files in memory."""
    holds = held_rows.biting(target, now)
    count = held = size = 0
    oldest = newest = None
    samples: list[str] = []
    is_cut = False
    tried = outbox.tried(target.key)  # these are tried again until they are gone, whether a cleaning finds them or not
    try:
        for file in target.find(min(cutoff, now - target.grace), until):
            if file.path in tried:
                continue
            if held_rows.is_held(target, file.path, holds):
                held += 1
                continue
            count, size = count + 1, size + file.byte_count
            oldest = min(oldest or file.modified_at, file.modified_at)
            newest = max(newest or file.modified_at, file.modified_at)
            if len(samples) < SAMPLES:
                samples.append(_said(file))
            if count >= MOST and not in_short:  # a run counts them all: it asks what part of all files they are
                is_cut = True
                break
    except TookTooLong:
        is_cut = True
    total = target.total()
    return Finding(
        key=target.key, label=target.label, count=count, held=held,
        hold_words=() if in_short else tuple(holding.in_words(hold) for hold in holds), kept=0,
        tables=(TableCount(target.key, target.noun[1], "delete", count, is_cut),), buckets=(), oldest=oldest, newest=newest,
        samples=tuple(samples), files=count, file_bytes=size, table_rows=total,
        batches=-(-count // min(batch_size, target.most_per_batch)), seconds=round(count / _FILES_A_SECOND, 1), is_estimate=is_cut,
        notes=() if in_short else _notes(target, tried),
    )  # fmt: skip


def _notes(target: FileTarget, tried: Collection[str]) -> tuple[str, ...]:
    """What stays although nobody sees why."""
    notes = []
    if strange := target.unreadable():
        many = len(strange) > 1
        notes.append(
            f"{words.counted(len(strange), 'file')} {'stay' if many else 'stays'}, because the {'names' if many else 'name'} cannot "
            f"be read here: {_first(strange)}. Give {'them other names' if many else 'it another name'}, or delete "
            f"{'them' if many else 'it'} by hand."
        )
    if tried:
        notes.append(
            f"{words.counted(len(tried), 'file')} could not be removed from the disk so far and {'is' if len(tried) == 1 else 'are'} tried "
            f"again by and by: {_first(sorted(tried))}."
        )
    return tuple(notes)


def _first(paths: Sequence[str]) -> str:
    return ", ".join(paths[:NAMED]) + (" and more" if len(paths) > NAMED else "")


def _said(file: OrphanFile) -> str:
    return f"{file.path} ({file.byte_count:,} bytes, {file.modified_at:%d %b %Y})"
