"""The composition root as an app, so that its checks, commands and templates are found."""

from __future__ import annotations

from django.apps import AppConfig


class SchedulerSiteConfig(AppConfig):
    name = "scheduler_site"
    verbose_name = "Almanac"

    def ready(self) -> None:
        from scheduler_site import checks as checks
        from scheduler_site import cleaning
        from scheduler_site import sign_in as sign_in

        cleaning.connect()
