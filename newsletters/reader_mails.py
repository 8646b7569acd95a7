"""Short mails that a reader asked for by a form: the link to their page, a new address, their data, being erased.

They hold links and our own words, nothing that a visitor typed.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.mail import EmailMessage

from newsletters import addresses, links, suppressions
from newsletters.models import Subscriber
from newsletters.public_pages import organisation
from runs.tasks import JobFailed, RunContext
from schedules import events

ABOUT_PAGE, ABOUT_DATA, ABOUT_ERASING = "preferences", "data", "erase"
ABOUT_NEW_ADDRESS, ABOUT_TAKEN_ADDRESS, ABOUT_MOVE = "new_address", "taken_address", "moved"
_NOT_YOU = "If you did not ask for this, do nothing: nothing has changed."

_TEXTS: dict[str, tuple[str, str]] = {
    ABOUT_PAGE: (
        "Your newsletters",
        "On this page you choose which newsletters you get, change your name or address, or leave:\n{link}\n\n"
        "Keep this mail to yourself: whoever has the link can change your choices.",
    ),
    ABOUT_DATA: (
        "Your data",
        "Somebody, probably you, asked for a copy of what we hold about you. Open this page within two days and press "
        "the button:\n{link}\n\n" + _NOT_YOU,
    ),
    ABOUT_ERASING: (
        "Please confirm that we shall erase you",
        "Somebody, probably you, asked us to erase everything that we hold about you. Open this page within two days "
        "and press the button:\n{link}\n\n" + _NOT_YOU,
    ),
    ABOUT_NEW_ADDRESS: (
        "Please confirm your new address",
        "Somebody, probably you, asked us to send their newsletters to this address from now on. Open this page within "
        "two days and press the button:\n{link}\n\n" + _NOT_YOU,
    ),
    ABOUT_TAKEN_ADDRESS: (
        "This address is with us already",
        "Somebody, probably you, asked us to send their newsletters to this address. It gets newsletters of its own "
        "already, so nothing was changed. Its own page is here:\n{link}",
    ),
    ABOUT_MOVE: (
        "Your newsletters go to another address now",
        "As you asked, we write to your new address from now on. This is the last mail to the old one.\n\n"
        "If it was not you, tell us by the form on this page, and a person looks into it:\n{link}",
    ),
}  # fmt: skip
_LINKS: dict[str, Callable[[Subscriber], str]] = {
    ABOUT_PAGE: lambda reader: links.preferences_url(reader.pk, reader.email_norm),
    ABOUT_TAKEN_ADDRESS: lambda reader: links.preferences_url(reader.pk, reader.email_norm),
    ABOUT_DATA: links.data_url,
    ABOUT_ERASING: links.erase_url,
    ABOUT_MOVE: lambda reader: links.public("feedback"),
}


def plan_mail(subscriber: Subscriber, about: str, *, to: str = "") -> None:
    """Plans a mail to the reader, or to another address of theirs. Call it inside the transaction it belongs to."""
    events.start("reader_mail", subscriber, parameters={"about": about, **({"to": to} if to else {})})


def perform_reader_mail(run: RunContext) -> str:
    """Sends one such mail; whoever may not be written to for good gets none."""
    subscriber = Subscriber.objects.filter(pk=run.target_id or 0).first()
    about, to = str(run.parameters.get("about", "")), str(run.parameters.get("to", ""))
    if subscriber is None or about not in _TEXTS:
        return "Nothing to do: the reader was removed."
    recipient = to or subscriber.email
    if not suppressions.may_ask(addresses.normalise(recipient)):
        return "Nothing to do: this address is on the suppression list."
    link = links.new_address_url(subscriber, to) if about == ABOUT_NEW_ADDRESS else _LINKS[about](subscriber)
    subject, text = _TEXTS[about]
    mail = EmailMessage(
        subject=subject,
        body=f"{text.format(link=link)}\n\n-- \n{organisation()}\n",
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[recipient],
        headers={"Auto-Submitted": "auto-generated"},
    )
    try:
        mail.send()
    except OSError as error:  # smtplib's errors are OSErrors too
        raise JobFailed(f"The mail could not be handed to the mail server ({error}).") from error
    return f"Mailed: {subject}."
