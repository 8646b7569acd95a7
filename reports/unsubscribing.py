"""How somebody outside ends the mails of one report: by the link in each of them, without an account."""

from __future__ import annotations

from django.core import signing
from django.db import transaction

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
        if not ReportRecipient.objects.filter(pk=recipient.pk, unsubscribed_at=None).update(
            unsubscribed_at=clock.now()
        ):
            return
        definition = recipient.definition
        after = {"address": recipient.address}
        audit.record(None, "a recipient unsubscribed from the report", definition, after=after)
        url = addresses.page("admin:reports_reportdefinition_change", definition.pk)
        for person in telling.who_answers(definition):
            notices.tell(person.pk, f"{recipient.address} asked for no more mails of “{definition}”.", url=url)
