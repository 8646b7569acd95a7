"""The typed fields of subscribers: what a value of each kind looks like, and who uses a field."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from newsletters import rule_trees
from newsletters.models import LetterTemplate, Newsletter, Segment, SubscriberField
from runs import audit
from runs.audit import Actor

Kind = SubscriberField.Kind
Value = str | int | float | bool
MAX_TEXT = 500
MAX_NUMBER = 10**15
MAX_CHOICES = 200
RESERVED = frozenset(
    {
        "name",
        "email",
        "language",
        "lists",
        "unsubscribe_url",
        "view_url",
        "preferences_url",
        "content",
        "subject",
        "feed",
        "first_name",
        "last_name",
    }
)
"""Names that mean something else in merge tags and in files."""
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")
YES = frozenset(["yes", "y", "true", "1", "on", "x", "ja", "oui", "si", "sì", "sim", "tak"])
NO = frozenset(["no", "n", "false", "0", "off", "nein", "non", "não", "nie"])
DATE_FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y")
_STORED = ("key", "label", "kind", "choices", "is_public", "position")


class BadValue(ValueError):
    """The value is none of this field; the message says what to write instead."""


def all_fields() -> dict[str, SubscriberField]:
    """Every field by its short name, in the order of forms."""
    return {field.key: field for field in SubscriberField.objects.all()}


def read_value(field: SubscriberField | None, written: Any) -> Value | None:
    """What is stored for what somebody wrote, or None for an empty value; without a field it is text.

    Takes text as forms and files hold it, and values of the right type as they are.

    Raises:
        BadValue: the text is none of the field's kind.
    """
    if written is None or (isinstance(written, str) and not written.strip()):
        return None
    if field is None:
        return _read_text("The text", written)
    if field.kind == Kind.YES_NO:
        return _read_yes_no(field, written)
    if field.kind == Kind.NUMBER:
        return _read_number(field, written)
    if field.kind == Kind.DATE:
        return _read_date(field, written)
    if field.kind == Kind.CHOICE:
        return _read_choice(field, clean_text(str(written)))
    return _read_text(field.label, written)


def read_values(values: Mapping[str, Any], fields: Mapping[str, SubscriberField]) -> dict[str, Any]:
    """The attributes to store: each typed one brought into its form, unknown ones kept as they are.

    Raises:
        ValidationError: by short name, what is wrong with which.
    """
    stored: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for key, written in values.items():
        field = fields.get(key)
        try:
            value = written if field is None else read_value(field, written)
        except BadValue as error:
            wrong[key] = str(error)
            continue
        if value is not None:
            stored[key] = value
    if wrong:
        raise ValidationError(wrong)
    return stored


def in_words(field: SubscriberField | None, value: Any) -> str:
    """A stored value as people read it; one that does not fit its field is shown as it is."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field is not None and field.kind == Kind.NUMBER and isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def clean_text(text: str) -> str:
    """One spelling of the same letters, without blanks around it and without the NUL that PostgreSQL refuses."""
    return unicodedata.normalize("NFC", text.replace("\x00", "")).strip()


def _read_yes_no(field: SubscriberField, written: Any) -> bool:
    if isinstance(written, bool):
        return written
    word = str(written).strip().lower()
    if word in YES:
        return True
    if word in NO:
        return False
    raise BadValue(f"“{_short(written)}” is neither yes nor no. Write yes or no for {field.label}.")


def _read_number(field: SubscriberField, written: Any) -> int | float:
    refusal = BadValue(f"“{_short(written)}” is not a number. Write {field.label} as digits, such as 12 or 3.5.")
    if isinstance(written, bool):
        raise refusal
    text = str(written).strip()
    if not isinstance(written, (int, float)) and not re.fullmatch(r"[+-]?[0-9]{1,16}([.,][0-9]{1,10})?", text):
        raise refusal
    number = float(text.replace(",", "."))
    if not math.isfinite(number) or abs(number) > MAX_NUMBER:
        raise refusal
    return int(number) if number.is_integer() else number


def _read_date(field: SubscriberField, written: Any) -> str:
    if isinstance(written, datetime):
        return written.date().isoformat()
    if isinstance(written, date):
        return written.isoformat()
    text = str(written).strip()
    for pattern in DATE_FORMATS:
        try:
            return datetime.strptime(text, pattern).date().isoformat()
        except ValueError:
            continue
    raise BadValue(f"“{_short(written)}” is not a date. Write {field.label} as 2026-03-31 or 31.3.2026.")


def _read_choice(field: SubscriberField, text: str) -> str:
    by_fold = {str(choice).casefold(): str(choice) for choice in field.choices}
    if text.casefold() in by_fold:
        return by_fold[text.casefold()]
    offered = ", ".join(str(choice) for choice in field.choices[:8])
    raise BadValue(f"“{_short(text)}” is not one of the choices of {field.label}: {offered}.")


