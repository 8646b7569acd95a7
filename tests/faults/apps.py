"""Announces the harness's own kind of job to the beats and workers that it starts."""

from __future__ import annotations

from django.apps import AppConfig


class FaultsConfig(AppConfig):
    name = "tests.faults"
    label = "faults"

    def ready(self) -> None:
        from tests.faults import jobs

        jobs.register()
