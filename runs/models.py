"""Run (one row per expected occurrence), its log and links, heartbeats, the audit trail and notices."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from runs.states import EXCEPTIONS, OPEN, Reason, State, Trigger


class Run(models.Model):
    """One expected occurrence of a job, or one asked for by a person or an event.

    It points at its schedule and target by number, not by foreign key: history outlives both.
    """

    schedule_id = models.BigIntegerField(null=True, blank=True)
    schedule_name = models.CharField("schedule", max_length=200, blank=True)
    kind = models.CharField(max_length=40)
    target_id = models.BigIntegerField(null=True, blank=True)
    target_label = models.CharField("what", max_length=200, blank=True)
    parameters = models.JSONField(default=dict, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    spec_version = models.PositiveIntegerField(default=0)

    due_at = models.DateTimeField("due")
    trigger = models.CharField(max_length=12, choices=Trigger.choices, default=Trigger.SCHEDULE)
    state = models.CharField(max_length=12, choices=State.choices, default=State.PLANNED)
    reason = models.CharField(max_length=20, choices=Reason.choices, blank=True)
    reason_text = models.CharField("why", max_length=300, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    requested_by_name = models.CharField("asked for by", max_length=150, blank=True)
    idempotency_key = models.CharField(max_length=64, null=True, blank=True)  # noqa: DJ001 - NULL is "none given"
    retry_of = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="retries", db_index=False
    )

    queue = models.CharField(max_length=40, default="default")
    exclusive = models.BooleanField(default=True, help_text="At most one run of its schedule at a time.")
    next_publish_at = models.DateTimeField(null=True, blank=True)
    publish_count = models.PositiveIntegerField(default=0)
    deadline_at = models.DateTimeField(null=True, blank=True)
    time_limit_seconds = models.PositiveIntegerField(default=3600)
    attempt = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveIntegerField(default=1)
    retry_delay_seconds = models.PositiveIntegerField(default=60)
    not_before_at = models.DateTimeField(
        null=True, blank=True, help_text="No worker may start it earlier: spread by jitter, or waiting after an error."
    )
    lease_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=120, blank=True)
    duplicates_dropped = models.PositiveIntegerField(default=0)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    created_at = models.DateTimeField(auto_now_add=True)
    published_at = models.DateTimeField("sent to a worker", null=True, blank=True)
    started_at = models.DateTimeField("started", null=True, blank=True)
    finished_at = models.DateTimeField("finished", null=True, blank=True)
    progress_done = models.BigIntegerField(default=0)
    progress_total = models.BigIntegerField(null=True, blank=True)
    progress_unit = models.CharField(max_length=40, blank=True)
    result = models.CharField(max_length=300, blank=True)
    error = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    folded_count = models.PositiveIntegerField(default=0, help_text="Further occurrences summed up in this row.")
    acknowledged_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-due_at", "-id"]
        permissions: ClassVar = [("cancel_run", "Can cancel a run"), ("retry_run", "Can run a failed run again")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["schedule_id", "due_at"], condition=Q(trigger=Trigger.SCHEDULE), name="run_once_per_due_time"
            ),
            models.UniqueConstraint(
                fields=["idempotency_key"], condition=Q(idempotency_key__isnull=False), name="run_once_per_key"
            ),
            # Two claims at the same moment: the second meets this index and waits its turn.
            models.UniqueConstraint(
                fields=["schedule_id"], condition=Q(state=State.RUNNING, exclusive=True), name="run_one_at_a_time"
            ),
        ]
        # Every planned run pays for each index three times (planned, sent, claimed): what is nearly always NULL is
        # indexed only where it is not.
        indexes: ClassVar = [
            models.Index(fields=["schedule_id"], condition=Q(finished_at__isnull=True), name="run_open_by_schedule"),
            models.Index(fields=["requested_by"], condition=Q(requested_by__isnull=False), name="run_by_person"),
            models.Index(fields=["retry_of"], condition=Q(retry_of__isnull=False), name="run_retries"),
            # By a condition that both databases recognise in a query: a list of states is none for SQLite.
            models.Index(fields=["next_publish_at"], condition=Q(next_publish_at__isnull=False), name="run_outbox"),
            models.Index(fields=["lease_until"], condition=Q(state=State.RUNNING), name="run_leases"),
            models.Index(fields=["schedule_id", "-due_at"], name="run_by_schedule"),
            models.Index(fields=["-due_at", "-id"], name="run_newest_first"),
            models.Index(fields=["state", "-due_at"], condition=Q(state__in=EXCEPTIONS), name="run_exceptions"),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_name or self.target_label or self.kind} (run {self.pk})"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


class RunEvent(models.Model):
    """One line of a run's log, in words."""

    class Level(models.TextChoices):
        INFO = "info", "Info"
        WARNING = "warning", "Warning"
        ERROR = "error", "Error"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="events", db_index=False)
    at = models.DateTimeField(auto_now_add=True)
    level = models.CharField(max_length=8, choices=Level.choices, default=Level.INFO)
    attempt = models.PositiveIntegerField(default=0)
    message = models.CharField(max_length=1000)

    class Meta:
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [models.Index(fields=["run", "id"], name="run_event_in_order")]

    def __str__(self) -> str:
        return self.message


