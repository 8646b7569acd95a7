"""Segments: named parts of the audience, kept as a tree of whitelisted rules.

A rule is a group, ``{"all" | "any" | "none": [rules…]}``, or one question:
``{"about": "attribute:district", "op": "is", "value": "Harbour"}``, ``{"about": "list", "op": "on", "which": 3}``.
segment_leaves.py knows the questions; nothing that staff write becomes SQL.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from newsletters import rule_trees, segment_conditions, segment_leaves
from newsletters.models import List, Newsletter, Segment
from newsletters.rule_trees import MAX_DEPTH, MAX_RULES, Path
from newsletters.segment_leaves import Known
from runs import audit, clock
from runs.audit import Actor

_STORED = ("name", "description", "rule")


class BadRule(ValueError):
    """The rule cannot be used as it stands; the message says why."""


def check(rule: Any, known: Known | None = None) -> dict[Path, str]:
    """What is wrong with which node, in words; empty for a rule that can be used."""
    known = known or Known.by(rule)
    wrong: dict[Path, str] = {}
    number = 0
    for path, node in rule_trees.walk(rule):
        word = rule_trees.group_word(node)
        if word is None:
            number += 1
            if not path:
                message = "Add at least one rule."
            else:
                message = segment_leaves.problem(node, known) if isinstance(node, dict) else "This is no rule."
        else:
            message = "" if node[word] else "Add at least one rule to this group."
            if len(path) >= MAX_DEPTH:
                message = f"Groups can stand in each other {MAX_DEPTH} levels deep. Take this one out."
        if message:
            wrong[path] = message
    if number > MAX_RULES:
        wrong[()] = f"These are {number} rules; a segment can have {MAX_RULES}."
    return wrong


def condition(rule: Any, now: datetime | None = None) -> Q:
    """The rule as a filter of subscribers.

    Raises:
        BadRule: it is not complete, or speaks of something that no longer exists. It never means everybody.
    """
    known = Known.by(rule)
    wrong = check(rule, known)
    if wrong:
        raise BadRule(next(iter(wrong.values())))
    return _condition(rule, known, now or clock.now())


def describe(rule: Any, known: Known | None = None) -> str:
    """ "Subscribers whose District is “Harbour” and who are on “City news”." """
    known = known or Known.by(rule)
    if check(rule, known):
        return "The rules are not complete."
    word = rule_trees.group_word(rule)
    inside = _words(rule, known, is_inner=False)
    return f"Everybody except those {inside}." if word == "none" else f"Subscribers {inside}."


def save_segment(actor: Actor, segment: Segment) -> Segment:
    """Adds or changes a segment.

    Raises:
        ValidationError: a name that is taken, or rules that are not complete (:func:`check` says which).
    """
    verb = "change" if segment.pk else "add"
    audit.require(actor, f"newsletters.{verb}_segment", f"{verb} this segment", segment if segment.pk else None)
    segment.full_clean(exclude=["rule"])
    wrong = check(segment.rule)
    if wrong:
        raise ValidationError({"rule": list(dict.fromkeys(wrong.values()))})
    with transaction.atomic():
        stored = Segment.objects.filter(pk=segment.pk).values(*_STORED).first() if segment.pk else None
        if stored is None or stored["rule"] != segment.rule:
            segment.count = segment.counted_at = None  # what was counted was another rule
        segment.save()
        after = {name: getattr(segment, name) for name in _STORED}
        changed = {name: value for name, value in after.items() if not stored or stored[name] != value}
        if changed:
            before = {name: stored[name] for name in changed} if stored else {}
            words = "changed the segment" if stored else "added the segment"
            audit.record(actor, words, segment, before=before, after={**changed, "in words": describe(segment.rule)})
    return segment


def delete_segment(actor: Actor, segment: Segment) -> None:
    """Removes a segment that no newsletter goes to."""
    audit.require(actor, "newsletters.delete_segment", "delete this segment", segment)
    with transaction.atomic():
        users = used_by(segment)
        if users:
            names = ", ".join(f"“{newsletter}”" for newsletter in users[:5])
            raise ValidationError(f"{names} would go to everybody without it. Choose another segment there first.")
        before = {name: getattr(segment, name) for name in _STORED}
        audit.record(actor, "deleted the segment", segment, before=before)
        segment.delete()


def used_by(segment: Segment) -> list[Newsletter]:
    """The newsletters that go to this segment only."""
    return list(segment.newsletters.order_by("name")) if segment.pk else []


def naming(chosen: List) -> list[str]:
    """The names of the segments with a rule about this list."""
    return [
        segment.name
        for segment in Segment.objects.all()
        if any(leaf.get("which") == chosen.pk for leaf in rule_trees.leaves(segment.rule, "list"))
    ]


def _condition(node: Any, known: Known, now: datetime) -> Q:
    word = rule_trees.group_word(node)
    if word is None:
        return segment_conditions.condition(node, known, now)
    found = Q()
    for child in node[word]:
        inside = _condition(child, known, now)
        found = found & inside if word == "all" else found | inside
    return ~found if word == "none" else found


def _words(node: Any, known: Known, *, is_inner: bool) -> str:
    word = rule_trees.group_word(node)
    if word is None:
        return segment_leaves.words(node, known)
    parts = [_words(child, known, is_inner=True) for child in node[word]]
    joined = (" and " if word == "all" else " or ").join(parts)
    if not is_inner:
        return joined
    if word == "none":
        return f"other than those ({joined})"
    return f"({joined})" if len(parts) > 1 else joined
