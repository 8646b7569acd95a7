"""What must hold for a policy before it is stored or run: each refusal in words, at its field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from django.core.exceptions import ValidationError

from cleanup import targets
from cleanup.drafts import PolicyDraft
from cleanup.models import MAX_DAYS, Archiving, CleanupPolicy
from cleanup.targets import AnyTarget, Target
from runs import words

Problems = dict[str, str]

PEOPLE_DAYS = 3 * 365
"""A copy that names people is kept no longer."""

_WHOLE: dict[str, tuple[int, int, bool]] = {
    # field: least, most, whether it may be left empty
    "keep_last": (1, 1_000_000, True),
    "batch_size": (1, 20_000, False),
    "max_rows": (1, 1_000_000_000, True),
    "max_minutes": (1, 24 * 60, True),
    "rest_ms": (0, 60_000, False),
    "approve_above_rows": (1, 1_000_000_000, True),
    "approve_above_percent": (1, 100, True),
    "approve_above_times": (2, 1000, False),
}
_EMPTY_MEANS = {
    "keep_last": "leave it empty to keep none besides",
    "max_rows": "leave it empty for no limit",
    "max_minutes": "leave it empty for no limit",
    "approve_above_rows": "leave it empty to ask nobody",
    "approve_above_percent": "leave it empty to ask nobody",
    "archive_days": "leave it empty to keep the copy until somebody deletes it",
}


def check(draft: PolicyDraft, stored: CleanupPolicy | None = None) -> None:
    """Raises ValidationError with a message per field for a policy that must not be stored."""
    problems: Problems = {}
    if name := _name(draft.name, stored):
        problems["name"] = name
    problems |= rule_problems(draft)
    if problems:
        raise ValidationError(problems)


def check_rule(draft: PolicyDraft) -> None:
    """The same of what decides what is deleted; also asked again before a preview and a run."""
    if problems := rule_problems(draft):
        raise ValidationError(problems)


def check_frozen(rule: Mapping[str, Any]) -> None:
    """The same of a rule as a run keeps it (:meth:`CleanupPolicy.rule`)."""
    known = {one.name for one in fields(PolicyDraft)}
    values = {name: value for name, value in rule.items() if name in known}
    check_rule(PolicyDraft("", **{**values, "targets": tuple(rule.get("targets") or ())}))


def rule_problems(draft: PolicyDraft) -> Problems:
    """What is wrong, by field."""
    problems: Problems = {}
    if chosen := _targets(draft):
        problems["targets"] = chosen
    elif age := _age(draft):
        problems["days"] = age
    if filtered := _filters(draft):
        problems["filters"] = filtered
    for name, (least, most, may_be_empty) in _WHOLE.items():
        if wrong := _whole(name, getattr(draft, name), least, most, may_be_empty):
            problems[name] = wrong
    if "keep_last" not in problems and draft.keep_last is not None and (wrong := _groups(draft)):
        problems["keep_last"] = wrong
    return problems | _archive(draft)


def _name(name: str, stored: CleanupPolicy | None) -> str:
    if not name.strip():
        return "Give it a name that says what it tidies up, such as “Old sign-ups”."
    if len(name) > 120:
        return "Write at most 120 characters."
    others = CleanupPolicy.objects.filter(name__iexact=name.strip())
    if stored is not None and stored.pk:
        others = others.exclude(pk=stored.pk)
    return (
        f"Another policy is called “{name.strip()}”. Give it a name that tells them apart." if others.exists() else ""
    )


def _known(draft: PolicyDraft) -> list[AnyTarget]:
    return targets.known(draft.targets)


def _targets(draft: PolicyDraft) -> str:
    if not draft.targets:
        return "Choose at least one thing to clean."
    unknown = [key for key in draft.targets if not targets.is_known(key)]
    return f"“{unknown[0]}” cannot be cleaned here. Choose from the list." if unknown else ""


def _age(draft: PolicyDraft) -> str:
    strictest = max(_known(draft), key=lambda target: target.floor_days)
    floor = strictest.floor_days
    rule = f"{strictest.label} are kept for at least {words.counted(floor, 'day')}. Write {floor} or more."
    if draft.days is None:
        return f"Write how many days old a row must be. {rule}"
    if draft.days < 0:
        return f"A negative age lies in the future: it would delete what is still to come. {rule}"
    if draft.days == 0:
        return f"0 days would delete what was made a moment ago. {rule}"
    if draft.days < floor:
        return rule
    return f"Write at most {MAX_DAYS:,} days." if draft.days > MAX_DAYS else ""


def _filters(draft: PolicyDraft) -> str:
    for key, chosen in draft.filters.items():
        target = next((one for one in _known(draft) if one.key == key), None)
        if target is None:
            continue  # of a target that is not ticked: kept, and without effect
        offered = {one.name: one for one in target.filters}
        for name, value in chosen.items():
            if name not in offered:
                return f"{target.label}: “{name}” is no longer offered. Choose again."
            if not value:
                return f"{target.label}: choose “{offered[name].label}”, or all of them."
            if not offered[name].name_of(value):
                return f"{target.label}: what was chosen for “{offered[name].label}” is no longer there. Choose again."
    return ""


def _whole(name: str, value: int | None, least: int, most: int, may_be_empty: bool) -> str:
    if value is None:
        return "" if may_be_empty else f"Write a number from {least:,} to {most:,}."
    if least <= value <= most:
        return ""
    empty = f", or {_EMPTY_MEANS[name]}" if may_be_empty else ""
    return f"Write a number from {least:,} to {most:,}{empty}."


def _groups(draft: PolicyDraft) -> str:
    known = _known(draft)
    if known and not any(target.group_by for target in known):
        return "What is ticked above does not come in groups, so there is no “last of each”. Leave it empty."
    return ""


def _archive(draft: PolicyDraft) -> Problems:
    if draft.archive not in dict(Archiving.choices):
        return {"archive": "Choose one of the three."}
    if draft.archive == Archiving.NONE:
        return {}
    if wrong := _whole("archive_days", draft.archive_days, 1, MAX_DAYS, True):
        return {"archive_days": wrong}
    known = _known(draft)
    about = next((one for one in known if isinstance(one, Target) and one.may_archive and one.is_about_people), None)
    if about is not None and not 1 <= (draft.archive_days or 0) <= PEOPLE_DAYS:
        return {
            "archive_days": f"{about.label}: such a copy names people, also those who are erased meanwhile, so it must not stay "
            f"for ever. Write a number from 1 to {PEOPLE_DAYS:,}."
        }
    if known and not any(target.may_archive for target in known):
        return {"archive": f"No copy of this may be kept: {known[0].label}. Choose the first."}
    return {}
