"""What the reports announce: their data sets, and the kind of job that makes one."""

from __future__ import annotations

from typing import cast

from django.db import models

from reports import chosen_source, definition_words, endings, mailing, offered, running, telling, upkeep
from reports.datasets import registry
from reports.datasets.ours import OURS
from reports.models import ReportDefinition
from reports.report_links import page_of_run
from runs import clock, duties, job_kinds, words
from schedules import kinds
from schedules.kinds import JobKind, PolicyDefaults


def describe_impact(target: models.Model) -> str:
    """ "Lists “Deliveries and subscribers per day” for 9 to 15 November 2026, Europe/Berlin, as CSV, kept for 90 days"."""
    definition = cast(ReportDefinition, target)
    key = chosen_source.key_of(definition.data_set, definition.query_id)
    is_there = chosen_source.data_set_of(key) is not None or chosen_source.query_of(key) is not None
    try:
        days = definition.window_at(clock.now()).words
    except (ValueError, KeyError):
        is_there = False
    if not is_there:
        return "Cannot be made: edit the report and choose what it lists, and for which days"
    formats, kept = definition_words.formats(definition), words.counted(definition.retention_days, "day")
    return f"Lists “{chosen_source.label(key)}” for {days}, as {formats}, kept for {kept}"


def register() -> None:
    """Called once the apps are loaded."""
    for data_set in OURS:
        registry.register(data_set)
    offered.register()
    duties.register("reports", upkeep.SWEEP.look_after)
    duties.register("mails of reports", mailing.look_after)
    job_kinds.show_at("report", page_of_run)
    for kind in _job_kinds():
        kinds.register(kind)
    endings.connect()


def _job_kinds() -> list[JobKind]:
    return [
        JobKind(
            key="report", label="Report", perform=running.perform, icon="table_chart", queue="reports",
            target_model="reports.ReportDefinition", describe_impact=describe_impact, admin_permission="reports.run_report",
            tells_who_asked=True,
        ),
        JobKind(
            key=upkeep.SWEEP.kind, label="Tidying of report files", perform=upkeep.perform_sweep, icon="auto_delete",
            queue="reports", defaults=PolicyDefaults(time_limit_seconds=1800),
        ),
        JobKind(
            key=mailing.KIND, label="Mails of a report", perform=mailing.perform, icon="outgoing_mail", queue="reports",
            admin_permission="reports.run_report", defaults=PolicyDefaults(time_limit_seconds=3600),
        ),
        JobKind(
            key=telling.KIND, label="Mail to a report's owner", perform=telling.perform, icon="mail", queue="reports",
            admin_permission="reports.run_report", defaults=PolicyDefaults(time_limit_seconds=3600),
        ),
    ]  # fmt: skip
