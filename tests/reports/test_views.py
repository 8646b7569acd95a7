from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from reports import running, storage
from reports.models import Artefact, DownloadEvent, ReportDefinition
from runs.models import AuditEntry
from runs.tasks import RunContext

Staff = Callable[..., User]
SignIn = Callable[[User], Client]


@pytest.fixture
def artefact(definition: ReportDefinition, claim: Callable[..., RunContext]) -> Artefact:
    running.perform(claim(definition))
    return Artefact.objects.get()


@pytest.fixture
def url(artefact: Artefact) -> str:
    return running.download_url(artefact)


@pytest.fixture
def data(artefact: Artefact) -> bytes:
    return storage.path_of(artefact.key).read_bytes()


@pytest.fixture
def client(staff: Staff, sign_in: SignIn) -> Client:
    return sign_in(staff("ann", "reports.download_artefact"))


def body(response: object) -> bytes:
    return b"".join(response.streaming_content)  # type: ignore[attr-defined]


def test_it_hands_out_the_file_and_notes_who_took_it(client: Client, url: str, data: bytes, artefact: Artefact) -> None:
    response = client.get(url)
    assert response.status_code == 200 and body(response) == data
    assert response["Content-Length"] == str(len(data))
    assert response["ETag"] == f'"{artefact.sha256}"'
    assert response["Content-Disposition"] == 'attachment; filename="numbers_2026-11-09_to_2026-11-15.csv"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "private, no-store"
    event = DownloadEvent.objects.get()
    assert event.user is not None and (event.user.username, event.ip, event.byte_range) == ("ann", "127.0.0.1", "")
    assert AuditEntry.objects.filter(action="downloaded the report file", actor_name="ann").count() == 1


def test_a_name_in_any_script_survives(client: Client, url: str) -> None:
    Artefact.objects.update(file_name="zahlen-für-山田.csv")
    assert client.get(url)["Content-Disposition"].startswith("attachment; filename*=utf-8''zahlen-f%C3%BCr-")


def test_it_sends_strangers_to_the_sign_in(url: str) -> None:
    response = Client().get(url)
    assert response.status_code == 302 and response["Location"].startswith("/admin/login/")


def test_it_refuses_staff_without_the_permission_and_records_it(staff: Staff, sign_in: SignIn, url: str) -> None:
    response = sign_in(staff("bob", "reports.view_artefact")).get(url)
    assert response.status_code == 403
    entry = AuditEntry.objects.get(was_refused=True)
    assert (entry.actor_name, entry.action) == ("bob", "download the report file")
    assert not DownloadEvent.objects.exists()


def test_without_the_permission_not_even_the_size_or_the_state_is_told(
    staff: Staff, sign_in: SignIn, url: str, artefact: Artefact
) -> None:
    bob = sign_in(staff("bob"))
    assert bob.head(url).status_code == 403
    assert bob.get(url, headers={"If-None-Match": f'"{artefact.sha256}"'}).status_code == 403
    Artefact.objects.update(deleted_at=timezone.now())
    assert bob.get(url).status_code == 403


def test_the_permission_is_checked_each_time(client: Client, url: str) -> None:
    assert client.get(url).status_code == 200
    User.objects.get(username="ann").user_permissions.clear()
    assert client.get(url).status_code == 403


def test_it_refuses_other_methods(client: Client, url: str) -> None:
    assert client.post(url).status_code == 405


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [("bytes=0-9", 0, 9), ("bytes=10-", 10, None), ("bytes=-5", -5, None), ("bytes=3-99999", 3, None)],
)
def test_it_sends_a_part(client: Client, url: str, data: bytes, header: str, first: int, last: int | None) -> None:
    response = client.get(url, headers={"Range": header})
    wanted = data[first:] if last is None else data[first : last + 1]
    start = first % len(data)
    assert response.status_code == 206 and body(response) == wanted
    assert response["Content-Range"] == f"bytes {start}-{start + len(wanted) - 1}/{len(data)}"
    assert response["Content-Length"] == str(len(wanted))
    assert DownloadEvent.objects.get().byte_range == f"{start}-{start + len(wanted) - 1}"


def test_a_part_beyond_the_end_is_refused(client: Client, url: str, data: bytes) -> None:
    response = client.get(url, headers={"Range": f"bytes={len(data)}-"})
    assert (response.status_code, response["Content-Range"]) == (416, f"bytes */{len(data)}")
    assert not DownloadEvent.objects.exists()


def test_if_range_gives_the_whole_file_when_the_browser_has_another(
    client: Client, url: str, data: bytes, artefact: Artefact
) -> None:
    same = client.get(url, headers={"Range": "bytes=0-3", "If-Range": f'"{artefact.sha256}"'})
    assert same.status_code == 206
    for other in ('"another"', f'W/"{artefact.sha256}"', "Wed, 21 Oct 2026 07:28:00 GMT"):
        response = client.get(url, headers={"Range": "bytes=0-3", "If-Range": other})
        assert response.status_code == 200 and body(response) == data


def test_a_browser_that_has_the_file_is_told_so(client: Client, url: str, artefact: Artefact) -> None:
    assert client.get(url, headers={"If-None-Match": f'"{artefact.sha256}"'}).status_code == 304
    assert client.get(url, headers={"If-Match": '"another"'}).status_code == 412
    assert not DownloadEvent.objects.exists()


def test_head_says_the_size_and_sends_nothing(client: Client, url: str, data: bytes) -> None:
    response = client.head(url, headers={"Range": "bytes=0-3"})
    assert (response.status_code, response.content, response["Content-Length"]) == (200, b"", str(len(data)))
    assert response["Accept-Ranges"] == "bytes"
    assert not DownloadEvent.objects.exists()


@pytest.mark.parametrize("case", ["expired", "deleted", "missing", "changed"])
def test_a_file_that_is_no_longer_kept_is_explained(client: Client, url: str, artefact: Artefact, case: str) -> None:
    now = timezone.now()
    match case:
        case "expired":
            Artefact.objects.update(expires_at=now - timedelta(hours=2))
            ReportDefinition.objects.update(keep_last=0)
        case "deleted":
            Artefact.objects.update(deleted_at=now)
        case "missing":
            storage.path_of(artefact.key).unlink()
        case "changed":
            storage.path_of(artefact.key).write_bytes(b"short")
    response = client.get(url)
    words = {"expired": "was kept until", "deleted": "was deleted", "missing": "is missing", "changed": "is missing"}
    assert response.status_code == 410
    assert words[case] in response.content.decode() and "run the report once more" in response.content.decode()
    assert not DownloadEvent.objects.exists()


def test_a_key_that_never_was_is_not_found(client: Client) -> None:
    assert client.get("/admin/reports/artefact/00000000-0000-4000-8000-000000000000/download/").status_code == 404
