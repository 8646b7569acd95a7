"""What the ledger's pages know of kinds of jobs: their names and queues, announced by the app above that registers them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownKind:
    """One kind of job, as far as the ledger needs to know it."""

    key: str
    label: str
    queue: str


_known: dict[str, KnownKind] = {}


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
