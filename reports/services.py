"""Everything that changes a report definition, and the check before a file is handed out, for every door.

Each function checks the permission, works in one transaction, and writes an audit entry.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from reports.drafts import ReportDraft, validate
from reports.models import Artefact, DownloadEvent, ReportDefinition
from runs import audit, clock
from runs.audit import Actor
from schedules import targets


def create_definition(actor: Actor, draft: ReportDraft) -> ReportDefinition:
    """Adds a report.

    Raises:
        ValidationError: a message per field.
        PermissionDenied: the actor may not add reports.
    """
    audit.require(actor, "reports.add_reportdefinition", "create a report")
    validate(draft)
    with transaction.atomic():
        owner_id = actor.pk if actor is not None else None
        definition = ReportDefinition.objects.create(owner_id=owner_id, **draft.column_values())
        definition.notify.set(draft.notify)
        audit.record(actor, "created the report", definition, after=_facts(definition))
    return definition


def edit_definition(actor: Actor, definition_id: int, draft: ReportDraft) -> ReportDefinition:
    """Changes a report. Files that were made before stay as they are.

    Raises:
        ValidationError: a message per field.
        PermissionDenied: the actor may not change it.
    """
    definition = ReportDefinition.objects.get(pk=definition_id)
    audit.require(actor, "reports.change_reportdefinition", "change the report", definition)
    validate(draft, definition)
    with transaction.atomic():
        definition = ReportDefinition.objects.get(pk=definition_id)
        before = _facts(definition)
        for name, value in draft.column_values().items():
            setattr(definition, name, value)
        definition.save()
        definition.notify.set(draft.notify)
        audit.record(actor, "changed the report", definition, before=before, after=_facts(definition))
    return definition


def delete_definition(actor: Actor, definition_id: int) -> None:
    """Removes a report; the files it made stay in the library until they expire.

    Raises:
        ValidationError: schedules still make it.
        PermissionDenied: the actor may not.
    """
    definition = ReportDefinition.objects.get(pk=definition_id)
    audit.require(actor, "reports.delete_reportdefinition", "delete the report", definition)
    with transaction.atomic():
        targets.require_unused(definition)
        audit.record(actor, "deleted the report", definition, before=_facts(definition))
        definition.delete()


def require_download(actor: Actor, artefact: Artefact) -> None:
    """Raises PermissionDenied, and records the attempt, when the actor may not download report files."""
    audit.require(actor, "reports.download_artefact", "download the report file", artefact)


def record_download(actor: Actor, artefact: Artefact, *, ip: str | None, byte_range: str) -> None:
    """Notes who took the file, or the part ``byte_range`` of it, from which address."""
    require_download(actor, artefact)
    user_id = actor.pk if actor is not None else None
    with transaction.atomic():
        DownloadEvent.objects.create(artefact=artefact, user_id=user_id, ip=ip, byte_range=byte_range, at=clock.now())
        audit.record(actor, "downloaded the report file", artefact, after={"part": byte_range} if byte_range else None)


def _facts(definition: ReportDefinition) -> dict[str, Any]:
    """The values that the audit trail keeps."""
    draft = ReportDraft.of(definition)
    return {**draft.column_values(), "notify": list(draft.notify)}
