"""Tells whoever answers for a report what went wrong: a notice at once, a mail by a worker, once for each run.

The mail is a run of the ledger, so that no mail server that is down and no worker that dies makes it vanish.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage
from django.db import models, transaction

from reports import links
from reports.models import ReportDefinition, ReportRun
from runs import notices, public_pages
from runs.models import Run, RunEvent
from runs.tasks import JobFailed, RunContext
from schedules import events

KIND = "report_owner_mail"
ATTEMPTS = 10
"""With the waits between them more than an hour: longer than most mail servers are away."""
MAX_LINES = 20


def tell_of_failure(run: Run, report_run: ReportRun | None, why: str) -> None:
    """The owner, or the administrators where nobody answers for it, get a notice and a mail, always and once.

    Without ``report_run`` the run ended before there was a record of the report.
    """
    why = " ".join(why.split()) or "No reason was given."
    if report_run is not None:
        definition_id, name, days = report_run.definition_id, report_run.name, f" for {report_run.period}"
    else:
        definition_id, name, days = run.target_id, run.target_label or "A report", ""
    _tell(
        f"report-failed-{run.pk}", report_run or run,
        {
            "definition": definition_id, "name": name,
            "url": links.page_of(report_run) if report_run is not None else links.page_of_run(run.pk),
            "subject": f"“{name}” could not be made",
            "text": f"The report “{name}”{days} could not be made, and nobody was sent it.\n\n{why}",
        },
        notice=f"“{name}” could not be made: {why}", level=RunEvent.Level.ERROR, also=run.requested_by_id,
    )  # fmt: skip


def tell_of_trouble(report_run: ReportRun, lines: Sequence[str]) -> None:
    """That the report was made and did not reach everybody; however often it is tried again, this is told once."""
    shown = [f"- {line}" for line in lines[:MAX_LINES]]
    if len(lines) > MAX_LINES:
        shown.append(f"- and {len(lines) - MAX_LINES} more")
    name, said = report_run.name, "\n".join(shown)
    _tell(
        f"report-trouble-{report_run.pk}", report_run,
        {
            "definition": report_run.definition_id, "name": name, "url": links.page_of(report_run),
            "subject": f"“{name}” did not reach everybody",
            "text": f"The report “{name}” for {report_run.period} was made. It did not reach everybody:\n\n{said}\n\n"
            "What may still arrive is tried again for about an hour. The report's page shows how it went.",
        },
        notice=f"“{name}” did not reach everybody: {lines[0]}", level=RunEvent.Level.WARNING,
    )  # fmt: skip


def who_answers(definition: ReportDefinition | None) -> list[Any]:
    """The owner; the administrators where there is none, or where the account is disabled."""
    owner = definition.owner if definition is not None else None
    if owner is not None and owner.is_active:
        return [owner]
    return list(get_user_model()._default_manager.filter(is_superuser=True, is_active=True).order_by("pk"))


def perform(run: RunContext) -> str:
    """Sends the mail about one report."""
    said = run.parameters
    definition = ReportDefinition.objects.select_related("owner").filter(pk=said.get("definition") or 0).first()
    people = who_answers(definition)
    to = sorted({person.email for person in people if person.email})
    if not to:
        raise JobFailed(
            "Nobody who answers for the report has an e-mail address. Add one to the owner, or to an administrator; "
            "they have a notice here.",
            may_retry=False,
        )
    why = f"answer for “{said['name']}”" if definition and people == [definition.owner] else "are an administrator"
    body = f"{said['text']}\n\n{links.absolute(said['url'])}\n\n-- \n{public_pages.organisation()}\nYou get this because you {why}.\n"
    mail = EmailMessage(
        subject=said["subject"], body=body, from_email=settings.DEFAULT_FROM_EMAIL, to=to,
        headers={"Auto-Submitted": "auto-generated"},
    )  # fmt: skip
    try:
        mail.send()
    except OSError as error:  # smtplib's errors are OSErrors too
        raise JobFailed(f"The mail server did not take the mail ({error}).") from error
    return f"Mailed: {said['subject']}."


def _tell(
    key: str, target: models.Model, said: dict[str, Any], *, notice: str, level: str, also: int | None = None
) -> None:
    if Run.objects.filter(idempotency_key=key).exists():
        return
    said = {**said, "subject": " ".join(said["subject"].split()), "told_by": secrets.token_hex(8)}
    definition = ReportDefinition.objects.select_related("owner").filter(pk=said["definition"] or 0).first()
    with transaction.atomic():
        planned = events.start(KIND, target, parameters=said, idempotency_key=key, max_attempts=ATTEMPTS)
        if planned.parameters.get("told_by") != said["told_by"]:
            return  # another process was quicker, and leaves the notices
        for user_id in {person.pk for person in who_answers(definition)} | ({also} if also else set()):
            notices.tell(user_id, notice, url=said["url"], level=level)
