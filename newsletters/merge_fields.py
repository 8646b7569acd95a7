"""Which merge tags there are at this organisation: for the menu of the editor, for checks, and what kind each is."""

from __future__ import annotations

from dataclasses import dataclass

from newsletters import audience, mergetags
from newsletters.models import SubscriberField
from newsletters.source_errors import SourceError


@dataclass(frozen=True)
class MenuTag:
    """One entry of the menu of merge tags."""

    name: str
    label: str
    example: str = ""
    """A fallback that suits it; empty for what every reader has."""
    has_fallback: bool = True


_FIXED = (
    MenuTag("name", "Name", "there"),
    MenuTag("email", "E-mail address", has_fallback=False),
)
_ADDRESSES = (
    MenuTag("view_url", "Address of the letter in a browser", has_fallback=False),
    MenuTag("preferences_url", "Address of the page to change what they get", has_fallback=False),
    MenuTag("unsubscribe_url", "Address of the page to unsubscribe", has_fallback=False),
)


def menu() -> list[MenuTag]:
    """Every tag that can be used: the fixed ones, the fields that staff defined, and other attributes readers have."""
    fields = [
        MenuTag(field.key, field.label) for field in SubscriberField.objects.all() if field.key not in mergetags.KNOWN
    ]
    named = {*mergetags.KNOWN, *mergetags.PLACES, *(field.name for field in fields)}
    others = [
        MenuTag(name, name.replace("_", " ").capitalize()) for name in audience.attribute_names() if name not in named
    ]
    return [*_FIXED, *fields, *others, *_ADDRESSES]


def names() -> set[str]:
    """The tags besides the fixed ones: defined fields, and attributes that readers have."""
    return {*SubscriberField.objects.values_list("key", flat=True), *audience.attribute_names()}


def kinds() -> dict[str, str]:
    """Of which kind each defined field is, by its short name."""
    return dict(SubscriberField.objects.values_list("key", "kind"))


def check(sources: dict[str, str]) -> None:
    """Checks the merge tags of several fields at once.

    Raises:
        SourceError: a tag that cannot be read or is not known; it names the field, the tag and the line.
    """
    known = names()
    for field, source in sources.items():
        allowed = {*known, "feed"} if field == "body" else known
        try:
            mergetags.check(source, allowed)
        except SourceError as error:
            raise error.at(field) from None


def check_layout(source: str) -> None:
    """Checks the tags of a layout, which has places for the text and the footer as well. Raises SourceError."""
    mergetags.check(source, {*names(), "content", "footer"})
