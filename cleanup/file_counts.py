"""Counts files that no row names."""

from __future__ import annotations

from datetime import datetime

from cleanup import held_rows, holding
from cleanup.findings import SAMPLES, Finding, TableCount
from cleanup.targets import FileTarget, OrphanFile
from runs.bounded_queries import TookTooLong

MOST = 200_000
"""A preview lists no more than this many files; the rest is said to be more."""
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
    try:
        for file in target.find(min(cutoff, now - target.grace), until):
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
    )  # fmt: skip


def _said(file: OrphanFile) -> str:
    return f"{file.path} ({file.byte_count:,} bytes, {file.modified_at:%d %b %Y})"
