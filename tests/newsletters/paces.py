"""What tests of the pace share: another process's environment, and how many mails a window had."""

from __future__ import annotations

import itertools
import os

from django.conf import settings as django_settings

from tests.integration.conftest import database_url


def environment() -> dict[str, str]:
    return {
        **os.environ, "DJANGO_SETTINGS_MODULE": "scheduler_site.settings", "DATABASE_URL": database_url(),
        "SECRET_KEY": django_settings.SECRET_KEY, "BROKER_URL": django_settings.BROKER_URL,
        "BROKER_PREFIX": django_settings.BROKER_PREFIX,
    }  # fmt: skip


def most_in_a_window(spans: list[tuple[float, float]], period: float) -> int:
    """The most mails that certainly were in one window, whenever it begins: each was granted within its span."""
    most = 0
    for at, (first, _) in enumerate(spans):
        number = 0
        for begin, end in itertools.islice(spans, at, None):
            if begin >= first + period:
                break
            number += end < first + period
        most = max(most, number)
    return most
