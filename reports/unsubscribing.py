"""How somebody outside ends the mails of one report, or has them back: by the link in each of them, without an account."""

from __future__ import annotations

from django.core import signing
from django.db import transaction
from django.db.models import QuerySet

from reports import telling
from reports.models import ReportRecipient
from runs import addresses, audit, clock, notices

_PURPOSE = "reports.unsubscribing"


def token_of(recipient_id: int) -> str:
    """What stands in the address; it never expires, as the law asks of such links."""
    return signing.Signer(salt=_PURPOSE, sep=".").sign(str(recipient_id))


def find(token: str) -> ReportRecipient | None:
    """The recipient; None for what is not ours, and for whom staff removed meanwhile."""
    try:
        number = int(signing.Signer(salt=_PURPOSE, sep=".").unsign(token))
    except (signing.BadSignature, ValueError):
        return None
    return ReportRecipient.objects.select_related("definition__owner").filter(pk=number).exclude(address="").first()


def unsubscribe(recipient: ReportRecipient) -> None:
    """No more mails of this report; the second time changes nothing. Whoever answers for the report is told."""
    with transaction.atomic():
        if _rows(recipient).filter(unsubscribed_at=None).update(unsubscribed_at=clock.now()):
            _tell(recipient, "a recipient unsubscribed from the report", "asked for no more mails of")


def come_back(recipient: ReportRecipient) -> None:
    """They want the mails after all; nobody but themselves can say so."""
    with transaction.atomic():
        if _rows(recipient).exclude(unsubscribed_at=None).update(unsubscribed_at=None):
            _tell(recipient, "a recipient wants the report again", "wants the mails again of")


def _rows(recipient: ReportRecipient) -> QuerySet[ReportRecipient]:
    return ReportRecipient.objects.filter(pk=recipient.pk)


def _tell(recipient: ReportRecipient, action: str, did: str) -> None:
    definition = recipient.definition
    audit.record(None, action, definition, after={"address": recipient.address})
    url = addresses.page("admin:reports_reportdefinition_change", definition.pk)
    for person in telling.who_answers(definition):
        notices.tell(person.pk, f"{recipient.address} {did} “{definition}”.", url=url)
