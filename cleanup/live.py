"""What a policy would delete as it is typed, within the time that somebody looks on; a problem is told in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import DatabaseError

from cleanup import guard, planner
from cleanup.forms import PolicyForm
from cleanup.models import CleanupPolicy
from cleanup.plan_page import PlanShown, shown
from runs import clock

SECONDS = 3.0
DEPENDS_ON = ("targets", "days", "keep_last")
"""The fields that decide what is counted: while one of them is wrong there is no preview."""


@dataclass(frozen=True)
class Live:
    """What the panel of the form shows."""

    problem: str = ""
    plan: PlanShown | None = None
    cutoff: datetime | None = None
    over: tuple[str, ...] = ()
    """The limits above which a second person is asked."""


def of_form(form: PolicyForm) -> Live:
    """Of what is typed; what is wrong with it is told instead."""
    if not form.data.getlist("targets"):  # type: ignore[attr-defined]
        return Live("Tick what to clean, and what that would delete appears here.")
    wrong = [str(message) for name in DEPENDS_ON for message in form.errors.get(name, ())]
    if wrong:
        return Live(" ".join(dict.fromkeys(wrong)))
    stored: Any = form.instance
    typed = CleanupPolicy(pk=stored.pk, version=stored.version)
    return of_policy(form.draft().put_on(typed))


def of_policy(policy: CleanupPolicy) -> Live:
    """Of a policy that need not be stored."""
    now = clock.now()
    try:
        planner.cutoff_for(policy.days, now)
    except ValueError:
        return Live("This age lies in the future. Write at least 1 day.")
    try:
        plan = planner.preview(policy, now, seconds=SECONDS)
        over = guard.reasons_for_approval(policy, plan)
    except DatabaseError:
        return Live("The database could not count these rows. Try it again, or ask an administrator.")
    return Live(plan=shown(plan), cutoff=plan.cutoff, over=over)
