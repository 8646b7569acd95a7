"""The targets of cleanup that need functions of the apps whose rows they are: put together here, where all are known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from cleanup.targets import Touched, register, scopes
from cleanup.targets.deliveries import deliveries
from cleanup.targets.inactive_subscribers import inactive_subscribers
from cleanup.targets.report_records import report_files
from cleanup.targets.scopes import Addresses


class CannotRemove(Exception):
    """A row stays for now; the message says why."""


def connect() -> None:
    """Called once the apps are loaded. What it needs of them is imported when it is used: beats never clean."""
    scopes.addresses_by(Addresses(_normalise, _whose, _known_as))
    register(deliveries(keep=_keep_counts, asked_about=_asked_about))
    register(inactive_subscribers(erase=_erase, touches=_TOUCHED))
    register(report_files(remove=_remove_files))


def _normalise(address: str) -> str:
    from newsletters import addresses

    return addresses.normalise(address)  # BadAddress is a ValueError, in words


def _whose(address: str) -> int | None:
    from newsletters import known_addresses

    return known_addresses.whose(address)


def _known_as(subscriber_ids: Collection[int]) -> Mapping[int, Collection[str]]:
    from newsletters import known_addresses

    return known_addresses.of(subscriber_ids)


def _keep_counts(delivery_ids: Sequence[Any], now: datetime) -> None:
    from newsletters import kept_counts
    from newsletters.models import Delivery
    from runs.id_lists import rows_of

    rows = Delivery.objects.filter(pk__in=rows_of(list(delivery_ids))).order_by()
    issue_ids = set(rows.values_list("issue", flat=True).distinct())
    if issue_ids - kept_counts.keep(issue_ids, now):
        raise CannotRemove("The issue is being sent again, so its recipients stay.")


def _asked_about() -> Collection[int]:
    from newsletters import kept_counts

    return kept_counts.asked_about()


def _erase(subscriber_ids: Sequence[Any], now: datetime) -> Mapping[str, int]:
    from newsletters import erasing
    from newsletters.models import Subscriber

    people = list(Subscriber.objects.filter(pk__in=list(subscriber_ids)).order_by("pk"))
    for person in people:
        erasing.remove(None, person)
    return {"newsletters.Subscriber": len(people)}


def _stay(function: str) -> Callable[[QuerySet[Any]], Q]:
    def stays(held: QuerySet[Any]) -> Q:
        from newsletters import held_traces

        condition: Q = getattr(held_traces, function)(held)
        return condition

    return stays


_TOUCHED = (
    Touched("newsletters.Subscription", _stay("of_subscriptions"), by_kind=True),
    Touched("newsletters.Delivery", _stay("of_deliveries")),
    Touched("newsletters.ReaderEvent", _stay("of_events")),
    Touched("newsletters.FeedbackMessage", _stay("of_feedback")),
    Touched("newsletters.ImportJob", _stay("of_imports")),
    Touched("runs.Run", _stay("of_runs")),
    *(
        Touched(model, _stay("of_notes"))
        for model in ("runs.AuditEntry", "runs.Alert", "runs.Notice", "admin.LogEntry")
    ),
)
"""What erasing somebody empties or deletes besides their own row (newsletters/erasing.py)."""


def _remove_files(artefact_ids: Sequence[Any], now: datetime) -> Mapping[str, int]:
    from reports import retention
    from reports.models import Artefact

    files = list(Artefact.objects.filter(pk__in=list(artefact_ids)).select_related("report_run").order_by("pk"))
    for one in files:
        if not retention.remove(one, retention.EXPIRED):
            raise CannotRemove(f"The file “{one.file_name}” cannot be removed from the disk just now.")
    return {"reports.Artefact": len(files)}
