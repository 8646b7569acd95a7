"""The cleanup's tables: the rules and who allowed them, each cleaning, what it archived and which files it still owes, and holds."""

from __future__ import annotations

from cleanup.models.hold import ANY_TARGET, Hold
from cleanup.models.policy import MAX_DAYS, Archiving, CleanupApproval, CleanupPolicy, CleanupPreview
from cleanup.models.run import ArchivePart, CleanupRun, FileOutbox

__all__ = [
    "ANY_TARGET",
    "MAX_DAYS",
    "ArchivePart",
    "Archiving",
    "CleanupApproval",
    "CleanupPolicy",
    "CleanupPreview",
    "CleanupRun",
    "FileOutbox",
    "Hold",
]
