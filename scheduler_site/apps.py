"""The composition root as an app, so that its checks, commands and templates are found."""

from __future__ import annotations

from django.apps import AppConfig


class SchedulerSiteConfig(AppConfig):
    name = "scheduler_site"
    verbose_name = "Almanac"
