"""What a report is: what it counts, for which days, in which formats, when it is worth sending, and to whom."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Max
from django.utils import timezone

from reports import periods
from reports.models.query import ReportQuery
from reports.periods import Window

MAX_RETENTION_DAYS = 3650
MAX_ATTACHED_MB = 25
"""Most mail servers take no larger mails."""
COMPLETE = ("succeeded", "skipped")
"""States of a report run whose files hold everything: sent, or made and rightly not sent."""


class Period(models.TextChoices):
    """Which days a report covers, counted from the moment it was due, in its own time zone."""

    YESTERDAY = "yesterday", "Yesterday"
    LAST_WEEK = "last_week", "Last week (Monday to Sunday)"
    LAST_MONTH = "last_month", "Last month"
    MONTH_TO_DATE = "month_to_date", "This month so far (without today)"
    LAST_N_DAYS = "last_n_days", "The last days (without today)"
    SINCE_LAST = "since_last", "Since the last complete report (without today)"
    FIXED = "fixed", "Always the same days"


class OnCap(models.TextChoices):
    """What a report does that has more rows than it may have."""

    INCOMPLETE = "incomplete", "Make the file with the first rows, and mark it as incomplete everywhere"
    SPLIT = "split", "Make several files of so many rows"
    FAIL = "fail", "Make no file, and say so"


class Condition(models.TextChoices):
    """When a report that was made is also sent."""

    ALWAYS = "always", "Always"
    HAS_ROWS = "has_rows", "Only when it has rows"
    NO_ROWS = "no_rows", "Only when it has no rows"
    CHANGED = "changed", "Only when it differs from the last one"
    THRESHOLD = "threshold", "When a total passes a limit"


class DefinitionManager(models.Manager["ReportDefinition"]):
    """Finds a report by its name."""

    def get_by_natural_key(self, name: str) -> ReportDefinition:
        return self.get(name=name)


class ReportDefinition(models.Model):
    """What is counted, for which days, and who hears about it. When it is made is its schedules' business."""

    name = models.CharField(max_length=120, unique=True)
    data_set = models.CharField("what it lists", max_length=60, blank=True)
    query = models.ForeignKey(
        ReportQuery, null=True, blank=True, on_delete=models.PROTECT, related_name="definitions",
        help_text="Written SQL that a second person approved; then there is no data set.",
    )  # fmt: skip
    selection = models.JSONField(
        default=dict, blank=True, help_text="Columns, filters, groups and totals that were chosen of the data set."
    )
    parameters = models.JSONField(default=dict, blank=True, help_text="The values for the parameters of the query.")

    period = models.CharField("days", max_length=20, choices=Period.choices, default=Period.LAST_WEEK)
    last_n = models.PositiveSmallIntegerField("number of days", null=True, blank=True)
    fixed_first = models.DateField("first day", null=True, blank=True)
    fixed_last = models.DateField("last day", null=True, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")

    formats = models.JSONField(default=list, blank=True, help_text="Formats of the files; CSV where none is named.")
    is_for_machines = models.BooleanField(
        "for another program", default=False,
        help_text="Text is written as it is, without the guard against formulas in spreadsheets.",
    )  # fmt: skip
    row_cap = models.PositiveIntegerField(
        "at most this many rows", null=True, blank=True, validators=[MinValueValidator(1)]
    )
    on_cap = models.CharField("if there are more", max_length=12, choices=OnCap.choices, default=OnCap.INCOMPLETE)
    compares = models.BooleanField("compare with the period before", default=False)

    condition = models.CharField("send it", max_length=12, choices=Condition.choices, default=Condition.ALWAYS)
    threshold_of = models.CharField("the total", max_length=60, blank=True, help_text="A total, or the number of rows.")
    threshold_is = models.CharField("is", max_length=6, blank=True, choices=[("above", "above"), ("below", "below")])
    threshold = models.DecimalField("the limit", max_digits=20, decimal_places=4, null=True, blank=True)
    rearm = models.DecimalField(
        "until it is back at", max_digits=20, decimal_places=4, null=True, blank=True,
        help_text="It is sent once, and not again before the total was back there.",
    )  # fmt: skip
    is_past_threshold = models.BooleanField(default=False, editable=False)

    attach_up_to_mb = models.PositiveSmallIntegerField(
        "attach files up to (MB)", default=0, help_text="Larger files, and all with 0, are a link in the mail."
    )
    retention_days = models.PositiveSmallIntegerField(
        "keep files for (days)", default=90, validators=[MinValueValidator(1), MaxValueValidator(MAX_RETENTION_DAYS)]
    )
    keep_last = models.PositiveSmallIntegerField(
        "always keep the latest", default=1, help_text="So many complete reports are kept however old they are."
    )
    notify = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="+", verbose_name="tell")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+",
        help_text="Whoever answers for it, whose rights it is made with, and who hears of failures.",
    )  # fmt: skip
    version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField("last changed", auto_now=True)

    objects = DefinitionManager()

    class Meta:
        ordering: ClassVar = ["name"]
        verbose_name = "report"
        permissions: ClassVar = [("run_report", "Can schedule a report, or run it now")]

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[str]:
        return (self.name,)

    def window_at(self, due_at: datetime, *, previous_end: datetime | None = None) -> Window:
        """The days it covers when it is due at that instant. Raises ValueError or KeyError when it cannot be read.

        A report since the last complete one looks up where that ended, unless ``previous_end`` says so.
        """
        if previous_end is None and self.period == Period.SINCE_LAST:
            previous_end = self.covered_before(due_at)
        return periods.resolve(
            self.period, due_at, self.time_zone, self.last_n, previous_end=previous_end,
            fixed=(self.fixed_first, self.fixed_last),
        )  # fmt: skip

    def covered_before(self, due_at: datetime) -> datetime | None:
        """Up to where complete reports that were due before this instant reach; None where there is none."""
        if not self.pk:  # not saved yet; one that is being edited has a number, and reports
            return None
        earlier = self.runs.filter(scheduled_for__lt=due_at, state__in=COMPLETE)
        end: datetime | None = earlier.aggregate(end=Max("window_end"))["end"]
        return end


class ReportRecipient(models.Model):
    """Somebody who gets each report by mail: one person, everybody of a group, or an address outside."""

    definition = models.ForeignKey(ReportDefinition, on_delete=models.CASCADE, related_name="recipients")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    group = models.ForeignKey(Group, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    address = models.EmailField("address outside", blank=True)
    unsubscribed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(user__isnull=False, group__isnull=True, address="")
                | models.Q(user__isnull=True, group__isnull=False, address="")
                | (models.Q(user__isnull=True, group__isnull=True) & ~models.Q(address="")),
                name="recipient_is_one_of_three",
            ),
            models.UniqueConstraint(fields=["definition", "user"], name="recipient_user_once"),
            models.UniqueConstraint(fields=["definition", "group"], name="recipient_group_once"),
            models.UniqueConstraint(
                fields=["definition", "address"], condition=~models.Q(address=""), name="recipient_address_once"
            ),
        ]

    def __str__(self) -> str:
        return self.address or str(self.user or self.group)
