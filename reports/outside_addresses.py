"""Addresses outside that reports are mailed to: one a line, and only in domains that an administrator allowed."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from reports.models import ReportDefinition

MOST = 50


def read(text: str) -> tuple[str, ...]:
    """What was typed, one address a line (or after a comma), each once."""
    parts = (part.strip() for line in text.splitlines() for part in line.replace(";", ",").split(","))
    return tuple(dict.fromkeys(_normal(part) for part in parts if part))


def problems(addresses: Iterable[str]) -> list[str]:
    """What is wrong with them, in words."""
    found = [_problem(address) for address in addresses]
    told = [problem for problem in found if problem]
    return told if len(found) <= MOST else [*told, f"At most {MOST} addresses fit here. A group of staff takes more."]


def who_left(definition: ReportDefinition | None) -> list[str]:
    """Those that asked for no more mails of this report."""
    if definition is None or definition.pk is None:
        return []
    left = definition.recipients.exclude(address="").exclude(unsubscribed_at=None).order_by("address")
    return list(left.values_list("address", flat=True))


def is_offered() -> bool:
    """Whether any domain is allowed."""
    return bool(settings.REPORT_DOMAINS)


def allowed_words() -> str:
    """ "at example.org or example.net"."""
    return f"at {' or '.join(settings.REPORT_DOMAINS)}"


def _problem(address: str) -> str:
    try:
        validate_email(address)
    except ValidationError:
        return f"“{address[:80]}” is no e-mail address. Write one such as anna@example.org, each on a line of its own."
    domain = address.rpartition("@")[2]
    if domain in settings.REPORT_DOMAINS:
        return ""
    if not is_offered():
        return f"Reports may not go to addresses outside, such as {address}. An administrator can allow domains."
    return f"Reports may not go to {domain}, only to addresses {allowed_words()}. An administrator can allow more."


def _normal(address: str) -> str:
    name, at, domain = address.rpartition("@")
    return f"{name}{at}{domain.lower()}"
