"""The pages of an import: each step, what is said when something is wrong, and the file of problems."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from newsletters import imports
from newsletters.models import ImportJob, List, Subscriber
from runs.models import AuditEntry
from schedules.tasks import run_job

pytestmark = pytest.mark.django_db
BODY = "E-Mail;Vorname;Straße\nanna@example.org;Anna;Ring 1\n=1+1;x;y\nnobody;=SUM(A1);z\n"


@pytest.fixture
def client(settings: Settings, tmp_path: Path) -> Client:
    settings.MEDIA_ROOT = tmp_path
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def upload(client: Client, body: bytes = BODY.encode()) -> ImportJob:
    answer = client.post(
        reverse("admin:newsletters_importjob_add"), {"file": SimpleUploadedFile("Leser & mehr.csv", body)}
    )
    job = ImportJob.objects.latest("id")
    assert answer.headers["Location"] == url("change", job)
    return job


def url(name: str, job: ImportJob) -> str:
    return reverse(f"admin:newsletters_importjob_{name}", args=[job.pk])


def choices(job: ImportJob, **more: Any) -> dict[str, Any]:
    chosen = {f"column_{position}": target for position, target in imports.mapping_of(job).items()}
    return {"encoding": job.encoding, "delimiter": job.delimiter, "has_header": "on", **chosen, **more}


def text(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def test_from_the_upload_to_the_result(client: Client, city_news: List) -> None:
    job = upload(client)
    shown = text(client, url("change", job))
    assert "Straße" in shown and "Ring 1" in shown and "First name" in shown
    client.post(url("columns", job), choices(job, lists=[city_news.pk], consent="Fair", check="1"))
    job.refresh_from_db()
    assert job.state == "checking" and "Every row is being tried" in text(client, url("change", job))
    run_job(job.run_id or 0)
    assert "2 rows would be left out" in text(client, url("change", job))
    client.post(url("start", job))
    job.refresh_from_db()
    assert "The rows are being taken over" in text(client, url("change", job))
    run_job(job.run_id or 0)
    assert "3 rows settled" in text(client, url("change", job))
    assert Subscriber.objects.get().name == "Anna"
    assert "1 added, 2 wrong" in text(client, reverse("admin:newsletters_importjob_changelist"))


def test_nothing_typed_is_lost_when_something_is_wrong(client: Client, city_news: List) -> None:
    job = upload(client)
    answer = client.post(
        url("columns", job), choices(job, lists=[city_news.pk], column_2="attribute:strasse", update_existing="on")
    )
    form = answer.context["form"]
    assert list(form.errors) == ["consent"]
    shown = answer.content.decode()
    assert f'value="{city_news.pk}" ' in shown and "checked" in shown
    assert '<option value="attribute:strasse" selected>' in shown
    job.refresh_from_db()
    assert job.state == "uploaded"


def test_reading_it_in_another_way_keeps_the_rest(client: Client, city_news: List) -> None:
    job = upload(client)
    answer = client.post(
        url("columns", job), choices(job, delimiter="|", lists=[city_news.pk], consent="At the fair", reread="1")
    )
    job.refresh_from_db()
    assert (job.delimiter, job.columns) == ("|", ["E-Mail;Vorname;Straße"])
    assert "At the fair" in answer.content.decode()
    answer = client.post(url("columns", job), choices(job, encoding="rot13"))
    assert "from the lists" in answer.content.decode() or "Select a valid choice" in answer.content.decode()


@pytest.mark.parametrize(("body", "said"), [(b"PK\x03\x04...", "Excel"), (b"", "empty"), (b"\n\n", "empty")])
def test_what_is_no_table_is_said_at_the_field(client: Client, body: bytes, said: str) -> None:
    answer = client.post(reverse("admin:newsletters_importjob_add"), {"file": SimpleUploadedFile("x.xlsx", body)})
    assert said in answer.content.decode() and not ImportJob.objects.exists()


def test_the_file_of_problems_is_inert_in_a_spreadsheet(client: Client) -> None:
    job = upload(client, b"mail,name\n=cmd()@x,A\n-1,B\n+2,C\n@x,D\n\tq,E\ngood@example.org,F\n")
    client.post(url("columns", job), choices(job))
    job.refresh_from_db()
    run_job(job.run_id or 0)
    answer = client.get(url("problems", job))
    body = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    rows = list(csv.DictReader(io.StringIO(body)))
    assert [row["Row"] for row in rows] == ["2", "3", "4", "5", "6"] and rows[0]["Column"] == "mail"
    assert all(cell[:1] not in "=+-@\t\r" for row in rows for cell in row.values() if cell)
    assert "attachment" in answer.headers["Content-Disposition"]
    assert AuditEntry.objects.filter(action="downloaded the problems of an import").exists()


def test_the_live_part_says_the_new_state_once(client: Client) -> None:
    job = upload(client)
    client.post(url("columns", job), choices(job))
    live = f"{url('change', job)}?part=live&state=checking"
    assert "hx-swap-oob" not in text(client, live) and "hx-get" in text(client, live)
    job.refresh_from_db()
    run_job(job.run_id or 0)
    assert "hx-swap-oob" in text(client, live) and "hx-get" not in text(client, live)


def test_a_hostile_file_name_and_cells_are_shown_as_text(client: Client) -> None:
    body = b'mail,<script>alert(1)</script>\n<img src=x onerror=y>,"<b>"\n'
    answer = client.post(
        reverse("admin:newsletters_importjob_add"), {"file": SimpleUploadedFile("../../<i>.csv", body)}
    )
    shown = text(client, answer.headers["Location"])
    assert "<script>alert" not in shown and "<img src=x" not in shown and "&lt;script&gt;" in shown
    job = ImportJob.objects.get()
    assert str(job.file.name).startswith("imports/") and ".." not in str(job.file.name)


def test_the_file_itself_is_at_no_address(client: Client) -> None:
    job = upload(client)
    assert client.get(f"/{job.file.name}").status_code == 404
    assert str(job.file.name) not in text(client, url("change", job))


def test_a_person_without_rights_sees_and_does_nothing(client: Client) -> None:
    job = upload(client)
    other = Client(headers={"accept": "text/plain"})
    other.force_login(User.objects.create_user("viewer", is_staff=True))
    for name in ("change", "problems"):
        assert other.get(url(name, job)).status_code == 403
    for name in ("columns", "start", "continue", "cancel", "delete_file"):
        assert other.post(url(name, job)).status_code == 403
        assert client.get(url(name, job)).status_code == 405
    assert other.get(reverse("admin:newsletters_importjob_add")).status_code == 403


def test_the_list_asks_as_much_for_many_imports(client: Client) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            client.get(reverse("admin:newsletters_importjob_changelist"))
        return len(caught)

    boss = User.objects.get()
    ImportJob.objects.create(original_name="a.csv", owner=boss)
    queries()
    few = queries()
    ImportJob.objects.bulk_create([ImportJob(original_name=f"{n}.csv", owner=boss) for n in range(20)])
    assert queries() == few
