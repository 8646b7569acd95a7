"""What a newsletter attaches: chosen among the files that the desk offers, copied when an issue is prepared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.files.base import ContentFile

from newsletters import message
from newsletters.models import Issue, Newsletter
from runs import offered_files

MAX_BYTES = 10_000_000
"""Many mail servers refuse more; in a mail it grows by a third."""


class CannotAttach(Exception):
    """What is to be attached is not there, in words."""


@dataclass(frozen=True)
class Copied:
    """The copy that an issue keeps, whatever becomes of the original."""

    name: str
    content_type: str
    content: bytes

    def keep(self, issue: Issue) -> dict[str, Any]:
        """Writes the copy and returns the issue's columns. A repeated attempt replaces what the first one wrote."""
        file = issue.attachment_file
        path = file.field.generate_filename(issue, self.name)
        file.storage.delete(path)
        return {
            "attachment_file": file.storage.save(path, ContentFile(self.content)),
            "attachment_name": self.name[:200],
            "attachment_type": self.content_type[:100],
        }


def latest(key: str) -> Copied | None:
    """The newest file of this key; None for no key.

    Raises:
        CannotAttach: no longer offered, not made yet, or too large for a mail.
    """
    if not key:
        return None
    try:
        found = offered_files.latest(key)
    except offered_files.NotOffered as error:
        raise CannotAttach(f"The attachment cannot be added: {error}") from error
    with found.open() as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise CannotAttach(
            f"The attachment “{found.name}” is larger than {MAX_BYTES // 1_000_000} MB, which mail servers refuse. "
            "Choose fewer days or rows, or link to it instead."
        )
    return Copied(found.name, found.content_type, content)


def part_for_test(newsletter: Newsletter) -> bytes:
    """What an issue prepared now would attach, as a part of a mail. Raises CannotAttach."""
    found = latest(newsletter.attachment)
    return message.attachment(found.name, found.content_type, found.content) if found is not None else b""


def part_of(issue: Issue) -> bytes:
    """The issue's attachment as a part of a mail; empty where it has none."""
    if not issue.attachment_file:
        return b""
    with issue.attachment_file.open("rb") as file:
        return message.attachment(issue.attachment_name, issue.attachment_type, file.read())
