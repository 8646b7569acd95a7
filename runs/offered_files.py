"""Files that one app offers to the others, such as a report's latest file: announced by the app that makes them.

A key is ``source:number``. Nobody needs to know which app stands behind a source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from runs import audit
from runs.audit import Actor


class NotOffered(LookupError):
    """There is no such file now; the message says why, in words."""


@dataclass(frozen=True)
class OfferedFile:
    """One file, ready to be read."""

    name: str
    content_type: str
    made_at: datetime
    open: Callable[[], BinaryIO]


@dataclass(frozen=True)
class Source:
    """One kind of files: what there is to choose, and the newest of each."""

    labels: Callable[[], dict[str, str]]
    """What staff may choose, by the part of the key after the colon."""
    latest: Callable[[str], OfferedFile]
    """The newest file of one of them; raises NotOffered in words."""
    permission: str = ""
    """What somebody must be allowed who chooses one, and so hands it on; empty for everybody."""


_sources: dict[str, Source] = {}


def register(name: str, source: Source) -> None:
    """From now on, the source's files are offered under ``name:``; announcing the same name again replaces it."""
    _sources[name] = source


def choices() -> list[tuple[str, str]]:
    """Every key that may be chosen now, with its label."""
    return [(f"{name}:{part}", label) for name, source in _sources.items() for part, label in source.labels().items()]


def label(key: str) -> str:
    """What the key stands for; empty where nothing of that key is offered any more."""
    return dict(choices()).get(key, "")


def choices_of(actor: Actor) -> list[tuple[str, str]]:
    """Those that this person may hand on."""
    return [(key, label) for key, label in choices() if may_hand_on(actor, key)]


def may_hand_on(actor: Actor, key: str) -> bool:
    """Whether this person may see the files of this key, and so send them to others."""
    permission = _permission(key)
    return not permission or actor is None or actor.has_perm(permission)  # type: ignore[union-attr]


def require(actor: Actor, key: str) -> None:
    """Raises PermissionDenied, on record, for whoever may not hand on the files of this key."""
    if not may_hand_on(actor, key):
        audit.require(actor, _permission(key), "hand on this file")


def _permission(key: str) -> str:
    source = _sources.get(key.partition(":")[0])
    return source.permission if source is not None else ""


def latest(key: str) -> OfferedFile:
    """The newest file of this key. Raises NotOffered."""
    name, _, part = key.partition(":")
    source = _sources.get(name)
    if source is None:
        raise NotOffered("What it was made from is no longer there. Choose another file, or none.")
    return source.latest(part)
