"""Triggers in the database that note which schedules' rows changed, whoever changed them and by whatever means.

``queryset.update()``, raw SQL and the stock API send no Django signal and cost nothing to notice this way; a
comparison of all rows every few seconds would. Installed after every ``migrate``, since SQLite forgets the triggers
of a table that a migration rebuilds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import connections

_TASK = "django_celery_beat_periodictask"
_SCHEDULE = "schedules_schedule"
_NOTES = "schedules_outsideedit"


@dataclass(frozen=True)
class _Trigger:
    name: str
    table: str
    event: str
    """INSERT, UPDATE or DELETE."""
    note: str
    """The SELECT whose rows (periodic_task_id, schedule_id) are noted."""
    columns: tuple[str, ...] = ()
    """For an update: those whose change counts."""
    unless_changed: str = ""
    """A column that only our own services change: together with it the change is theirs."""


def _timing_row(table: str, key: str, columns: tuple[str, ...]) -> _Trigger:
    note = f"SELECT id, NULL FROM {_TASK} WHERE {key} = NEW.id"  # noqa: S608 - our own names
    return _Trigger(f"almanac_{key}", f"django_celery_beat_{table}", "UPDATE", note, columns)


TRIGGERS = (
    _Trigger("almanac_task_new", _TASK, "INSERT", "SELECT NEW.id, NULL"),
    _Trigger(
        "almanac_task_changed", _TASK, "UPDATE", "SELECT NEW.id, NULL",
        ("enabled", "crontab_id", "interval_id", "clocked_id", "solar_id", "one_off", "expires", "start_time", "task",
         "args", "kwargs"),
    ),
    _timing_row("crontabschedule", "crontab_id",
                ("minute", "hour", "day_of_week", "day_of_month", "month_of_year", "timezone")),
    _timing_row("intervalschedule", "interval_id", ("every", "period")),
    _timing_row("clockedschedule", "clocked_id", ("clocked_time",)),
    _Trigger("almanac_schedule_new", _SCHEDULE, "INSERT", "SELECT CAST(NULL AS bigint), NEW.id"),
    _Trigger(
        "almanac_schedule_timed", _SCHEDULE, "UPDATE", "SELECT CAST(NULL AS bigint), NEW.id",
        ("mode", "expression", "time_zone", "every_seconds", "anchor_at", "once_at", "ends_at", "max_runs",
         "calendar_id", "calendar_rule"),
        unless_changed="settled_timing",
    ),
    _Trigger("almanac_schedule_paused", _SCHEDULE, "UPDATE", "SELECT CAST(NULL AS bigint), NEW.id", ("paused_at",)),
    _Trigger("almanac_schedule_gone", _SCHEDULE, "DELETE", "SELECT CAST(NULL AS bigint), OLD.id"),
)  # fmt: skip


def install(using: str = "default", **_: Any) -> None:
    """Creates every trigger anew on the given database."""
    connection = connections[using]
    if connection.vendor not in ("postgresql", "sqlite"):
        return
    with connection.cursor() as cursor:
        if _NOTES not in connection.introspection.table_names(cursor):
            return  # migrated back to before they were needed
        for trigger in TRIGGERS:
            for statement in _statements(trigger, connection.vendor):
                cursor.execute(statement)


def _statements(trigger: _Trigger, vendor: str) -> list[str]:
    insert = f"INSERT INTO {_NOTES} (periodic_task_id, schedule_id) {trigger.note};"
    when = _condition(trigger)
    if vendor == "sqlite":
        return [
            f"DROP TRIGGER IF EXISTS {trigger.name}",
            f"CREATE TRIGGER {trigger.name} AFTER {trigger.event} ON {trigger.table} FOR EACH ROW {when} BEGIN {insert} END",
        ]
    function = f"{trigger.name}()"
    return [
        f"CREATE OR REPLACE FUNCTION {function} RETURNS trigger LANGUAGE plpgsql AS "
        f"$body$ BEGIN {insert} RETURN NULL; END $body$",
        f"DROP TRIGGER IF EXISTS {trigger.name} ON {trigger.table}",
        f"CREATE TRIGGER {trigger.name} AFTER {trigger.event} ON {trigger.table} FOR EACH ROW {when} "
        f"EXECUTE FUNCTION {function}",
    ]


def _condition(trigger: _Trigger) -> str:
    if not trigger.columns:
        return ""
    changed = " OR ".join(f"NEW.{column} IS DISTINCT FROM OLD.{column}" for column in trigger.columns)
    if trigger.unless_changed:
        changed = f"({changed}) AND NEW.{trigger.unless_changed} = OLD.{trigger.unless_changed}"
    return f"WHEN ({changed})"
