"""The job that reads the mailbox of bounces: a bounded number of mails a time, each dealt with before it is removed."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.conf import settings
from django.db import InterfaceError, OperationalError

from newsletters import bounces, mailboxes
from newsletters.mailboxes import Mailbox, MailboxTrouble, Waiting
from newsletters.models import BounceMailbox
from runs import clock, words
from runs.models import RunEvent
from runs.tasks import JobFailed, RunContext

MOST = 2000
"""Mails in one run; the next one goes on with the rest."""


@dataclass
class Tally:
    """What one run did."""

    taken: int = 0
    new: int = 0
    left: int = 0
    poison: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{words.counted(self.taken, 'mail')} read, {self.new} with news"]
        parts += [f"{self.left} left in the mailbox that are no bounces of ours"] if self.left else []
        parts += [f"{len(self.poison)} that cannot be read"] if self.poison else []
        return f"{', '.join(parts)}."


def perform(run: RunContext) -> str:
    """Reads what waits in the mailbox; a run that is repeated goes on where the last one stopped.

    Raises:
        JobFailed: the mailbox cannot be read, or its address is not set.
    """
    if not settings.BOUNCE_MAILBOX_URL:
        raise JobFailed("No mailbox is set. An administrator sets its address as BOUNCE_MAILBOX_URL.", may_retry=False)
    row = BounceMailbox.objects.filter(pk=run.target_id or 0)
    tally = Tally()
    try:
        with mailboxes.opened(settings.BOUNCE_MAILBOX_URL) as mailbox:
            waiting = mailbox.waiting(MOST)
            for done, mail in enumerate(waiting):
                run.progress(done, len(waiting), "mails")
                _deal_with(run, mailbox, mail, tally)
    except MailboxTrouble as trouble:
        row.update(problem=str(trouble)[:300])
        raise JobFailed(f"{trouble} {tally}") from trouble
    bounces.forget_recovered()
    row.update(read_at=clock.now(), problem=_problem(tally)[:300])
    return str(tally)


def _deal_with(run: RunContext, mailbox: Mailbox, mail: Waiting, tally: Tally) -> None:
    try:
        outcome = bounces.process(mail.read())
    except (OperationalError, InterfaceError, *mailboxes.TROUBLE):
        raise  # not the mail's fault: the run fails and is tried again
    except Exception as error:  # any: one mail must not stop the others
        mailbox.leave(mail, is_poison=True)
        tally.poison.append(mail.name)
        run.log(f"Mail {mail.name} cannot be read ({type(error).__name__}) and was left.", RunEvent.Level.WARNING)
        return
    if outcome.is_ours:
        mailbox.take(mail)
        tally.taken += 1
        tally.new += outcome.is_new
    else:
        mailbox.leave(mail)
        tally.left += 1


def _problem(tally: Tally) -> str:
    if not tally.poison:
        return ""
    return f"Mails that cannot be read were left in the mailbox: {', '.join(tally.poison[:10])}."
