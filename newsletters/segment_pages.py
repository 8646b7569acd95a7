"""What the page of a segment shows: the rules as inputs, and who they find."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from newsletters import rule_forms, segment_counts, segments
from newsletters.models import Issue, List, Newsletter, Segment
from newsletters.rule_forms import Draft
from newsletters.rule_trees import Path
from newsletters.segment_counts import Counted
from newsletters.segment_leaves import ATTRIBUTE, LABELS, WHICH, Known

MAX_OFFERED = 200
_SUBJECT_GROUPS = (
    ("Lists and mail", ("list", "issue", "newsletter", "bounced")),
    ("The subscriber", ("subscribed", "language", "domain")),
)
MATCH_WORDS = {"all": "All of these", "any": "At least one of these", "none": "None of these"}
_INPUT_TYPES = {"date": "date", "days": "number", "issues": "number"}


@dataclass(frozen=True)
class Offered:
    """Everything that the selects of the rules offer, looked up once."""

    known: Known
    subjects: list[tuple[str, list[tuple[str, str]]]]
    which: dict[str, list[tuple[int, str]]]

    @classmethod
    def to(cls, root: Draft) -> Offered:
        """Also what the rules name already, however far down the list it stands."""
        known = Known.by(rule_forms.named(root))
        issues = Issue.objects.filter(state__in=Issue.FINISHED).select_related("newsletter")
        rows: dict[str, list[tuple[int, str]]] = {
            "list": list(List.objects.values_list("pk", "name")[:MAX_OFFERED]),
            "newsletter": list(Newsletter.objects.values_list("pk", "name")[:MAX_OFFERED]),
            "issue": [
                (issue.pk, str(issue)) for issue in issues.defer("html", "text", "body").order_by("-pk")[:MAX_OFFERED]
            ],
        }
        for about, chosen in known.which.items():
            there = {pk for pk, _ in rows[about]}
            rows[about] += [(pk, name) for pk, name in chosen.items() if pk not in there]
            chosen.update(rows[about])
        fields = [(f"{ATTRIBUTE}{key}", field.label) for key, field in known.fields.items()]
        others = [(title, [(about, LABELS[about]) for about in abouts]) for title, abouts in _SUBJECT_GROUPS]
        return cls(known, [*([("Fields", fields)] if fields else []), *others], rows)


@dataclass(frozen=True)
class Node:
    """One rule or group, ready for the template."""

    name: str
    path: Path
    draft: Draft
    children: list[Node]
    error: str
    takes: str
    input_type: str
    questions: list[tuple[str, str]]
    which: list[tuple[str, str]]
    which_label: str
    choices: list[str]
    can_nest: bool
    number: str
    """ "2.1", for people who hear the page."""


def node_of(draft: Draft, offered: Offered, errors: Mapping[str, str], path: Path = ()) -> Node:
    """The tree for the template."""
    known, about = offered.known, draft.about
    questions = known.questions(about) if not draft.match else {}
    takes = questions[draft.op].takes if draft.op in questions else ""
    name = rule_forms.name_of(path)
    return Node(
        name=name,
        path=path,
        draft=draft,
        children=[node_of(child, offered, errors, (*path, place)) for place, child in enumerate(draft.children)],
        error=errors.get(name, ""),
        takes=takes,
        input_type=_INPUT_TYPES.get(takes, "text"),
        questions=[(op, question.label) for op, question in questions.items()],
        which=[(str(pk), label) for pk, label in offered.which.get(about, [])],
        which_label=WHICH.get(about, ""),
        choices=rule_forms.choices_of(about, known) if takes == "choices" else [],
        can_nest=rule_forms.depth_left(path),
        number=".".join(str(place + 1) for place in path),
    )


@dataclass(frozen=True)
class Typed:
    """What a form said."""

    root: Draft
    offered: Offered
    rule: dict[str, Any]
    errors: dict[Path, str]

    def tree(self, *, with_errors: bool) -> Node:
        return node_of(self.root, self.offered, rule_forms.by_place(self.errors) if with_errors else {})


def typed(data: QueryDict) -> Typed:
    """Reads the form, does what a button of the rules asks for, and checks the rest."""
    root = rule_forms.read(data)
    rule_forms.change(root, data.get("do", ""))
    return draft_of(root)


def stored(segment: Segment) -> Typed:
    """The form of a segment as it is stored; a new one begins with one rule."""
    return draft_of(rule_forms.of_rule(segment.rule) if segment.rule else rule_forms.first())


def draft_of(root: Draft) -> Typed:
    """A draft with everything that its page needs."""
    if not root.match:
        root = rule_forms.first()
    offered = Offered.to(root)
    rule_forms.settle(root, offered.known)
    rule = rule_forms.to_rule(root, offered.known)
    return Typed(root, offered, rule, segments.check(rule, offered.known))


@dataclass(frozen=True)
class Live:
    """Whom the rules find now."""

    sentence: str
    errors: list[str]
    counted: Counted | None
    count_words: str = ""


def live(shown: Typed, segment: Segment | None) -> Live:
    """Counts what is typed; a stored segment that it is the rule of remembers the number."""
    if shown.errors:
        return Live("", [_at(path, message) for path, message in shown.errors.items()], None)
    is_stored = segment is not None and segment.rule == shown.rule
    assert segment is not None or not is_stored
    counted = segment_counts.refresh(segment) if is_stored and segment else segment_counts.count(shown.rule)
    sentence = segments.describe(shown.rule, shown.offered.known)
    return Live(sentence, [], counted, segment_counts.in_words(counted))


def _at(path: Path, message: str) -> str:
    where = ".".join(str(place + 1) for place in path)
    return f"Rule {where}: {message}" if where else message