def _read_text(label: str, written: Any) -> str:
    text = clean_text(str(written))
    if len(text) > MAX_TEXT:
        raise BadValue(f"{label} has {len(text):,} characters; at most {MAX_TEXT} can be kept.")
    return text


def _short(written: Any) -> str:
    return str(written)[:60]


def save_field(actor: Actor, field: SubscriberField) -> SubscriberField:
    """Adds or changes a field.

    Raises:
        ValidationError: by form field; also when a rule of a segment would no longer fit what it holds.
    """
    verb = "change" if field.pk else "add"
    audit.require(actor, f"newsletters.{verb}_subscriberfield", f"{verb} this field", field if field.pk else None)
    check_field(field)
    with transaction.atomic():
        stored = SubscriberField.objects.filter(pk=field.pk).values(*_STORED).first() if field.pk else None
        field.save()
        after = {name: getattr(field, name) for name in _STORED}
        changed = {name: value for name, value in after.items() if not stored or stored[name] != value}
        if changed:
            before = {name: stored[name] for name in changed} if stored else {}
            verb = "changed" if stored else "added"
            audit.record(actor, f"{verb} the subscriber field", field, before=before, after=changed)
    return field


def check_field(field: SubscriberField) -> None:
    """Brings the choices into order. Raises ValidationError by form field."""
    wrong: dict[str, str] = {}
    stored = SubscriberField.objects.filter(pk=field.pk).first() if field.pk else None
    if not _KEY.fullmatch(field.key):
        wrong["key"] = "Begin with a small letter; then small letters, digits and underscores, such as member_since."
    elif field.key in RESERVED:
        wrong["key"] = f"“{field.key}” has a meaning of its own already. Choose another short name."
    elif stored is not None and stored.key != field.key:
        wrong["key"] = "The short name stays: what subscribers have is kept under it. Change the label instead."
    if field.kind == Kind.CHOICE:
        field.choices = list(dict.fromkeys(clean_text(str(choice)) for choice in field.choices if str(choice).strip()))
        if not field.choices:
            wrong["choices"] = "Write at least one choice, each on a line of its own."
        elif len(field.choices) > MAX_CHOICES:
            wrong["choices"] = f"These are {len(field.choices)} choices; at most {MAX_CHOICES} can be chosen from."
    else:
        field.choices = []
    if stored is not None and stored.kind == field.kind and "choices" not in wrong:
        wrong |= _missing_choices(field)
    if stored is not None and stored.kind != field.kind:
        users = [segment.name for segment in _segments_with(field.key)]
        if users:
            wrong["kind"] = (
                f"{_quoted(users)} use{'s' if len(users) == 1 else ''} it as it is. Change the rules there first."
            )
    if wrong:
        raise ValidationError(wrong)


def _missing_choices(field: SubscriberField) -> dict[str, str]:
    """Choices that a segment asks for cannot be taken away under it."""
    for segment in _segments_with(field.key):
        for leaf in rule_trees.leaves(segment.rule, f"attribute:{field.key}"):
            for choice in leaf.get("value") or [] if isinstance(leaf.get("value"), list) else []:
                if choice not in field.choices:
                    return {"choices": f"“{segment.name}” asks for “{choice}”. Change the rules there first."}
    return {}


def delete_field(actor: Actor, field: SubscriberField) -> None:
    """Removes a field that nothing uses. The values that subscribers have stay, without a type."""
    audit.require(actor, "newsletters.delete_subscriberfield", "delete this field", field)
    users = users_of(field)
    if users:
        raise ValidationError(f"{_quoted(users)} use{'s' if len(users) == 1 else ''} it. Take it out there first.")
    with transaction.atomic():
        before = {name: getattr(field, name) for name in _STORED}
        audit.record(actor, "deleted the subscriber field", field, before=before)
        field.delete()


def users_of(field: SubscriberField) -> list[str]:
    """The names of the segments, newsletters and layouts that mention it."""
    tag = re.compile(r"\{\{\s*" + re.escape(field.key) + r"\s*(\||\}\})")
    mention = Q(body__contains=field.key) | Q(subject__contains=field.key) | Q(preheader__contains=field.key)
    letters = Newsletter.objects.filter(mention).values_list("name", "subject", "preheader", "body")
    layouts = LetterTemplate.objects.filter(source__contains=field.key).values_list("name", "source")
    return [
        *(segment.name for segment in _segments_with(field.key)),
        *(name for name, *texts in [*letters, *layouts] if any(tag.search(text) for text in texts)),
    ]


def _segments_with(key: str) -> Iterable[Segment]:
    return [one for one in Segment.objects.all() if f"attribute:{key}" in rule_trees.subjects(one.rule)]


def _quoted(names: list[str]) -> str:
    shown = [f"“{name}”" for name in names[:5]]
    more = [f"{len(names) - 5} more"] if len(names) > 5 else []
    parts = shown + more
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
