"""The reports' tables: what is counted and who hears of it, each making of it, its files, and who got or took them."""

from __future__ import annotations

from reports.models.definition import (
    COMPLETE,
    MAX_ATTACHED_MB,
    MAX_RETENTION_DAYS,
    Condition,
    OnCap,
    Period,
    ReportDefinition,
    ReportRecipient,
)
from reports.models.delivery import ReportDelivery, ShareLink
from reports.models.query import ReportQuery
from reports.models.run import Artefact, DownloadEvent, Format, ReportRun

__all__ = [
    "COMPLETE",
    "MAX_ATTACHED_MB",
    "MAX_RETENTION_DAYS",
    "Artefact",
    "Condition",
    "DownloadEvent",
    "Format",
    "OnCap",
    "Period",
    "ReportDefinition",
    "ReportDelivery",
    "ReportQuery",
    "ReportRecipient",
    "ReportRun",
    "ShareLink",
]
