"""How fast a newsletter goes out: one rate for all processes that send it, spaced evenly, and slower when servers ask.

No second, minute, hour or day has more mails than the rate says, whenever it begins and whatever restarts: the next
moment is kept in the broker's Redis, or in the database where that does not answer or is another broker.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from django.conf import settings

from newsletters import pacing, pacing_detour
from newsletters.models import Newsletter

SPARE = 0.03
"""Mails are this much further apart than the rate allows, which makes up for one that was late."""
CREDIT = 0.02
"""How late, as a part of the rate's period, a mail may be and the next one still come at its own time."""
SLOWED_CREDIT_SECONDS = 0.02


@dataclass
class Limit:
    """The rate of one newsletter, or of one mail provider."""

    key: str
    rate: float = 0
    """Mails in a period; 0 for as fast as the server takes them."""
    period: float = 1
    """Seconds."""
    is_slowed: bool = False
    """A server asked for it a moment ago: also without a rate there is a limit then."""

    def __bool__(self) -> bool:
        return bool(self.rate) or self.is_slowed

    def take(self, most: int) -> tuple[int, float]:
        """How many of so many may go now, and in how many seconds the next one may."""
        interval = self.period / self.rate * (1 + SPARE) if self.rate else 0.0
        credit = CREDIT * self.period if self.rate else SLOWED_CREDIT_SECONDS
        return self._store.take(self.key, interval, credit, most)

    def slow_down(self, per_second: float) -> None:
        """A server said that this speed is too fast (421, 4.7.x): half of it, and then slowly faster again."""
        self._store.slow_down(self.key, per_second)
        self.is_slowed = True

    def look(self) -> None:
        """Notices that another process was asked to slow down."""
        self.is_slowed = self._store.is_slowed(self.key)

    @cached_property
    def _store(self) -> pacing.Store:
        return pacing_detour.store()


def of(newsletter: Newsletter) -> Limit:
    """The newsletter's own rate. Another rate begins anew: nobody waits out a slower one."""
    if not newsletter.rate:
        return Limit(f"{newsletter.pk}")
    return Limit(
        f"{newsletter.pk}:{newsletter.rate}:{newsletter.rate_per}", newsletter.rate,
        Newsletter.RATE_SECONDS[newsletter.rate_per],
    )  # fmt: skip


def of_domains() -> dict[str, Limit]:
    """What this installation allows single mail providers (SENDING_DOMAIN_LIMITS), over all newsletters."""
    return {
        domain: Limit(f"@{domain}:{rate}:{per}", rate, Newsletter.RATE_SECONDS[per])
        for domain, (rate, per) in settings.SENDING_DOMAIN_LIMITS.items()
    }
