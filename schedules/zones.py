"""Pure: time zones by name, with one refusal in plain words for every door."""

from __future__ import annotations

from zoneinfo import ZoneInfo, available_timezones, reset_tzpath

# The rules of the pinned tzdata package, so that every machine and every process reads a clock change the same way.
reset_tzpath(to=())


class UnknownZone(ValueError):
    """The name is no IANA time zone; the message says so and shows right ones."""


def zone(name: str) -> ZoneInfo:
    """The zone with this IANA name. Raises UnknownZone."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UnknownZone(f"“{name}” is not a time zone. Write one such as Europe/Berlin or UTC.") from error


def offered() -> list[str]:
    """The zones offered while typing; any IANA name is accepted."""
    return sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
