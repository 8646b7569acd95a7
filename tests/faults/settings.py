"""The product's own settings, and one kind of job more."""

from __future__ import annotations

from scheduler_site.settings import *  # noqa: F403
from scheduler_site.settings import INSTALLED_APPS as PRODUCT_APPS

INSTALLED_APPS = [*PRODUCT_APPS, "tests.faults"]
