"""Who gets a report by mail: people, members of groups and addresses outside, nobody twice, and why somebody does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import F

from reports import access
from reports.models import ReportDelivery, ReportRecipient, ReportRun

DISABLED = "This account is disabled."
NO_ADDRESS = "This account has no e-mail address."
NO_DESK = "This account may not sign in here (it is no staff account)."
NO_PERMISSION = (
    "May not see what this report lists, or not download its files. An administrator can give the permission."
)
OTHER_DOMAIN = "Reports may not go to this domain. An administrator can allow it (REPORT_DOMAINS)."
OTHER_ROWS = (
    "Was added to a report that lists something else by now. Download the file, and look at it before you send it."
)
UNSUBSCRIBED = "Asked for no more mails of this report."
REMOVED = "Is no longer among the recipients."


@dataclass(frozen=True)
class Addressee:
    """One who is to get the report, or is left out with the reason ``why_not``."""

    recipient_id: int
    user_id: int | None
    address: str
    why_not: str = ""


def of(report_run: ReportRun) -> list[Addressee]:
    """Everybody whom the report's definition names, each address once; the cost does not grow with their number.

    Former members of a group are no members; a person who is named is told of as left out.
    """
    definition = report_run.definition
    if definition is None:
        return []
    rows = list(definition.recipients.select_related("user"))
    permitted = _permitted(report_run) if any(row.address == "" for row in rows) else set()
    found: dict[str | int, Addressee] = {}
    for one in (*_people(rows, permitted), *_outside(rows, report_run)):
        found.setdefault(one.address.lower() or f"user {one.user_id}", one)
    return list(found.values())


def why_not(delivery: ReportDelivery) -> str:
    """Why this mail may not go out now, though it was planned; empty when it may."""
    recipient = delivery.recipient
    if recipient is None:
        return REMOVED
    if delivery.user_id is None:
        return _why_not_outside(recipient) if recipient.address else REMOVED
    user = get_user_model()._default_manager.filter(pk=delivery.user_id).first()
    if user is None or not _still_names(recipient, user):
        return REMOVED
    return _why_not_person(user, may=user.has_perms(_needed(delivery.report_run)))


def is_allowed(address: str) -> bool:
    """Whether reports may go to this address outside."""
    return address.rpartition("@")[2].lower() in settings.REPORT_DOMAINS


def _people(rows: Sequence[ReportRecipient], permitted: set[int]) -> Iterator[Addressee]:
    for row in rows:
        if row.user is not None:
            yield _person(row.pk, row.user, permitted)
    by_group = {row.group_id: row.pk for row in rows if row.group_id is not None}
    members = get_user_model()._default_manager.filter(groups__in=by_group, is_active=True)
    for user in members.annotate(in_group=F("groups")).order_by("pk"):
        yield _person(by_group[user.in_group], user, permitted)


def _outside(rows: Sequence[ReportRecipient], report_run: ReportRun) -> Iterator[Addressee]:
    # Whoever added the address may have known only what the report lists now; permissions do not guard what goes outside.
    listed, now = report_run.choices, report_run.definition
    is_other = now is not None and (listed.get("data_set"), listed.get("query_id")) != (now.data_set, now.query_id)
    for row in rows:
        if row.address:
            why_not = _why_not_outside(row) or (OTHER_ROWS if is_other else "")
            yield Addressee(row.pk, None, row.address.strip(), why_not)


def _person(recipient_id: int, user: Any, permitted: set[int]) -> Addressee:
    why = _why_not_person(user, may=user.pk in permitted)
    return Addressee(recipient_id, user.pk, user.email.strip(), why)


def _why_not_person(user: Any, *, may: bool) -> str:
    if not user.is_active:
        return DISABLED
    if not user.is_staff:
        return NO_DESK
    if not user.email:
        return NO_ADDRESS
    return "" if may else NO_PERMISSION


def _why_not_outside(recipient: ReportRecipient) -> str:
    if recipient.unsubscribed_at is not None:
        return UNSUBSCRIBED
    return "" if is_allowed(recipient.address) else OTHER_DOMAIN


def _still_names(recipient: ReportRecipient, user: Any) -> bool:
    if recipient.group_id is not None:
        return bool(user.groups.filter(pk=recipient.group_id).exists())
    return bool(recipient.user_id == user.pk)


def _needed(report_run: ReportRun) -> list[str]:
    """What a member of staff needs who gets it: its page, its files, and what it lists."""
    return [access.VIEW, *access.needed(report_run)]


def _permitted(report_run: ReportRun) -> set[int]:
    """Everybody who may get the report, in one query for each permission."""
    people = get_user_model()._default_manager
    backend = "django.contrib.auth.backends.ModelBackend"
    holders = (set(people.with_perm(one, backend=backend).values_list("pk", flat=True)) for one in _needed(report_run))
    return set.intersection(*holders)
