"""What the ledger's pages know of kinds of jobs: their names and queues, announced by the app above that registers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KnownKind:
    """One kind of job, as far as the ledger needs to know it."""

    key: str
    label: str
    queue: str


Page = Callable[[Any, int], tuple[str, str] | None]
"""(person, number of the run) → what to call the page of what it made, and its address; None where there is none."""

_known: dict[str, KnownKind] = {}
_pages: dict[str, Page] = {}


def announce(key: str, label: str, queue: str) -> None:
    """From now on, runs of this kind are shown by this name; announcing the same key again replaces it."""
    _known[key] = KnownKind(key, label, queue)


def known() -> list[KnownKind]:
    """Every announced kind, by name."""
    return sorted(_known.values(), key=lambda kind: kind.label)


def label(key: str) -> str:
    """The kind's name; its key where nobody announced it."""
    kind = _known.get(key)
    return kind.label if kind is not None else key


def show_at(key: str, page: Page) -> None:
    """From now on, the page of a run of this kind leads to what it made."""
    _pages[key] = page


def page_of(key: str, reader: Any, run_id: int) -> tuple[str, str] | None:
    """What to call the page of what this run made, and its address, for this person."""
    find = _pages.get(key)
    return None if find is None else find(reader, run_id)
