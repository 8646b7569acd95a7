"""Schedules: when it happens."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class SchedulesConfig(AppConfig):
    name = "schedules"
    verbose_name = "Schedules"

    def ready(self) -> None:
        from schedules import (
            failures,
            plain_tasks,
            signals,  # noqa: F401 - connects Celery's hooks
            triggers,
        )

        plain_tasks.register()
        failures.connect()
        post_migrate.connect(triggers.install, sender=self, dispatch_uid="schedules.triggers")
