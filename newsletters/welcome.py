"""The welcome mail of a list: once to each reader, after they have confirmed."""

from __future__ import annotations

from email.utils import parseaddr

from django.conf import settings

from newsletters import audience, content, links, merge_fields, message, reader_words, smtp
from newsletters.models import List, Subscriber, Subscription
from newsletters.smtp_replies import Dropped, Fate, ServerTrouble, Unanswered
from runs import clock
from runs.tasks import JobFailed, RunContext


def perform_welcome_mail(run: RunContext) -> str:
    """Mails the list's welcome to one reader.

    The place is marked before the mail goes out, so a job that is killed in between never welcomes twice; where the
    mail server certainly did not take the mail, the mark is taken back and the job tries again.
    """
    place = (
        Subscription.objects.select_related("subscriber", "list")
        .filter(subscriber=run.target_id or 0, list=run.parameters.get("list", 0), state=Subscription.State.CONFIRMED)
        .first()
    )
    if place is None or not place.list.welcome_subject:
        return "Nothing to do: no longer on the list, or it has no welcome mail."
    if audience.suppressed_among([place.subscriber.email_norm]):
        return "Nothing to do: this address is on the suppression list."
    mail = _mail(place, place.subscriber, place.list)
    if not Subscription.objects.filter(pk=place.pk, welcomed_at=None).update(welcomed_at=clock.now()):
        return "Welcomed already."
    _hand_over(place, mail)
    return f"Welcomed to {place.list}."


def _mail(place: Subscription, reader: Subscriber, chosen: List) -> bytes:
    name, email = parseaddr(settings.DEFAULT_FROM_EMAIL)
    sender = message.Sender(name, email)
    source = content.Source(
        subject=chosen.welcome_subject, body=chosen.welcome_body, title=sender.name or chosen.name,
        list_names=[chosen.name],
    )  # fmt: skip
    try:
        frozen = content.freeze(source)
    except content.SourceError as error:
        raise JobFailed(
            f"{error} Correct the welcome mail on the page of the list {chosen}.", may_retry=False
        ) from error
    leave = links.unsubscribe_url(reader.pk, 0, 0, (chosen.pk,))
    urls = {
        "unsubscribe_url": leave,
        "preferences_url": links.preferences_url(reader.pk, reader.email_norm),
        "view_url": links.public("archive"),  # a welcome has no page of its own
    }
    values = reader_words.merge_values(reader.name, reader.email, reader.attributes, urls, merge_fields.kinds())
    letter = content.Parts(frozen).fill(values)
    return message.build(
        message.Envelope(sender, chosen.name, chosen.slug, f"welcome:{chosen.pk}"),
        delivery_id=place.pk, to_name=reader.name, to_email=reader.email_norm, subject=letter.subject,
        html=letter.html, text=letter.text, unsubscribe_url=leave, date=clock.now(),
    )  # fmt: skip


def _hand_over(place: Subscription, mail: bytes) -> None:
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    try:
        outcome = smtp.send_one(smtp.Mail(sender, place.subscriber.email_norm, mail))
    except (ServerTrouble, Dropped) as trouble:
        _unmark(place)
        raise JobFailed(f"The welcome mail could not be handed to the mail server ({trouble}).") from trouble
    except Unanswered as silence:
        raise JobFailed(f"Nobody knows whether the welcome mail arrived ({silence}).", may_retry=False) from silence
    if outcome.fate is Fate.SENT:
        return
    _unmark(place)
    raise JobFailed(f"The mail server refused it: {outcome.reply}.", may_retry=outcome.fate is Fate.LATER)


def _unmark(place: Subscription) -> None:
    Subscription.objects.filter(pk=place.pk).update(welcomed_at=None)
