"""What SQL queries may read and call: tables without passwords, sessions, tokens and addresses that nobody may guess."""

from __future__ import annotations

from dataclasses import dataclass

from django.apps import apps

_LISTED: dict[str, tuple[str, ...]] = {
    # The model, and the columns of it that are not for reading.
    "auth.User": ("password",),
    "auth.Group": (),
    "auth.User_groups": (),
    "runs.Run": ("parameters", "idempotency_key", "traceback"),
    "runs.RunEvent": (),
    "runs.Alert": ("key",),
    "runs.AuditEntry": ("before", "after"),
    "schedules.Schedule": (),
    "schedules.HolidayCalendar": (),
    "schedules.DeskPause": (),
    "django_celery_beat.PeriodicTask": ("args", "kwargs", "headers", "exchange", "routing_key", "queue"),
    "newsletters.Subscriber": ("public_id",),
    "newsletters.SubscriberField": (),
    "newsletters.List": (),
    "newsletters.Subscription": (),
    "newsletters.Suppression": ("address_hash",),
    "newsletters.Newsletter": ("feed_url", "feed_seen"),
    "newsletters.Newsletter_lists": (),
    "newsletters.Issue": ("public_id", "html", "text", "attachment_file"),
    "newsletters.Delivery": (),
    "newsletters.Link": (),
    "newsletters.ReaderEvent": (),
    "newsletters.FeedbackMessage": (),
    "newsletters.ImportJob": ("public_id", "file"),
    "reports.ReportDefinition": (),
    "reports.ReportRun": (),
    "reports.Artefact": ("key",),
    "reports.DownloadEvent": (),
    "reports.ReportDelivery": (),
    "cleanup.CleanupPolicy": ("enabled_rule_hash",),
    "cleanup.CleanupRun": ("rule_hash",),
    "cleanup.Hold": (),
}


_SQLITE_FUNCTIONS = """
    abs avg ceil ceiling char coalesce count cume_dist date datetime dense_rank first_value floor format glob group_concat hex
    ifnull iif instr json json_array json_array_length json_each json_extract json_group_array json_group_object json_object
    json_quote json_tree json_type json_valid -> ->> julianday lag last_value lead length like ln log log10 log2 lower ltrim max
    min mod nth_value ntile nullif percent_rank pi pow power printf quote rank replace round row_number rtrim sign sqrt strftime
    string_agg substr substring sum time timediff total trim trunc typeof unicode unixepoch upper
"""
SQLITE_FUNCTIONS = _SQLITE_FUNCTIONS.split()
"""What a query of SQLite may call; PostgreSQL keeps that by the rights of the role."""


@dataclass(frozen=True)
class Table:
    """A table that may be read."""

    name: str
    title: str
    """What staff call what is in it."""
    columns: tuple[str, ...]
    is_whole: bool
    """Whether none of its columns is left out."""


def tables() -> list[Table]:
    """All of them, by name."""
    found = []
    for label, hidden in _LISTED.items():
        model = apps.get_model(label)
        every = [field.column for field in model._meta.concrete_fields]
        shown = tuple(column for column in every if column not in hidden)
        title = str(model._meta.verbose_name_plural)
        found.append(Table(model._meta.db_table, title, shown, len(shown) == len(every)))
    return sorted(found, key=lambda table: table.name)
