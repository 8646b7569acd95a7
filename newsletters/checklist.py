"""The checks before sending: what is in order, what to look at again, and what would go wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.core.cache import cache
from django.db.models import Q, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.urls import reverse

from newsletters import (
    attachments,
    audience,
    content,
    drafts,
    feed_entries,
    feeds,
    fetching,
    letter_links,
    merge_fields,
    mergetags,
    preparing,
    segments,
    senders,
    test_mail,
)
from newsletters.drafts import Draft
from newsletters.models import Issue, Newsletter, Subscriber
from newsletters.source_errors import SourceError
from runs import words

LONG_SUBJECT = 70
"""Mail programs on phones show about half of this, those on desks about as much."""
AUDIENCE_CHANGE = 0.5
READERS_LOOKED_AT = 50_000
"""Missing values are counted among this many readers: the page must answer at any size."""
LINKS_ASKED = 30
SECONDS_PER_LINK = 6
ASKED_AT_ONCE = 10
REMEMBERED_SECONDS = 600


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    state: str
    """good, warn or bad."""
    sentence: str
    advice: str = ""
    """What to do about it."""

    @property
    def word(self) -> str:
        """The state in a word."""
        return {"good": "In order", "warn": "Look again", "bad": "Mend this"}[self.state]


def check(draft: Draft) -> list[Check]:
    """Everything that can be told without asking other servers; the worst first."""
    try:
        source = drafts.with_feed(draft).source
        about_feed = list(_feed(draft))
    except feeds.FeedProblem as problem:
        source, about_feed = draft.source, [Check("bad", str(problem), "Nothing is sent as long as it cannot be read.")]
    try:
        merge_fields.check({"subject": source.subject, "preheader": source.preheader, "body": source.body})
        frozen = content.freeze(source)
    except SourceError as error:
        return [Check("bad", f"The letter cannot be made. {error}", "Correct it; the preview shows when it is right.")]
    try:
        about_readers = [*_missing_values(draft, frozen), *_audience(draft)]
    except segments.BadRule as error:
        unusable = preparing.unusable_segment(draft.newsletter, error)
        about_readers = [Check("bad", unusable, "Nothing is sent as it stands.")]
    found = [
        *about_feed,
        *_subject(source.subject),
        *_text(source.body),
        *_unsubscribe(frozen),
        *_footer(draft),
        *_sender(draft),
        *_attachment(draft),
        *_size(frozen),
        *_images(frozen),
        *about_readers,
        *_tested(draft),
    ]
    return sorted(found, key=lambda one: ("bad", "warn", "good").index(one.state))


def _feed(draft: Draft) -> Iterator[Check]:
    newsletter = draft.newsletter
    if newsletter.source != Newsletter.Source.FEED:
        return
    if draft.issue is not None and not feed_entries.has_place(draft.source.body):
        yield Check(
            "warn", "What is new in the newsletter's feed does not come into this issue by itself.",
            "Write {{ feed }} where it should stand, unless that is meant.",
        )  # fmt: skip
        return
    number = feeds.preview(newsletter).number
    later = feeds.comes_later(newsletter, draft.source.body) if draft.issue is not None else ""
    if number:
        yield Check("good", f"{words.counted(number, 'entry', 'entries')} of the feed would be in it now.", later)
    elif draft.issue is None and newsletter.feed_when_empty == "skip":
        yield Check("warn", "Nothing is new in the feed, so nothing would be sent now.", "Wait for a new entry.")
    else:
        yield Check(
            "warn", "Nothing is new in the feed; the text alone would be sent now.", later or "Wait for a new entry."
        )


def _subject(subject: str) -> Iterator[Check]:
    shown = "".join(part if isinstance(part, str) else part.fallback or "Anna" for part in mergetags.split(subject))
    letters = [sign for sign in shown if sign.isalpha()]
    if not shown.strip():
        yield Check("bad", "The subject is empty.", "Write what the letter is about; readers decide by it.")
    elif len(shown) > LONG_SUBJECT:
        yield Check(
            "warn", f"The subject has {len(shown)} characters; phones show about 40.", "Begin with what matters."
        )
    elif (len(letters) > 7 and sum(sign.isupper() for sign in letters) > 0.7 * len(letters)) or "!!" in shown:
        yield Check("warn", "The subject shouts.", "Capitals and exclamation marks look like spam to mail programs.")
    else:
        yield Check("good", "The subject has a good length.")


def _text(body: str) -> Iterator[Check]:
    if not body.strip():
        yield Check("bad", "The letter has no text.", "Write something.")


def _unsubscribe(frozen: content.Frozen) -> Iterator[Check]:
    if "{{ unsubscribe_url }}" in frozen.html and "{{ unsubscribe_url }}" in frozen.text:
        yield Check("good", "Readers can unsubscribe with one click, from the letter and from their mail program.")
    else:
        yield Check("bad", "The unsubscribe link is missing.", "Put {{ footer }} back into the layout.")


def _footer(draft: Draft) -> Iterator[Check]:
    if not draft.list_ids:
        yield Check("bad", "No list is chosen, so the letter cannot say why somebody gets it.", "Choose a list.")
    if draft.source.postal_address.strip():
        yield Check("good", "The footer has a postal address and says why the reader gets the letter.")
    else:
        yield Check(
            "warn", "The footer has no postal address.",
            "Many countries' laws ask for one in newsletters; write it on the newsletter's page.",
        )  # fmt: skip


def _sender(draft: Draft) -> Iterator[Check]:
    sender = preparing.sender_of(draft.newsletter)
    refusal = senders.refusal(sender.email)
    if refusal:
        yield Check("bad", f"The sender is {sender.email}. {refusal}", "Change the sender's address.")
    else:
        yield Check("good", f"It comes from {sender.email}, an address of ours.")


def _attachment(draft: Draft) -> Iterator[Check]:
    try:
        found = attachments.latest(draft.newsletter.attachment)
    except attachments.CannotAttach as error:
        yield Check("bad", f"{error}", "Nothing is sent without it.")
        return
    if found is not None:
        yield Check("good", f"“{found.name}” is attached, or a newer one when the issue is prepared.")


def _size(frozen: content.Frozen) -> Iterator[Check]:
    size = len(frozen.html.encode())
    shown = f"{max(1, round(size / 1024))} KB"
    if size > content.CLIPPED_AT_BYTES:
        yield Check(
            "bad", f"The letter has {shown}. Gmail cuts off what is over 102 KB, the unsubscribe link with it.",
            "Make it shorter, and link to the rest.",
        )  # fmt: skip
    elif size > 0.8 * content.CLIPPED_AT_BYTES:
        yield Check("warn", f"The letter has {shown}; Gmail cuts off what is over 102 KB.", "Do not add much more.")
    else:
        yield Check("good", f"The letter has {shown}; nothing is cut off.")


def _images(frozen: content.Frozen) -> Iterator[Check]:
    pictures = letter_links.image_addresses(frozen.html)
    without = letter_links.images_without_words(frozen.html)
    if without:
        yield Check(
            "warn", f"{words.counted(without, 'picture has', 'pictures have')} no description.",
            "Write what it shows: many mail programs hide pictures, and some readers cannot see them.",
        )  # fmt: skip
    elif pictures:
        yield Check("good", "Every picture has a description.")
    insecure = [url for url in pictures if not url.startswith(("https://", "data:", settings.PUBLIC_URL))]
    if insecure:
        yield Check(
            "bad", f"Mail programs cannot load the picture “{insecure[0][:80]}”.",
            "Use one of the library, or an address that begins with https://.",
        )  # fmt: skip


def _missing_values(draft: Draft, frozen: content.Frozen) -> Iterator[Check]:
    """Tags without a fallback whose value some readers do not have."""
    tags = [tag for part in (frozen.subject, frozen.html) for tag in mergetags.tags_in(part)]
    fixed = {*mergetags.URL_TAGS, *mergetags.PLACES, "email"}
    bare = sorted({tag.name for tag in tags if not tag.fallback} - fixed)
    if not bare or not draft.list_ids:
        return
    looked_at = audience.recipients(draft.reach).order_by("pk").values("pk")[:READERS_LOOKED_AT]
    readers = Subscriber.objects.filter(pk__in=looked_at)
    total = readers.count()
    among = f" among the first {total:,}" if total >= READERS_LOOKED_AT else ""
    has_gap = False
    for name in bare:
        number = _without_value(readers, name)
        if number:
            has_gap = True
            yield Check(
                "warn", f"{words.counted(number, 'reader has', 'readers have')} no “{name}”{among}; they get a gap there.",
                f"Say what to write instead, such as {{{{ {name}|there }}}}.",
            )  # fmt: skip
    if not has_gap:
        yield Check("good", f"Every reader has the values that the letter mentions{among}.")


def _without_value(readers: QuerySet[Subscriber], name: str) -> int:
    if name == "name":
        return readers.filter(name="").count()
    # Not as a look-up: an attribute may be called "contains". SQLite says "null" where PostgreSQL says nothing.
    valued = readers.annotate(said=Cast(KeyTextTransform(name, "attributes"), TextField()))
    return valued.filter(Q(said=None) | Q(said__in=("", "null"))).count()


def _audience(draft: Draft) -> Iterator[Check]:
    counted = audience.count(draft.reach)
    now, segment = counted.recipients, draft.newsletter.segment
    if not now and counted.not_in_segment:
        yield Check(
            "bad", f"It would reach nobody now: no reader of the lists is in the segment {segment}.",
            "Choose another segment, or none.",
        )  # fmt: skip
        return
    if not now:
        yield Check("bad", "It would reach nobody now.", "Choose a list that has confirmed readers.")
        return
    only = f" of the segment {segment}" if segment is not None else ""
    done = Issue.objects.filter(
        newsletter_id=draft.newsletter.pk or 0, state__in=(Issue.State.SENT, Issue.State.SENT_WITH_PROBLEMS)
    )
    last = done.order_by("-scheduled_for", "-pk").values_list("planned", flat=True).first()
    if last and abs(now - last) > AUDIENCE_CHANGE * last:
        more = "more" if now > last else "fewer"
        yield Check(
            "warn", f"It would go to {words.counted(now, 'reader')}{only}; last time there were {last:,}.",
            f"Are so many {more} right? Look at the lists{' and the segment' if only else ''}.",
        )  # fmt: skip
    else:
        before = f", about as many as last time ({last:,})" if last else ""
        yield Check("good", f"It would go to {words.counted(now, 'reader')}{only} now{before}.")


def _tested(draft: Draft) -> Iterator[Check]:
    if test_mail.was_tested(draft):
        yield Check("good", "A test of this text was sent.")
    else:
        yield Check("warn", "No test was sent since the last change.", "Send one to yourself and read it on a phone.")


def check_links(draft: Draft) -> list[Check]:
    """Asks each link whether it answers; at most thirty, and within seconds. Answers are remembered for ten minutes."""
    try:
        frozen = content.freeze(drafts.with_feed(draft).source)
    except (SourceError, feeds.FeedProblem):
        return []  # the other checks say so
    found = letter_links.addresses(frozen.html)
    wrong = [url for url in found if not letter_links.is_web(url) and not url.startswith(("mailto:", "tel:", "#"))]
    checks = [
        Check(
            "bad",
            f"The link “{url[:80]}” leads nowhere in a mail.",
            "Write the whole address, beginning with https://.",
        )
        for url in wrong
    ]
    web = [url for url in found if letter_links.is_web(url)]
    own = urlsplit(settings.PUBLIC_URL).netloc
    asked = [url for url in web if urlsplit(url).netloc != own][:LINKS_ASKED]
    with ThreadPoolExecutor(max_workers=ASKED_AT_ONCE) as pool:
        answers = list(pool.map(_probe, asked))
    checks += [
        Check("bad" if is_gone else "warn", f"The link {url[:120]} does not answer. {why}", "Open it, and correct it.")
        for url, (why, is_gone) in zip(asked, answers, strict=True)
        if why
    ]
    if asked and not checks:
        number = words.counted(len(asked), "link answers", "links answer")
        rest = f" The other {len(web) - len(asked)} were not asked." if len(web) > len(asked) else ""
        checks.append(Check("good", f"{number}.{rest}"))
    return checks


def _probe(url: str) -> tuple[str, bool]:
    """Why the address does not answer (empty when it does), and whether it said itself that there is no such page."""
    key = f"newsletters.link.{hashlib.sha256(url.encode()).hexdigest()}"
    known: tuple[str, bool] | None = cache.get(key)
    if known is None:
        answer = fetching.probe(url, SECONDS_PER_LINK)
        known = ("" if answer.answers else answer.why, answer.status in (404, 410))
        cache.set(key, known, REMEMBERED_SECONDS)
    return known


def address(draft: Draft) -> str:
    """Where the checks of the stored letter are shown."""
    about = f"issue={draft.issue.pk}" if draft.issue is not None else f"newsletter={draft.newsletter.pk}"
    return f"{reverse('admin:newsletters_newsletter_checks')}?{about}"
