"""The page of one cleaning and its archives: handed out by permission, on record, and put back by the command it names."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client

from cleanup import archive, holding, running, services
from cleanup.models import ArchivePart, CleanupPolicy, CleanupRun
from runs import clock
from runs.models import AuditEntry
from tests.cleanup.conftest import begin

pytestmark = pytest.mark.django_db
Add = Callable[..., None]


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


@pytest.fixture
def cleaned(db: None, settings: Any, tmp_path: Path, sessions: Add) -> CleanupRun:
    """A real run that archived six sessions and left one that is held."""
    settings.FILES_DIR = tmp_path
    sessions(7, 40)
    holding.add_hold(None, target="sessions", object_id="s3", reason="Audit")
    policy = CleanupPolicy.objects.create(
        name="Old sessions", targets=["sessions"], days=30, archive="jsonl", archive_days=90
    )
    services.preview_policy(None, policy.pk)
    services.enable_policy(None, policy.pk)
    running.perform(begin(policy))
    return CleanupRun.objects.get()


def url_of(part: ArchivePart) -> str:
    return f"/admin/cleanup/archivepart/{part.key}/download/"


def test_the_page_of_a_cleaning_tells_what_went_and_what_stayed(boss: Client, cleaned: CleanupRun) -> None:
    said = boss.get(f"/admin/cleanup/cleanuppolicy/run/{cleaned.pk}/").content.decode()
    assert "6 rows deleted" in said and "1 stayed because of a hold" in said
    assert f"restore_archive {cleaned.run_id} --dry-run" in said and cleaned.parts.get().sha256 in said
    policy = boss.get(f"/admin/cleanup/cleanuppolicy/{cleaned.policy_id}/detail/").content.decode()
    assert "6 rows in 1 part" in policy and "counted before its last run, which deleted 6 rows" in policy
    run = boss.get(f"/admin/runs/run/{cleaned.run_id}/change/").content.decode()
    assert f"/admin/cleanup/cleanuppolicy/run/{cleaned.pk}/" in run, "the run's own page leads there"


def test_an_archive_is_handed_out_whole_in_parts_and_on_record(boss: Client, cleaned: CleanupRun) -> None:
    part = cleaned.parts.get()
    answer = boss.get(url_of(part))
    whole = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert hashlib.sha256(whole).hexdigest() == part.sha256 and b'"s5"' in gzip.decompress(whole)
    assert re.search(r'attachment; filename="old-sessions-run-\d+-part-1.jsonl.gz"', answer["Content-Disposition"])
    some = boss.get(url_of(part), headers={"range": "bytes=3-9"})
    assert some.status_code == 206 and b"".join(some.streaming_content) == whole[3:10]  # type: ignore[attr-defined]
    noted = AuditEntry.objects.filter(action="downloaded the archive").order_by("id")
    assert [entry.after["bytes"] for entry in noted] == [f"all {len(whole)}", "3-9"]
    assert noted[0].actor_name == "boss" and noted[0].after["sha256"] == part.sha256


def test_the_permission_is_asked_each_time(client: Client, cleaned: CleanupRun) -> None:
    part = cleaned.parts.get()
    anna = User.objects.create_user("anna", is_staff=True)
    names = ("view_cleanuppolicy", "view_archivepart", "download_archivepart")
    anna.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(anna)
    assert client.get(url_of(part)).status_code == 200
    assert url_of(part) in client.get("/admin/cleanup/archivepart/").content.decode()
    anna.user_permissions.remove(Permission.objects.get(codename="download_archivepart"))
    assert client.get(url_of(part)).status_code == 403
    assert AuditEntry.objects.filter(actor=anna, was_refused=True, action="download the archive").exists()
    for page in ("/admin/cleanup/archivepart/", f"/admin/cleanup/cleanuppolicy/run/{cleaned.pk}/"):
        assert url_of(part) not in client.get(page).content.decode(), page


@pytest.mark.parametrize("how", ["expired", "deleted", "changed", "unknown"])
def test_what_is_not_there_any_more_says_so(boss: Client, cleaned: CleanupRun, how: str) -> None:
    part = cleaned.parts.get()
    if how == "expired":
        ArchivePart.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    elif how == "deleted":
        archive.delete_part(None, part.pk)
    elif how == "changed":
        with archive.path_of(part).open("ab") as file:
            file.write(b"x")
    else:
        part.key = UUID("00000000-0000-4000-8000-000000000000")
    answer = boss.get(url_of(part))
    assert answer.status_code == (404 if how == "unknown" else 410)
    assert not AuditEntry.objects.filter(action="downloaded the archive").exists()
    assert boss.get("/admin/cleanup/archivepart/").status_code == 200


def test_deleting_a_copy_is_asked_about_first(boss: Client, cleaned: CleanupRun) -> None:
    part = cleaned.parts.get()
    url = f"/admin/cleanup/archivepart/{part.pk}/delete-file/"
    assert "the only copy of 6 rows" in boss.post(url).content.decode()
    assert archive.path_of(part).exists()
    assert "cannot be put back any more" in boss.post(url, {"confirmed": "1"}, follow=True).content.decode()
    part.refresh_from_db()
    assert part.deleted_at and not archive.path_of(part).exists()


def test_the_command_that_the_page_names_puts_the_rows_back(cleaned: CleanupRun, capsys: Any) -> None:
    call_command("restore_archive", str(cleaned.run_id), "--dry-run")
    assert Session.objects.count() == 1
    call_command("restore_archive", str(cleaned.run_id))
    assert Session.objects.count() == 7
