"""Parts of a file, whoever asks for them and in whatever order: put together they are the file."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from reports import keeping, running, storage
from reports.models import Artefact, DownloadEvent, Format, ReportDefinition, ReportRun
from runs.models import AuditEntry
from runs.tasks import RunContext

SIZE = 200_003


@pytest.fixture
def artefact(definition: ReportDefinition, claim: Callable[..., RunContext]) -> Artefact:
    running.perform(claim(definition))
    artefact = Artefact.objects.get()
    data = random.Random(7).randbytes(SIZE)
    storage.path_of(artefact.key).write_bytes(data)
    artefact.byte_count, artefact.sha256 = SIZE, hashlib.sha256(data).hexdigest()
    artefact.save()
    return artefact


@pytest.fixture
def client(staff: Callable[..., User], sign_in: Callable[[User], Client]) -> Client:
    return sign_in(staff("ann", "reports.download_artefact"))


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def test_200_random_parts_put_together_are_the_file(client: Client, artefact: Artefact) -> None:
    url, chance = running.download_url(artefact), random.Random(13)
    cuts = sorted({0, SIZE, *(chance.randrange(1, SIZE) for _ in range(199))})
    parts = list(pairwise(cuts))
    chance.shuffle(parts)
    found = bytearray(SIZE)
    for number, (first, beyond) in enumerate(parts):
        # As browsers, curl and download managers write it: closed, open, from the end.
        asked = f"bytes={first}-{beyond - 1}"
        if beyond == SIZE:
            asked = f"bytes={first}-" if number % 2 else f"bytes=-{SIZE - first}"
        headers = {"Range": asked, "If-Range": f'"{artefact.sha256}"'} if number % 3 else {"Range": asked}
        response = client.get(url, headers=headers)
        assert response.status_code == 206 and response["Content-Range"] == f"bytes {first}-{beyond - 1}/{SIZE}"
        found[first:beyond] = body(response)
    assert len(parts) >= 190 and hashlib.sha256(found).hexdigest() == artefact.sha256
    assert DownloadEvent.objects.count() == len(parts)


@pytest.mark.parametrize(
    ("asked", "status", "first", "last"),
    [
        ("bytes=0-0", 206, 0, 0),
        (f"bytes={SIZE - 1}-", 206, SIZE - 1, SIZE - 1),
        (f"bytes={SIZE - 1}-{SIZE * 9}", 206, SIZE - 1, SIZE - 1),
        (f"bytes=-{SIZE * 9}", 206, 0, SIZE - 1),
        (f"bytes={SIZE}-", 416, 0, 0),
        ("bytes=99999999999999999999-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        # Several parts, other units and what nobody can read: the whole file, which the standard allows.
        ("bytes=0-9,20-29", 200, 0, SIZE - 1),
        ("bytes=9-0", 200, 0, SIZE - 1),
        ("bytes=-", 200, 0, SIZE - 1),
        ("bytes=a-b", 200, 0, SIZE - 1),
        ("bytes=1 2-3", 200, 0, SIZE - 1),
        ("bytes=０-９", 200, 0, SIZE - 1),
        ("items=0-9", 200, 0, SIZE - 1),
        ("bytes=" + "1" * 500 + "-", 200, 0, SIZE - 1),
    ],
)
def test_odd_parts_are_answered_as_the_standard_says(
    client: Client, artefact: Artefact, asked: str, status: int, first: int, last: int
) -> None:
    response = client.get(running.download_url(artefact), headers={"Range": asked})
    assert response.status_code == status
    if status == 416:
        assert response["Content-Range"] == f"bytes */{SIZE}"
        return
    data = storage.path_of(artefact.key).read_bytes()
    assert body(response) == data[first : last + 1] and response["Content-Length"] == str(last - first + 1)


def test_a_download_under_way_ends_well_while_the_file_is_deleted(client: Client, artefact: Artefact) -> None:
    url = running.download_url(artefact)
    response: Any = client.get(url)
    chunks = iter(response.streaming_content)
    got = next(chunks)
    keeping.delete_files(None, artefact.report_run_id, "Wrong numbers")
    assert not storage.path_of(artefact.key).exists()
    got += b"".join(chunks)
    assert hashlib.sha256(got).hexdigest() == artefact.sha256
    resumed = client.get(url, headers={"Range": "bytes=65536-", "If-Range": f'"{artefact.sha256}"'})
    assert resumed.status_code == 410 and "was deleted" in resumed.content.decode()


@pytest.mark.parametrize(
    ("file_format", "content_type"),
    [
        ("csv", "text/csv; charset=utf-8"), ("pdf", "application/pdf"), ("parquet", "application/vnd.apache.parquet"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), ("jsonl", "application/x-ndjson"),
    ],
)  # fmt: skip
def test_each_format_says_what_it_is(client: Client, artefact: Artefact, file_format: str, content_type: str) -> None:
    assert set(Format.values) == {"csv", "pdf", "parquet", "xlsx", "jsonl"}
    storage.path_of(artefact.key).rename(storage.path_of(artefact.key, file_format))
    Artefact.objects.update(format=file_format)
    response = client.get(running.download_url(artefact))
    assert response["Content-Type"] == content_type and response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    response.close()


def test_what_a_report_lists_may_take_a_permission_of_its_own(
    client: Client, artefact: Artefact, staff: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    url = running.download_url(artefact)
    ReportRun.objects.update(choices={"data_set": "activity"})
    assert client.get(url).status_code == 403
    assert AuditEntry.objects.get(was_refused=True).reason == "lacks runs.view_auditentry"
    both = sign_in(staff("eve", "reports.download_artefact", "runs.view_auditentry"))
    response = both.get(url)
    assert response.status_code == 200
    response.close()


def test_the_address_on_record_is_the_readers_and_not_that_of_a_proxy(
    client: Client, artefact: Artefact, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = 1
    body(client.get(running.download_url(artefact), headers={"X-Forwarded-For": "10.9.9.9, 203.0.113.7"}))
    assert DownloadEvent.objects.get().ip == "203.0.113.7"


def test_of_a_data_set_that_is_gone_nobody_knows_who_may_have_it_but_administrators(
    client: Client, artefact: Artefact, sign_in: Callable[[User], Client]
) -> None:
    url = running.download_url(artefact)
    ReportRun.objects.update(choices={"data_set": "was_renamed"})
    assert client.get(url).status_code == 403
    response = sign_in(User.objects.create_superuser("boss")).get(url)
    assert response.status_code == 200
    response.close()


@pytest.mark.parametrize(
    ("accel", "header", "value"),
    [
        ("nginx:/protected/", "X-Accel-Redirect", "/protected/reports/{key}.csv"),
        ("nginx:/files", "X-Accel-Redirect", "/files/reports/{key}.csv"),
        ("sendfile", "X-Sendfile", "{folder}/reports/{key}.csv"),
    ],
)
def test_the_web_server_in_front_may_send_it(
    client: Client, artefact: Artefact, settings: Any, tmp_path: Path, accel: str, header: str, value: str
) -> None:
    settings.FILES_ACCEL = accel
    response = client.get(running.download_url(artefact), headers={"Range": "bytes=10-"})
    assert response.status_code == 200 and response.content == b"", "which part is for the server to work out"
    assert response[header] == value.format(key=artefact.key, folder=tmp_path)
    assert response["Content-Disposition"].startswith("attachment") and response["Cache-Control"] == "private, no-store"
    assert "Content-Range" not in response and "ETag" not in response
    assert DownloadEvent.objects.get().byte_range == "bytes=10-"
    User.objects.get(username="ann").user_permissions.clear()
    refused = client.get(running.download_url(artefact))
    assert refused.status_code == 403 and header not in refused
    ReportDefinition.objects.update(keep_last=0)
    Artefact.objects.update(expires_at=timezone.now())
    assert header not in client.get(running.download_url(artefact))
