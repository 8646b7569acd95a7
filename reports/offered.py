"""The reports' latest files, offered to whoever wants to send them along."""

from __future__ import annotations

from typing import BinaryIO

from reports import content_types, storage
from reports.models import Artefact, ReportDefinition
from runs import offered_files
from runs.offered_files import NotOffered, OfferedFile
from runs.row_numbers import row_number

LOOKED_AT = 20
"""Files that are still on the disk, the newest first: their time may be over without a sweep having come by."""


def register() -> None:
    """Called once the apps are loaded."""
    offered_files.register("report", offered_files.Source(labels, latest, permission="reports.download_artefact"))


def labels() -> dict[str, str]:
    """Every report by its number."""
    rows = ReportDefinition.objects.order_by("name").values_list("pk", "name")
    return {str(pk): f"The latest file of the report “{name}”" for pk, name in rows}


def latest(number: str) -> OfferedFile:
    """The newest file that is still kept of the report. Raises NotOffered in words."""
    definition = ReportDefinition.objects.filter(pk=row_number(number) or 0).first()
    if definition is None:
        raise NotOffered("The report was deleted. Choose another file, or none.")
    newest = Artefact.objects.filter(report_run__definition=definition, deleted_at=None).order_by("-id")
    looked_at = newest.select_related("report_run__definition")[:LOOKED_AT]
    artefact = next((one for one in looked_at if one.is_available), None)
    if artefact is None:
        raise NotOffered(f"The report “{definition}” has no file now. Run it first.")
    path = storage.path_of(artefact.key, artefact.format)

    def open_file() -> BinaryIO:
        return path.open("rb")

    if not path.exists():
        raise NotOffered(f"The file of the report “{definition}” is gone from the disk. Run it again.")
    return OfferedFile(artefact.file_name, content_types.of(artefact.format), artefact.created_at, open_file)
