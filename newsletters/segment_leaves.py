"""What a single rule of a segment can ask: the whitelist of subjects and questions, their checks, words and conditions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.utils import timezone

from newsletters import addresses, fields, remembered_issues, rule_trees
from newsletters.models import Issue, List, Newsletter, SubscriberField

Leaf = Mapping[str, Any]
Kind = SubscriberField.Kind
MAX_DAYS = 36_500
MAX_TEXT = 200
MAX_ISSUES = 50
ATTRIBUTE = "attribute:"
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8}){0,2}")


@dataclass(frozen=True)
class Question:
    """One question about a subject."""

    label: str
    """As the builder lists it, after the subject."""
    words: str
    """As the sentence says it; {subject}, {which} and {value} stand for what was chosen."""
    takes: str = ""
    """What its value is: text, number, date, days, choices, language, domain, issues, or nothing."""


_DATES = {
    "on": Question("is on", "whose {subject} is {value}", "date"),
    "before": Question("is before", "whose {subject} is before {value}", "date"),
    "after": Question("is after", "whose {subject} is after {value}", "date"),
    "last": Question("is within the last … days", "whose {subject} is within the last {value}", "days"),
    "next": Question("is within the next … days", "whose {subject} is within the next {value}", "days"),
}
_FILLED = {
    "filled": Question("is known", "whose {subject} is known"),
    "empty": Question("is not known", "whose {subject} is not known"),
}
ABOUT_ATTRIBUTE: dict[str, dict[str, Question]] = {
    Kind.TEXT: {
        "is": Question("is", "whose {subject} is {value}", "text"),
        "is_not": Question("is not", "whose {subject} is not {value}", "text"),
        "contains": Question("contains", "whose {subject} contains {value}", "text"),
        "contains_not": Question("does not contain", "whose {subject} does not contain {value}", "text"),
        "begins": Question("begins with", "whose {subject} begins with {value}", "text"),
        **_FILLED,
    },
    Kind.NUMBER: {
        "is": Question("is", "whose {subject} is {value}", "number"),
        "is_not": Question("is not", "whose {subject} is not {value}", "number"),
        "less": Question("is less than", "whose {subject} is less than {value}", "number"),
        "more": Question("is more than", "whose {subject} is more than {value}", "number"),
        **_FILLED,
    },
    Kind.DATE: {**_DATES, **_FILLED},
    Kind.YES_NO: {
        "yes": Question("is yes", "whose {subject} is yes"),
        "no": Question("is no", "whose {subject} is no"),
        **_FILLED,
    },
    Kind.CHOICE: {
        "in": Question("is one of", "whose {subject} is {value}", "choices"),
        "not_in": Question("is none of", "whose {subject} is not {value}", "choices"),
        **_FILLED,
    },
}
ABOUT_OTHERS: dict[str, dict[str, Question]] = {
    "list": {
        "on": Question("are on it", "who are on {which}"),
        "not_on": Question("are not on it", "who are not on {which}"),
        "before": Question("are on it since before", "who have been on {which} since before {value}", "date"),
        "after": Question("came onto it after", "who came onto {which} after {value}", "date"),
        "last": Question("came onto it in the last … days", "who came onto {which} in the last {value}", "days"),
    },
    "subscribed": {
        "before": Question("before", "who were added before {value}", "date"),
        "after": Question("after", "who were added after {value}", "date"),
        "last": Question("in the last … days", "who were added in the last {value}", "days"),
        "older": Question("more than … days ago", "who were added more than {value} ago", "days"),
    },
    "language": {
        "is": Question("is", "whose language is {value}", "language"),
        "is_not": Question("is not", "whose language is not {value}", "language"),
        "empty": Question("is not known", "whose language is not known"),
    },
    "domain": {
        "is": Question("is", "whose address is at {value}", "domain"),
        "is_not": Question("is not", "whose address is not at {value}", "domain"),
    },
    "issue": {
        "received": Question("was sent to them", "who were sent {which}"),
        "not_received": Question("was not sent to them", "who were not sent {which}"),
    },
    "newsletter": {
        "received": Question(
            "sent them at least one of its last … issues", "who were sent at least one of {value} of {which}", "issues"
        ),
        "not_received": Question(
            "sent them none of its last … issues", "who were sent none of {value} of {which}", "issues"
        ),
    },
    "bounced": {
        "never": Question("never", "whose mail has never bounced"),
        "ever": Question("at least once", "whose mail has bounced"),
    },
}
LABELS = {
    "list": "List", "subscribed": "Added as a subscriber", "language": "Language", "domain": "Domain of the address",
    "issue": "Issue", "newsletter": "Newsletter", "bounced": "Mail has bounced",
}  # fmt: skip
WHICH = {"list": "list", "issue": "issue", "newsletter": "newsletter"}
"""Subjects of which there are several, and what one of them is called."""


@dataclass(frozen=True)
class Known:
    """What rules can name, looked up once for a whole tree."""

    fields: dict[str, SubscriberField] = field(default_factory=dict)
    which: dict[str, dict[int, str]] = field(default_factory=dict)
    """Names of lists, issues and newsletters by subject and number."""
    forgotten: frozenset[int] = frozenset()
    """Issues whose recipients a cleanup removed: who was sent them cannot be asked any more."""
    remembered: dict[int, int] = field(default_factory=dict)
    """Newsletters of which only so many of the latest issues can be asked about."""

    @classmethod
    def by(cls, rule: Any) -> Known:
        """Six queries at most, however many rules there are."""
        issues, newsletters = _named(rule, "issue"), _named(rule, "newsletter")
        forgotten = Issue.objects.filter(pk__in=issues, recipients_removed_at__isnull=False)
        return cls(
            fields.all_fields(),
            {
                "list": dict(List.objects.filter(pk__in=_named(rule, "list")).values_list("pk", "name")),
                "newsletter": dict(Newsletter.objects.filter(pk__in=newsletters).values_list("pk", "name")),
                "issue": issue_names(issues),
            },
            frozenset(forgotten.values_list("pk", flat=True)),
            remembered_issues.counts(newsletters),
        )

    def questions(self, about: Any) -> dict[str, Question]:
        """The questions about a subject; none for a subject that does not exist."""
        key = attribute_key(about)
        if key is None:
            return ABOUT_OTHERS.get(str(about), {})
        return ABOUT_ATTRIBUTE.get(self.fields[key].kind, {}) if key in self.fields else {}

    def subject(self, about: Any) -> str:
        """A subject in words."""
        key = attribute_key(about)
        if key is not None and key in self.fields:
            return self.fields[key].label
        return LABELS.get(str(about), "something that no longer exists")


def attribute_key(about: Any) -> str | None:
    """The attribute's short name where the rule is about one."""
    return about[len(ATTRIBUTE) :] if isinstance(about, str) and about.startswith(ATTRIBUTE) else None


