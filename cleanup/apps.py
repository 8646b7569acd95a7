"""App configuration."""

from __future__ import annotations

from django.apps import AppConfig


class CleanupConfig(AppConfig):
    name = "cleanup"
    verbose_name = "Cleanup"

    def ready(self) -> None:
        from cleanup import kinds

        kinds.register()