class RunLink(models.Model):
    """Something a run made that staff can open: a file to download, an issue, a preview."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="links")
    label = models.CharField(max_length=120)
    url = models.CharField(max_length=300)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "url"], name="run_link_once")]

    def __str__(self) -> str:
        return self.label


class Heartbeat(models.Model):
    """The last sign of life of one process (a beat or a worker)."""

    name = models.CharField(max_length=120, unique=True)
    role = models.CharField(max_length=12, choices=[("beat", "Beat"), ("worker", "Worker"), ("watchdog", "Watchdog")])
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    details = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering: ClassVar = ["role", "name"]

    def __str__(self) -> str:
        return self.name


class QueueCanary(models.Model):
    """The last message sent through one queue only to see whether any worker takes it."""

    queue = models.CharField(max_length=40, unique=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering: ClassVar = ["queue"]
        verbose_name_plural = "queue canaries"

    def __str__(self) -> str:
        return self.queue


class Alert(models.Model):
    """One problem that people should know of: a single row from its first sign to its end, however often it shows."""

    class Level(models.TextChoices):
        WARNING = "warning", "Warning"
        ERROR = "error", "Error"

    key = models.CharField(max_length=120)
    title = models.CharField("what", max_length=200)
    detail = models.CharField(max_length=500, blank=True)
    level = models.CharField(max_length=8, choices=Level.choices, default=Level.ERROR)
    schedule_id = models.BigIntegerField(null=True, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    url = models.CharField(max_length=300, blank=True)
    seen_count = models.PositiveIntegerField("times seen", default=1)
    first_seen_at = models.DateTimeField("since")
    last_seen_at = models.DateTimeField("last seen")
    told_at = models.DateTimeField("last told", null=True, blank=True)
    told_count = models.PositiveIntegerField("times told", default=0)
    resolved_at = models.DateTimeField("over since", null=True, blank=True)
    recovery_told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key"], condition=Q(resolved_at=None), name="alert_open_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["told_at"], condition=Q(resolved_at=None), name="alert_open"),
            models.Index(
                fields=["id"], condition=Q(resolved_at__isnull=False, recovery_told_at=None), name="alert_recovered"
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None


class AuditEntry(models.Model):
    """Who changed or tried what, when and why, with the values before and after."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    actor_name = models.CharField("who", max_length=150, blank=True)
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=60, blank=True)
    object_id = models.CharField(max_length=40, blank=True)
    object_label = models.CharField("what", max_length=200, blank=True)
    reason = models.CharField("why", max_length=300, blank=True)
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)
    was_refused = models.BooleanField("refused", default=False)

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name_plural = "activity log"
        indexes: ClassVar = [models.Index(fields=["object_type", "object_id", "-id"], name="audit_by_object")]

    def __str__(self) -> str:
        return f"{self.actor_name or 'Almanac'} {self.action} {self.object_label}"


class QueuePause(models.Model):
    """A queue that nothing is sent through for now; its runs wait. The row is there while the pause lasts."""

    queue = models.CharField(max_length=40, unique=True)
    reason = models.CharField("why", max_length=200)
    paused_at = models.DateTimeField()
    paused_by_name = models.CharField("who", max_length=150, blank=True)

    class Meta:
        ordering: ClassVar = ["queue"]
        permissions: ClassVar = [("pause_queue", "Can pause and resume a queue")]

    def __str__(self) -> str:
        return self.queue


class StaffSettings(models.Model):
    """What one member of staff chose for themselves."""

    class Mail(models.TextChoices):
        NONE = "none", "No mails"
        MINE = "mine", "About schedules that I own"
        ALL = "all", "About every problem"

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="staff_settings"
    )
    time_zone = models.CharField(max_length=64, blank=True, help_text="Empty: the installation's.")
    date_language = models.CharField("language of dates", max_length=10, blank=True, help_text="Empty: English.")
    mail = models.CharField("mail about problems", max_length=8, choices=Mail.choices, default=Mail.MINE)
    # Only a hash: whoever reads the database cannot open the feed.
    calendar_token_hash = models.CharField(max_length=64, null=True, blank=True, unique=True)

    class Meta:
        verbose_name_plural = "staff settings"

    def __str__(self) -> str:
        return str(self.user)


class Notice(models.Model):
    """A message to one member of staff, shown in the admin until read."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notices")
    text = models.CharField(max_length=300)
    url = models.CharField(max_length=300, blank=True)
    level = models.CharField(max_length=8, choices=RunEvent.Level.choices, default=RunEvent.Level.INFO)
    created_at = models.DateTimeField(auto_now_add=True)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["user", "-id"], condition=Q(read_at=None), name="notice_unread")]

    def __str__(self) -> str:
        return self.text
