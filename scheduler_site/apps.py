"""The composition root as an app, so that its checks, commands and templates are found."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class SchedulerSiteConfig(AppConfig):
    name = "scheduler_site"
    verbose_name = "Almanac"

    def ready(self) -> None:
        from scheduler_site import checks as checks
        from scheduler_site import cleaning, error_reporting
        from scheduler_site import sign_in as sign_in

        cleaning.connect()
        error_reporting.begin(settings.SENTRY_DSN)
