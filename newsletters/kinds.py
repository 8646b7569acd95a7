"""What the newsletters announce to the registry of job kinds."""

from __future__ import annotations

from typing import cast

from django.db import models

from newsletters import (
    audience,
    erasing,
    feedback,
    images,
    import_work,
    mailbox_reading,
    preparing,
    reader_mails,
    segments,
    sending,
    subscriptions,
    welcome,
)
from newsletters.models import Newsletter
from runs import words
from schedules import kinds
from schedules.kinds import JobKind, PolicyDefaults


def describe_impact(target: models.Model) -> str:
    """ "Sends to 200 subscribers of City news", or why it would reach nobody."""
    newsletter = cast(Newsletter, target)
    try:
        counted = audience.count(audience.Reach.of(newsletter))
    except segments.BadRule as error:
        return preparing.unusable_segment(newsletter, error)
    if not counted.recipients:
        return preparing.nobody(newsletter, counted)
    names = [str(name) for name in newsletter.lists.order_by("name").values_list("name", flat=True)]
    only = f", only those in the segment {newsletter.segment}" if newsletter.segment else ""
    return f"Sends to {words.counted(counted.recipients, 'subscriber')} of {' and '.join(names)}{only}"


def register() -> None:
    """Called once the apps are loaded."""
    kinds.register(
        JobKind(
            key="newsletter",
            label="Newsletter",
            perform=sending.perform,
            icon="mail",
            target_model="newsletters.Newsletter",
            queue="newsletters",
            most_per_hour=1,
            describe_impact=describe_impact,
            admin_permission="newsletters.send_newsletter",
            # A newsletter that is hours late is worse than one that staff send by hand.
            defaults=PolicyDefaults(
                missed="latest", start_deadline_seconds=1800, overlap="skip", retries=2, time_limit_seconds=43_200
            ),
        )
    )
    kinds.register(
        JobKind(
            key="newsletter_rest",
            label="Newsletter, the rest of an issue",
            perform=sending.perform_rest,
            icon="mail",
            queue="newsletters",
            admin_permission="newsletters.send_newsletter",
            defaults=PolicyDefaults(time_limit_seconds=43_200),
        )
    )
    kinds.register(
        JobKind(
            key="bounce_mailbox",
            label="Reading of bounces",
            perform=mailbox_reading.perform,
            icon="mark_email_unread",
            target_model="newsletters.BounceMailbox",
            describe_impact=lambda target: "Reads the mails that came back and records what they say",
            admin_permission="newsletters.change_bouncemailbox",
            defaults=PolicyDefaults(missed="latest", overlap="skip", time_limit_seconds=1800),
        )
    )
    for key, label, perform in (
        ("import_check", "Check of a file of subscribers", import_work.perform_check),
        ("import_subscribers", "Import of subscribers", import_work.perform_import),
    ):
        kinds.register(
            JobKind(
                key=key,
                label=label,
                perform=perform,
                icon="upload_file",
                admin_permission="newsletters.change_importjob",
                defaults=PolicyDefaults(time_limit_seconds=21_600),
            )
        )
    for key, label, perform, icon in (
        ("image_sizes", "Image sizes", images.perform_sizes, "image"),
        ("feedback_mail", "Feedback to staff", feedback.perform_feedback_mail, "feedback"),
        ("confirmation_mail", "Confirmation of a sign-up", subscriptions.perform_confirmation_mail, "mark_email_read"),
        ("welcome_mail", "Welcome to a list", welcome.perform_welcome_mail, "waving_hand"),
        (erasing.KIND, "Erasing of a reader", erasing.perform, "person_off"),
        ("reader_mail", "Mail that a reader asked for", reader_mails.perform_reader_mail, "forward_to_inbox"),
    ):
        kinds.register(
            JobKind(key=key, label=label, perform=perform, icon=icon, defaults=PolicyDefaults(time_limit_seconds=600))
        )
