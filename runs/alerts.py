"""Who is told what: problems become rows, and one grouped message goes out about them by mail, notice and Apprise.

A problem is one row from its first sign to its end. Telling is held by compare-and-set for a moment before anything is
sent and confirmed afterwards: two processes never tell the same twice, and a process that dies in between only delays.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage, get_connection
from django.db import IntegrityError, transaction
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from runs import addresses, clock, notices, words
from runs.models import Alert, Notice, RunEvent, StaffSettings

logger = logging.getLogger(__name__)

REMIND = timedelta(hours=24)
"""A problem that lasts is told again after this time."""
HOLD = timedelta(minutes=3)
"""How long one process may take to tell; after that another may try."""
BACK_OFF = timedelta(minutes=1)
"""The wait after nobody could be reached; also the least time between two messages about what comes and goes."""
LIMIT = 200
"""Alerts told in one message; the rest follow in the next."""
MAIL_SECONDS = 10


class NotDelivered(Exception):
    """A channel did not take the message."""


@dataclass(frozen=True)
class _Channel:
    """One way out, and the alerts that go through it."""

    name: str
    alerts: Sequence[Alert]
    send: Callable[[], None]


def raise_alert(
    key: str,
    title: str,
    *,
    detail: str = "",
    level: str = Alert.Level.ERROR,
    schedule_id: int | None = None,
    owner_id: int | None = None,
    url: str = "",
) -> Alert:
    """Opens the alert of this key, or notes that the problem was seen again."""
    now = clock.now()
    values: dict[str, Any] = {
        "title": title[:200], "detail": detail[:500], "level": level, "schedule_id": schedule_id, "owner_id": owner_id,
        "url": url[:300], "last_seen_at": now,
    }  # fmt: skip
    same = Alert.objects.filter(key=key[:120], resolved_at=None)
    while True:
        if same.update(**values, seen_count=F("seen_count") + 1) and (seen := same.first()) is not None:
            return seen
        try:
            with transaction.atomic():
                return Alert.objects.create(key=key[:120], first_seen_at=now, **values)
        except IntegrityError:
            if not same.exists():  # not the open row of another process: something is wrong with the values
                raise


def resolve(key: str) -> bool:
    """Ends the open alert of this key; False when there was none."""
    return bool(_end(Alert.objects.filter(key=key[:120])))


def resolve_all_but(prefix: str, keys: Collection[str]) -> int:
    """Ends every open alert whose key begins with the prefix and is not among ``keys``; returns how many."""
    return _end(Alert.objects.filter(key__startswith=prefix).exclude(key__in=[key[:120] for key in keys]))


def _end(alerts: Any) -> int:
    now = clock.now()
    # What nobody was told of needs no word about its end either.
    untold = Case(When(told_at=None, then=Value(now)), default=None)
    return int(alerts.filter(resolved_at=None).update(resolved_at=now, recovery_told_at=untold))


def deliver() -> int:
    """Tells what is new, what still lasts after a day, and what is over; returns how many alerts were told.

    One message per channel. A channel that fails is logged and stops no other; alerts that reached nobody outside
    are told again a minute later.
    """
    now = clock.now()
    held = [alert for alert in _due(now) if _hold(alert, now)]
    if not held:
        return 0
    reached: dict[int, list[bool]] = {alert.pk: [] for alert in held}
    for channel in _channels(held):
        is_sent = _attempt(channel)
        for alert in channel.alerts:
            reached[alert.pk].append(is_sent)
    _attempt(_Channel("notice", held, partial(_leave_notices, held)))
    told = [alert for alert in held if any(reached[alert.pk]) or not reached[alert.pk]]
    for alert in held:
        _settle(alert, is_told=alert in told)
    return len(told)


def _due(now: datetime) -> list[Alert]:
    """What to tell now, oldest first."""
    lasting = Alert.objects.filter(resolved_at=None).filter(Q(told_at=None) | Q(told_at__lte=now - REMIND))
    over = Alert.objects.filter(resolved_at__isnull=False, recovery_told_at=None, told_count__gt=0, told_at__lte=now)
    found = list(lasting.select_related("owner").order_by("id")[:LIMIT])
    found += over.select_related("owner").order_by("id")[:LIMIT]
    new = {alert.key for alert in found if alert.told_at is None}
    if new:  # what comes and goes every few seconds is not told each time
        recent = Alert.objects.filter(key__in=new, resolved_at__isnull=False, told_at__gt=now - BACK_OFF)
        flapping = set(recent.values_list("key", flat=True))
        found = [alert for alert in found if alert.told_at is not None or alert.key not in flapping]
    return found


def _wait(alert: Alert) -> timedelta:
    """How long after ``told_at`` the alert is due to be told again."""
    return REMIND if alert.is_open else timedelta(0)


def _hold(alert: Alert, now: datetime) -> bool:
    """Takes the alert for this process: nobody else finds it due until the hold ends."""
    held_until = now + HOLD - _wait(alert)
    unchanged = Alert.objects.filter(
        pk=alert.pk, told_at=alert.told_at, resolved_at=alert.resolved_at, recovery_told_at=None
    )
    if not unchanged.update(told_at=held_until):
        return False
    alert.told_at = held_until
    return True


def _settle(alert: Alert, *, is_told: bool) -> None:
    """Ends the hold: told, or due again after a minute."""
    now = clock.now()
    mine = Alert.objects.filter(pk=alert.pk, told_at=alert.told_at, recovery_told_at=None)
    if not is_told:
        mine.update(told_at=now + BACK_OFF - _wait(alert))
    elif alert.is_open:
        mine.update(told_at=now, told_count=F("told_count") + 1)
    else:
        mine.update(told_at=now, recovery_told_at=now)


def _attempt(channel: _Channel) -> bool:
    try:
        channel.send()
    except Exception as error:
        logger.warning("alerts could not be told by %s (%s: %s)", channel.name, type(error).__name__, error)
        return False
    return True


def _channels(alerts: Sequence[Alert]) -> Iterator[_Channel]:
    """The ways out of the house: the operators' mail and Apprise addresses, and the mail of staff as they chose it."""
    operators = list(settings.ALERT_MAIL)
    if operators:
        yield _Channel("mail", alerts, partial(_mail, operators, alerts))
    for number, address in enumerate(settings.ALERT_URLS, start=1):
        # The address holds secrets: only its place in the list may be shown.
        yield _Channel(f"ALERT_URLS, number {number}", alerts, partial(_notify, address, alerts))
    served = {address.lower() for address in operators}
    for person, share in _staff_mail(alerts):
        if person.email and person.email.lower() not in served:
            served.add(person.email.lower())
            yield _Channel(f"mail to {person}", share, partial(_mail, [person.email], share))


