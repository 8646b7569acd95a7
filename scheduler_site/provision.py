"""Prepares a data directory for ``manage.py up``: tables, static files, roles, demo data and the first user."""

from __future__ import annotations

import secrets
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command

from runs.models import Run
from scheduler_site import demo
from scheduler_site.environment import Environment
from schedules.models import Schedule

ADMIN = "admin"
DEMO_FIXTURES = ("demo_newsletters", "demo_reports", "demo_cleanup")


def provision(*, with_demo: bool) -> str:
    """Brings everything up to date; doing it again changes nothing. Returns the password of ``admin`` or ""."""
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    call_command("loaddata", "roles", verbosity=0)
    password = _admin()
    if with_demo and not Schedule.objects.exists() and not Run.objects.exists():
        call_command("loaddata", *DEMO_FIXTURES, verbosity=0)
        demo.load()
    return password


def _admin() -> str:
    """Creates the first user; the password is the environment's, or made once and kept readable by the owner only."""
    users = get_user_model()._default_manager
    path: Path = settings.DATA_DIR / "admin_password"
    given = Environment().text("ADMIN_PASSWORD")
    if not users.filter(username=ADMIN).exists():
        password = given or secrets.token_urlsafe(12)
        users.create_superuser(ADMIN, "admin@example.org", password)
        path.touch(mode=0o600)
        path.write_text(password)
        return password
    if given:
        user = users.get(username=ADMIN)
        if not user.check_password(given):
            user.set_password(given)
            user.save(update_fields=["password"])
        return given
    return path.read_text().strip() if path.exists() else ""
