"""What the reports announce: their data sets, and the kind of job that makes one."""

from __future__ import annotations

from typing import cast

from django.db import models

from reports import offered, running
from reports.datasets import registry
from reports.datasets.deliveries_per_day import DELIVERIES_PER_DAY
from reports.datasets.runs_by_schedule import RUNS_BY_SCHEDULE
from reports.models import ReportDefinition
from runs import clock
from schedules import kinds
from schedules.kinds import JobKind


def describe_impact(target: models.Model) -> str:
    """ "Lists deliveries and subscribers per day for 9 to 15 November 2026, Europe/Berlin, as a CSV file kept for 90 days"."""
    definition = cast(ReportDefinition, target)
    try:
        label = registry.get(definition.data_set).label
        days = definition.window_at(clock.now()).words
    except (registry.UnknownDataSet, ValueError, KeyError):
        return "Cannot be made: edit the report and choose what it lists, and for which days"
    return f"Lists {label[0].lower()}{label[1:]} for {days}, as a CSV file kept for {definition.retention_days} days"


def register() -> None:
    """Called once the apps are loaded."""
    registry.register(DELIVERIES_PER_DAY)
    registry.register(RUNS_BY_SCHEDULE)
    offered.register()
    kinds.register(
        JobKind(
            key="report",
            label="Report",
            perform=running.perform,
            icon="table_chart",
            target_model="reports.ReportDefinition",
            queue="reports",
            describe_impact=describe_impact,
            admin_permission="reports.run_report",
        )
    )
