"""App configuration."""

from __future__ import annotations

from django.apps import AppConfig


class NewslettersConfig(AppConfig):
    name = "newsletters"
    verbose_name = "Newsletters"

    def ready(self) -> None:
        from newsletters import kinds

        kinds.register()