def _staff_mail(alerts: Sequence[Alert]) -> Iterator[tuple[Any, Sequence[Alert]]]:
    """Who gets which alerts by mail: those who chose all get all, owners their own unless they chose none."""
    chosen = StaffSettings.objects.filter(mail=StaffSettings.Mail.ALL, user__is_active=True, user__is_staff=True)
    for row in chosen.select_related("user").order_by("user_id"):
        if row.user.has_perm("runs.view_alert"):
            yield row.user, alerts
    owned = _by_owner(alerts)
    silent = set(
        StaffSettings.objects.filter(
            mail=StaffSettings.Mail.NONE, user_id__in=[owner.pk for owner, _ in owned]
        ).values_list("user_id", flat=True)
    )
    for owner, share in owned:
        if owner.pk not in silent:
            yield owner, share


def _by_owner(alerts: Sequence[Alert]) -> list[tuple[Any, list[Alert]]]:
    owners = {alert.owner_id: alert.owner for alert in alerts if alert.owner is not None and alert.owner.is_active}
    return [(owner, [alert for alert in alerts if alert.owner_id == pk]) for pk, owner in owners.items()]


def _mail(recipients: list[str], alerts: Sequence[Alert]) -> None:
    headers = {"Auto-Submitted": "auto-generated"}
    timeout = min(MAIL_SECONDS, settings.EMAIL_TIMEOUT or MAIL_SECONDS)
    connection = get_connection(timeout=timeout)
    EmailMessage(headline(alerts), body(alerts), to=recipients, headers=headers, connection=connection).send()