def issue_names(ids: list[int]) -> dict[int, str]:
    """Issues as lists offer them."""
    found = Issue.objects.filter(pk__in=ids).select_related("newsletter").defer("html", "text", "body")
    return {issue.pk: str(issue) for issue in found}


def problem(leaf: Leaf, known: Known) -> str:
    """What is wrong with a rule, in words; empty when it can be asked."""
    about = leaf.get("about")
    if not about:
        return "Choose what this rule is about."
    questions = known.questions(about)
    if not questions:
        return "This field no longer exists. Choose another one, or remove the rule."
    question = questions.get(str(leaf.get("op")))
    if question is None:
        return "Choose what to ask."
    if set(leaf) - {"about", "op", "which", "value"}:
        return "This rule holds something that it should not."
    if about in WHICH:
        if not isinstance(leaf.get("which"), int):
            return f"Choose the {WHICH[about]}."
        if leaf["which"] not in known.which[about]:
            return f"The {WHICH[about]} of this rule no longer exists. Choose another one, or remove the rule."
        if about == "issue" and leaf["which"] in known.forgotten:
            return "Who was sent this issue was removed by a cleanup. Choose a later one, or remove the rule."
        least = known.remembered.get(leaf["which"]) if about == "newsletter" else None
        if least is not None and isinstance(leaf.get("value"), int) and leaf["value"] > least:
            return f"Who was sent the older issues was removed by a cleanup. Write at most {least}."
    return _CHECKS[question.takes](leaf.get("value"), known.fields.get(attribute_key(about) or ""))


