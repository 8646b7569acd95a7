"""What the newsletters announce to the registry of job kinds."""

from __future__ import annotations

from schedules import kinds
from schedules.kinds import JobKind, PolicyDefaults, later


def register() -> None:
    """Called once the apps are loaded."""
    kinds.register(
        JobKind(
            key="newsletter",
            label="Newsletter",
            perform=later("newsletters.sending.perform"),
            icon="mail",
            target_model="newsletters.Newsletter",
            queue="newsletters",
            most_per_hour=1,
            describe_impact=later("newsletters.impact.describe_impact"),
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
            perform=later("newsletters.sending.perform_rest"),
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
            perform=later("newsletters.mailbox_reading.perform"),
            icon="mark_email_unread",
            target_model="newsletters.BounceMailbox",
            describe_impact=lambda target: "Reads the mails that came back and records what they say",
            admin_permission="newsletters.change_bouncemailbox",
            defaults=PolicyDefaults(missed="latest", overlap="skip", time_limit_seconds=1800),
        )
    )
    for key, label, perform in (
        ("import_check", "Check of a file of subscribers", "newsletters.import_work.perform_check"),
        ("import_subscribers", "Import of subscribers", "newsletters.import_work.perform_import"),
    ):
        kinds.register(
            JobKind(
                key=key,
                label=label,
                perform=later(perform),
                icon="upload_file",
                admin_permission="newsletters.change_importjob",
                defaults=PolicyDefaults(time_limit_seconds=21_600),
            )
        )
    for key, label, perform, icon in (
        ("image_sizes", "Image sizes", "newsletters.images.perform_sizes", "image"),
        ("feedback_mail", "Feedback to staff", "newsletters.feedback.perform_feedback_mail", "feedback"),
        (
            "confirmation_mail",
            "Confirmation of a sign-up",
            "newsletters.subscriptions.perform_confirmation_mail",
            "mark_email_read",
        ),
        ("welcome_mail", "Welcome to a list", "newsletters.welcome.perform_welcome_mail", "waving_hand"),
        ("reader_erasure", "Erasing of a reader", "newsletters.erasing.perform", "person_off"),
        (
            "reader_mail",
            "Mail that a reader asked for",
            "newsletters.reader_mails.perform_reader_mail",
            "forward_to_inbox",
        ),
    ):
        kinds.register(
            JobKind(
                key=key, label=label, perform=later(perform), icon=icon, defaults=PolicyDefaults(time_limit_seconds=600)
            )
        )