def _notify(address: str, alerts: Sequence[Alert]) -> None:
    import apprise  # slow to import, and most installations name no address

    target = apprise.Apprise()
    kind = apprise.NotifyType.FAILURE if any(alert.is_open for alert in alerts) else apprise.NotifyType.SUCCESS
    if not target.add(address) or not target.notify(title=headline(alerts), body=body(alerts), notify_type=kind):
        raise NotDelivered("it did not take the message")


def _leave_notices(alerts: Sequence[Alert]) -> None:
    everyone = get_user_model()._default_manager.filter(is_superuser=True, is_active=True)
    shares: dict[int, Sequence[Alert]] = {owner.pk: owned for owner, owned in _by_owner(alerts)}
    shares |= dict.fromkeys(everyone.values_list("pk", flat=True), alerts)
    for user_id, share in shares.items():
        text = _notice_text(share)
        # Told again and still not read: once is enough.
        if not Notice.objects.filter(user_id=user_id, read_at=None, text=text[:300]).exists():
            notices.tell(user_id, text, url=_notice_url(share), level=_notice_level(share))


def _notice_text(alerts: Sequence[Alert]) -> str:
    text = headline(alerts).removeprefix("Almanac: ")
    titles = "; ".join(_one_line(alert.title) for alert in alerts)
    return text[0].upper() + text[1:] + (f": {titles}" if len(alerts) > 1 else "")


def _notice_url(alerts: Sequence[Alert]) -> str:
    if len(alerts) == 1:
        return alerts[0].url
    return addresses.page("admin:runs_alert_changelist")


def _notice_level(alerts: Sequence[Alert]) -> str:
    levels = {alert.level for alert in alerts if alert.is_open}
    if Alert.Level.ERROR in levels:
        return RunEvent.Level.ERROR
    return RunEvent.Level.WARNING if levels else RunEvent.Level.INFO


def headline(alerts: Sequence[Alert]) -> str:
    """ "Almanac: 3 problems", "Almanac: recovered: No clock is running"."""
    problems = [alert for alert in alerts if alert.is_open]
    over = [alert for alert in alerts if not alert.is_open]
    parts = []
    if problems:
        one = f"problem: {_one_line(problems[0].title)}"
        parts.append(one if len(problems) == 1 else f"{len(problems)} problems")
    if over:
        parts.append(f"recovered: {_one_line(over[0].title)}" if len(over) == 1 else f"recovered: {len(over)} problems")
    return f"Almanac: {', '.join(parts)}"


def body(alerts: Sequence[Alert]) -> str:
    """One paragraph per alert, with its link and its times."""
    problems = [f"- {_line(alert)}" for alert in alerts if alert.is_open]
    over = [f"- {_line(alert)}" for alert in alerts if not alert.is_open]
    parts = []
    if problems:
        parts.append("\n".join(["What is wrong:", *problems]))
    if over:
        parts.append("\n".join(["What is over:", *over]))
    return "\n\n".join(parts) + "\n"


def _line(alert: Alert) -> str:
    said = _one_line(alert.title)
    if alert.detail and alert.is_open:
        said = f"{said}: {_one_line(alert.detail)}"
    said = f"{said} {settings.PUBLIC_URL}{alert.url}" if alert.url else said
    return f"{said}\n  {_lasted(alert)}"


def _lasted(alert: Alert) -> str:
    """On the installation's clock: one message goes to several people, and is read later than it is written."""
    with timezone.override(None):
        since = words.here(alert.first_seen_at)
        return f"Since {since}." if alert.resolved_at is None else f"From {since} to {words.here(alert.resolved_at)}."


def _one_line(text: str) -> str:
    return " ".join(text.split())