def words(leaf: Leaf, known: Known) -> str:
    """ "whose District is “Harbour”"; call it for rules that have no problem."""
    question = known.questions(leaf["about"])[leaf["op"]]
    said = _VALUES[question.takes](leaf.get("value")) if question.takes else ""
    which = known.which.get(leaf["about"], {}).get(leaf.get("which") or 0, "")
    return question.words.format(subject=known.subject(leaf["about"]), which=f"“{which}”", value=said)


def day(value: str) -> date:
    """A stored date."""
    return date.fromisoformat(value)


def midnight(of: date) -> datetime:
    """When a day begins where the installation is; not where whoever looks is, so that all see the same."""
    return datetime.combine(of, datetime.min.time(), timezone.get_default_timezone())


def _named(rule: Any, about: str) -> list[int]:
    found = (leaf.get("which") for leaf in rule_trees.leaves(rule, about))
    return [one for one in found if isinstance(one, int) and not isinstance(one, bool) and 0 < one < 2**63]


def _check_nothing(value: Any, field: SubscriberField | None) -> str:
    return ""


def _check_text(value: Any, field: SubscriberField | None) -> str:
    if not isinstance(value, str) or not value.strip():
        return "Write what to look for."
    if "\x00" in value:
        return "This holds a character that no text can have."
    return "" if len(value) <= MAX_TEXT else f"Write at most {MAX_TEXT} characters."


def _check_number(value: Any, field: SubscriberField | None) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "" if is_number and abs(value) <= fields.MAX_NUMBER else "Write a number, such as 12 or 3.5."


def _check_date(value: Any, field: SubscriberField | None) -> str:
    try:
        # Years far out would leave the calendar when a midnight is turned into another zone's.
        return "" if isinstance(value, str) and 1900 <= day(value).year <= 2999 else "Choose a day."
    except ValueError:
        return "Choose a day."


def _check_days(value: Any, field: SubscriberField | None) -> str:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return "" if is_number and 1 <= value <= MAX_DAYS else f"Write a number of days from 1 to {MAX_DAYS:,}."


def _check_choices(value: Any, field: SubscriberField | None) -> str:
    if not isinstance(value, list) or not value:
        return "Tick at least one."
    gone = [one for one in value if field is None or one not in field.choices]
    return f"“{gone[0]}” is no longer one of the choices." if gone else ""


def _check_language(value: Any, field: SubscriberField | None) -> str:
    is_code = isinstance(value, str) and _LANGUAGE.fullmatch(value.strip().lower())
    return "" if is_code else "Write a language's code, such as en, de or pt-br."


def _check_domain(value: Any, field: SubscriberField | None) -> str:
    try:
        return "" if isinstance(value, str) and addresses.normalise(f"x@{value.strip()}") else "Write a domain."
    except addresses.BadAddress:
        return "Write a domain, such as example.org."


def _check_issues(value: Any, field: SubscriberField | None) -> str:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return "" if is_number and 1 <= value <= MAX_ISSUES else f"Write a number of issues from 1 to {MAX_ISSUES}."


_CHECKS: dict[str, Callable[[Any, SubscriberField | None], str]] = {
    "": _check_nothing, "text": _check_text, "number": _check_number, "date": _check_date, "days": _check_days,
    "choices": _check_choices, "language": _check_language, "domain": _check_domain, "issues": _check_issues,
}  # fmt: skip
_VALUES: dict[str, Callable[[Any], str]] = {
    "text": lambda value: f"“{value.strip()}”",
    "number": lambda value: f"{value:g}" if abs(value) < 1e6 else f"{value:,}",
    "date": lambda value: f"{day(value).day} {day(value):%B %Y}",
    "days": lambda value: "day" if value == 1 else f"{value:,} days",
    "choices": lambda value: " or ".join(f"“{one}”" for one in value),
    "language": lambda value: value.strip().lower(),
    "domain": lambda value: value.strip().lower(),
    "issues": lambda value: "the last issue" if value == 1 else f"the last {value} issues",
}


def days_ago(now: datetime, number: int) -> datetime:
    """The same time of day so many days earlier."""
    return now - timedelta(days=number)
