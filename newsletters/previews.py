"""What a letter would look like to one reader, and whom it would reach, before anything is saved."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone
from django.utils.html import escape

from newsletters import audience, content, drafts, feeds, merge_fields, message, preparing, reader_words, segments
from newsletters.audience import Audience, Reach
from newsletters.drafts import Draft
from newsletters.models import Subscriber
from newsletters.source_errors import SourceError

SAMPLE_NAME = "Anna Example"
SAMPLE_EMAIL = "anna@example.org"
READERS_OFFERED = 8

VIEWS = (("desktop", "Desktop"), ("phone", "Phone"), ("dark", "Dark"), ("text", "Plain text"), ("headers", "Headers"))
"""The ways to look at a letter, and what they are called."""

_DARK_RULE = re.compile(r"@media\s*\(\s*prefers-color-scheme\s*:\s*dark\s*\)")
_IMAGE_SOURCE = re.compile(r"(<img\b(?:[^>\"]|\"[^\"]*\")*?\ssrc=\")([^\"]*)(\")", re.IGNORECASE)


@dataclass(frozen=True)
class Reader:
    """Whose letter is shown."""

    shown: str
    name: str
    email: str
    attributes: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Preview:
    """The letter as one reader would get it, or why it cannot be shown."""

    letter: content.Letter | None
    reader: str
    audience: Audience
    view: str = "desktop"
    error: str = ""
    error_field: str = ""
    page: str = ""
    """The HTML to be shown; pictures from elsewhere are replaced, because showing them would tell their owners."""
    has_foreign_images: bool = False
    has_dark_rules: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    feed_problem: str = ""
    """Why the letter is shown without what is new in its feed."""

    @property
    def kilobytes(self) -> str:
        """The size of the HTML part: "12 KB"."""
        return f"{max(1, round(self.letter.bytes / 1024))} KB" if self.letter else ""

    @property
    def is_clipped(self) -> bool:
        return self.letter is not None and self.letter.bytes > content.CLIPPED_AT_BYTES


def preview(draft: Draft, reader: Reader, view: str = "desktop") -> Preview:
    """Fills the text in for this reader; never raises."""
    view = view if view in dict(VIEWS) else "desktop"
    try:
        counted = audience.count(draft.reach)
    except segments.BadRule as error:
        unusable = preparing.unusable_segment(draft.newsletter, error)
        return Preview(None, reader.shown, Audience(0, 0, 0, 0), view, unusable, "segment")
    feed_problem = ""
    try:
        source = drafts.with_feed(draft, feeds.PREVIEW_SECONDS).source
    except feeds.FeedProblem as problem:
        source, feed_problem = drafts.without_feed(draft).source, str(problem)
    try:
        merge_fields.check({"subject": source.subject, "preheader": source.preheader, "body": source.body})
        frozen = content.freeze(source)
    except SourceError as error:
        return Preview(None, reader.shown, counted, view, str(error), error.field)
    letter = content.Parts(frozen).fill(values_of(reader))
    page, has_foreign = _without_foreign_images(letter.html)
    return Preview(
        letter, reader.shown, counted, view,
        page=_in_scheme(page, is_dark=view == "dark"),
        has_foreign_images=has_foreign,
        has_dark_rules=_DARK_RULE.search(letter.html) is not None,
        headers=_headers(draft, reader, letter) if view == "headers" else (),
        feed_problem=feed_problem,
    )  # fmt: skip


def values_of(reader: Reader) -> dict[str, str]:
    """The values for the merge tags; the links of an example lead nowhere."""
    urls = {f"{name}_url": f"{settings.PUBLIC_URL}/{name}/example/" for name in ("unsubscribe", "preferences", "view")}
    return reader_words.merge_values(reader.name, reader.email, reader.attributes, urls, merge_fields.kinds())


def nobody_in_particular() -> Reader:
    """Somebody invented, for whoever may not see readers, and for lists without any."""
    return Reader(f"{SAMPLE_NAME}, who is invented", SAMPLE_NAME, SAMPLE_EMAIL)


def nothing_filled_in() -> Reader:
    """A reader of whom we know the address and nothing else: every fallback shows."""
    return Reader("a reader with nothing filled in", "", "reader@example.org")


def first_reader(reach: Reach) -> Reader:
    """The first one who would get it."""
    try:
        found = audience.recipients(reach).order_by("pk").first()
    except segments.BadRule:  # the preview says so
        found = None
    return _of(found) if found is not None else nobody_in_particular()


def readers_like(start: str) -> list[Subscriber]:
    """Some whose address begins like this; an index answers at any size."""
    start = start.strip().lower()
    if not start:
        return []
    return list(Subscriber.objects.filter(email_norm__startswith=start).order_by("email_norm")[:READERS_OFFERED])


def _of(found: Subscriber) -> Reader:
    attributes = found.attributes if isinstance(found.attributes, dict) else {}
    return Reader(str(found), found.name, found.email, attributes)


def reader_at(start: str) -> Reader | None:
    """The first whose address begins like this."""
    found = readers_like(start)
    return _of(found[0]) if found else None


def _in_scheme(page: str, *, is_dark: bool) -> str:
    """The page as a mail program in the dark, or in the light, would show it, whatever this screen is set to."""
    return _DARK_RULE.sub("@media all" if is_dark else "@media not all", page)


def _without_foreign_images(page: str) -> tuple[str, bool]:
    own = urlsplit(settings.PUBLIC_URL).netloc
    found = False

    def replace(match: re.Match[str]) -> str:
        nonlocal found
        address = match.group(2)
        host = urlsplit(address.replace("&amp;", "&")).netloc
        if host == own or address.startswith("data:"):
            return match.group(0)
        found = True
        return f"{match.group(1)}{_stand_in(host)}{match.group(3)}"

    return _IMAGE_SOURCE.sub(replace, page), found


def _stand_in(host: str) -> str:
    words = escape(f"Picture from {host}" if host else "Picture without an address")
    drawing = (
        "<svg xmlns='http://www.w3.org/2000/svg' width='480' height='120'><rect width='480' height='120' fill='#d9d9d4'/>"
        f"<text x='240' y='66' text-anchor='middle' font-family='sans-serif' font-size='18' fill='#3c3f44'>{words}</text></svg>"
    )
    return "data:image/svg+xml," + re.sub(
        r"[^A-Za-z0-9 =':/.;,()-]", lambda sign: "".join(f"%{byte:02X}" for byte in sign.group().encode()), drawing
    )


def _headers(draft: Draft, reader: Reader, letter: content.Letter) -> tuple[tuple[str, str], ...]:
    newsletter = draft.newsletter
    envelope = preparing.envelope_before_sending(newsletter, "preview")
    raw = message.build(
        envelope, delivery_id=0, to_name=reader.name, to_email=reader.email, subject=letter.subject, html="", text="",
        unsubscribe_url=values_of(reader)["unsubscribe_url"], date=timezone.now(),
    )  # fmt: skip
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    return tuple((name, str(value)) for name, value in parsed.items())
