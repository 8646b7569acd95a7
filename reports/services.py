"""Everything that changes a report definition, and the check before a file is handed out, for every door.

Each function checks the permission, works in one transaction, and writes an audit entry.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from reports import access
from reports.draft_checks import validate
from reports.drafts import COMPARED_BY, MADE_OF, ReportDraft
from reports.models import Artefact, DownloadEvent, ReportDefinition, ReportRecipient
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
    own_id = actor.pk if actor is not None else None
    validate(draft, actor=actor)
    with transaction.atomic():
        definition = ReportDefinition.objects.create(**{"owner_id": own_id, **draft.column_values()})
        _set_people(definition, draft)
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
    with transaction.atomic():
        definition = ReportDefinition.objects.select_for_update().get(pk=definition_id)
        validate(draft, definition, actor=actor)
        before, values = _facts(definition), draft.column_values()
        changed = {name for name, value in values.items() if getattr(definition, name) != value}
        for name, value in values.items():
            setattr(definition, name, value)
        if changed.intersection(MADE_OF):
            definition.version += 1
        if changed.intersection(COMPARED_BY):
            definition.is_past_threshold = False
        definition.save()
        _set_people(definition, draft)
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
    """Raises PermissionDenied, and records the attempt, when the actor may not see what is in it."""
    access.require_rows(actor, "download the report file", artefact.report_run, artefact)


def record_download(actor: Actor, artefact: Artefact, *, ip: str | None, byte_range: str) -> None:
    """Notes who took the file, or the part ``byte_range`` of it, from which address."""
    require_download(actor, artefact)
    user_id = actor.pk if actor is not None else None
    with transaction.atomic():
        DownloadEvent.objects.create(artefact=artefact, user_id=user_id, ip=ip, byte_range=byte_range, at=clock.now())
        audit.record(actor, "downloaded the report file", artefact, after={"part": byte_range} if byte_range else None)


def _set_people(definition: ReportDefinition, draft: ReportDraft) -> None:
    """Whoever stays keeps their row, and so does an address that asked for no more mails: it is not asked twice.

    The links of an address that is taken away end.
    """
    definition.notify.set(draft.notify)
    wanted: dict[tuple[str, Any], ReportRecipient] = {}
    for user_id in draft.recipient_users:
        wanted["user", user_id] = ReportRecipient(definition=definition, user_id=user_id)
    for group_id in draft.recipient_groups:
        wanted["group", group_id] = ReportRecipient(definition=definition, group_id=group_id)
    for address in draft.recipient_addresses:
        wanted["address", address.lower()] = ReportRecipient(definition=definition, address=address)
    for row in definition.recipients.all():
        key: tuple[str, Any] = ("user", row.user_id) if row.user_id else ("group", row.group_id)
        is_wanted = wanted.pop(("address", row.address.lower()) if row.address else key, None) is not None
        if is_wanted or row.unsubscribed_at is not None:
            continue
        row.links.filter(revoked_at=None).update(revoked_at=clock.now())
        row.delete()
    ReportRecipient.objects.bulk_create(wanted.values())


def _facts(definition: ReportDefinition) -> dict[str, Any]:
    """The values that the audit trail keeps."""
    return ReportDraft.of(definition).facts()
