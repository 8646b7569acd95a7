"""The feedback form: kept at once, mailed to staff by a worker."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage
from django.db import transaction
from django.urls import reverse

from newsletters.models import FeedbackMessage
from newsletters.plain_lines import one_line
from runs import clock, notices, words
from runs.tasks import JobFailed, RunContext
from schedules import events

PERMISSION = "newsletters.view_feedbackmessage"


def save_feedback(name: str, email: str, text: str) -> FeedbackMessage:
    """Keeps what a reader wrote and plans the mail to staff, both or neither; never waits for the mail server."""
    with transaction.atomic():
        kept = FeedbackMessage.objects.create(name=name, email=email, text=text)
        events.start("feedback_mail", kept)
    return kept


def perform_feedback_mail(run: RunContext) -> str:
    """Mails one message to every member of staff who may read feedback."""
    kept = FeedbackMessage.objects.filter(pk=run.target_id or 0).first()
    if kept is None:
        return "Nothing to do: the message was removed."
    if kept.mailed_at is not None:
        return "Mailed already."
    staff = get_user_model()._default_manager.with_perm(
        PERMISSION, is_active=True, backend="django.contrib.auth.backends.ModelBackend"
    )
    readers = list(staff.filter(is_staff=True))
    addresses = sorted({user.email for user in readers if user.email})
    url = reverse("admin:newsletters_feedbackmessage_change", args=[kept.pk])
    if not addresses:
        raise JobFailed(
            "No member of staff who may read feedback has an e-mail address. Add one to a user; the message is kept.",
            may_retry=False,
        )
    writer = one_line(kept.name) or "A reader"
    mail = EmailMessage(
        subject=f"Feedback from {writer}",
        body=f"{writer} wrote:\n\n{kept.text}\n\n-- \n{settings.PUBLIC_URL}{url}\n",
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=addresses,
        reply_to=[kept.email] if kept.email else None,
        headers={"Auto-Submitted": "auto-generated"},
    )
    try:
        mail.send()
    except OSError as error:  # smtplib's errors are OSErrors too
        raise JobFailed(f"The mail server did not take the mail ({error}). The message is kept.") from error
    FeedbackMessage.objects.filter(pk=kept.pk).update(mailed_at=clock.now())
    for user in readers:
        notices.tell(user.pk, f"New feedback from {writer}.", url=url)
    return f"Mailed to {words.counted(len(addresses), 'member')} of staff."
