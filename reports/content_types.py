"""The media types of the formats: what downloads and attachments say they are."""

from __future__ import annotations

from reports.models import Format

_TYPES: dict[str, str] = {
    Format.CSV: "text/csv",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.JSONL: "application/x-ndjson",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.PDF: "application/pdf",
}


def of(file_format: str) -> str:
    """ "text/csv"; bytes of no known kind for a format that is no longer offered."""
    return _TYPES.get(file_format, "application/octet-stream")
