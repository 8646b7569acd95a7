"""A file of subscribers from the upload to the last row: every row is counted once, and nobody is written to again who left."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings
from pytest_django.fixtures import DjangoAssertNumQueries

from newsletters import addresses, import_work, imports, services
from newsletters.import_files import Reading
from newsletters.models import ImportJob, List, Subscriber, SubscriberField, Subscription, Suppression
from runs import clock, ledger
from runs.models import AuditEntry, Notice, Run
from schedules.tasks import run_job
from tests.newsletters.conftest import add_readers

pytestmark = pytest.mark.django_db
State = ImportJob.State


@pytest.fixture(autouse=True)
def files(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


def upload(body: bytes | str, name: str = "readers.csv") -> ImportJob:
    return imports.upload_file(None, SimpleUploadedFile(name, body.encode() if isinstance(body, str) else body))


Bring = Callable[..., ImportJob]


@pytest.fixture
def bring(city_news: List) -> Bring:
    """Uploads, checks and imports as people and a worker would; the check must have foretold the import."""

    def bring(body: bytes | str, *, update: bool = False, lists: Any = None, only_check: bool = False) -> ImportJob:
        job = upload(body)
        wanted = [city_news] if lists is None else lists
        check(job, lists=wanted, update=update)
        job.refresh_from_db()
        assert job.state == State.CHECKED, job.problem
        foretold = numbers(job)
        if not only_check:
            run_job(imports.start_import(None, job.pk).pk)
            job.refresh_from_db()
            assert (job.state, numbers(job)) == (State.DONE, foretold)
        assert sum(numbers(job).values()) == job.rows
        return job

    return bring


def check(job: ImportJob, *, lists: Any = (), update: bool = False, mapping: dict[int, str] | None = None) -> Run:
    run = imports.check_file(
        None, job.pk, mapping=mapping or imports.mapping_of(job), lists=lists, update_existing=update,
        consent="Paper form, fair of May 2026",
    )  # fmt: skip
    run_job(run.pk)
    return run


def numbers(job: ImportJob) -> dict[str, int]:
    return {name: getattr(job, name) for name in import_work.Numbers}


def counted(job: ImportJob) -> dict[str, int]:
    return {name: number for name, number in numbers(job).items() if number}


def problems(job: ImportJob) -> list[tuple[int, str, str]]:
    return list(job.problems.order_by("row").values_list("row", "kind", "column"))


def test_people_are_added_with_their_consent_and_where_it_came_from(bring: Bring, city_news: List) -> None:
    job = bring("E-Mail,Vorname,Nachname,Sprache\nAnna@Example.org,Anna,Müller,Deutsch\nben@example.org,Ben,,en-GB\n")
    assert counted(job) == {"added": 2}
    anna = Subscriber.objects.get(email_norm="anna@example.org")
    assert (anna.email, anna.name, anna.language) == ("Anna@Example.org", "Anna Müller", "de")
    place = anna.subscriptions.get()
    assert (place.list, place.state, place.source) == (city_news, "confirmed", "import of readers.csv")
    assert place.consent_text == "Paper form, fair of May 2026" and place.confirmed_at is not None
    assert anna.public_id != Subscriber.objects.get(name="Ben").public_id


def test_the_check_changes_no_subscriber(bring: Bring) -> None:
    job = bring("mail\na@example.org\nnobody\n", only_check=True)
    assert counted(job) == {"added": 1, "wrong": 1} and not Subscriber.objects.exists()


def test_typed_fields_and_plain_attributes(city_news: List) -> None:
    kinds = {"visits": "number", "member_since": "date", "vip": "yes_no", "district": "choice"}
    for key, kind in kinds.items():
        SubscriberField.objects.create(
            key=key, label=key.replace("_", " ").title(), kind=kind, choices=["North", "South"]
        )
    job = upload(
        "mail;Visits;member-since;VIP;District;Shoe size\n"
        "a@example.org;12,5;31.3.2026;ja;north;42\nb@example.org;many;;;;\nc@example.org;;2026-02-30;;;\n"
        "d@example.org;;;perhaps;;\ne@example.org;;;;West;\nf@example.org;;;;;\n"
    )
    mapping = imports.mapping_of(job)
    assert mapping == {0: "email", 1: "attribute:visits", 2: "attribute:member_since", 3: "attribute:vip", 4: "attribute:district"}  # fmt: skip
    check(job, mapping={**mapping, 5: "attribute:shoe_size"})
    run_job(imports.start_import(None, job.pk).pk)
    stored = Subscriber.objects.get(email_norm="a@example.org").attributes
    assert stored == {"visits": 12.5, "member_since": "2026-03-31", "vip": True, "district": "North", "shoe_size": "42"}
    assert Subscriber.objects.get(email_norm="f@example.org").attributes == {}
    assert problems(job) == [(3, "wrong", "Visits"), (4, "wrong", "member-since"), (5, "wrong", "VIP"), (6, "wrong", "District")]  # fmt: skip


def test_opt_outs_are_never_revived(bring: Bring, city_news: List) -> None:
    left, pending, confirmed = add_readers(city_news, 3, name="Old name")
    Subscription.objects.filter(subscriber=left).update(state="unsubscribed")
    Subscription.objects.filter(subscriber=pending).update(state="pending")
    services.suppress(None, "no@example.org")
    Suppression.objects.create(address_hash=addresses.address_hash("erased@example.org"), reason="erased")
    rows = [left.email, pending.email, confirmed.email, "no@example.org", "erased@example.org", "new@example.org"]
    job = bring("mail,name\n" + "".join(f"{mail},New name\n" for mail in rows), update=True)
    assert counted(job) == {"added": 1, "updated": 2, "suppressed": 3}
    left.refresh_from_db()
    assert (left.name, left.subscriptions.get().state) == ("Old name", "unsubscribed")
    assert Subscription.objects.get(subscriber=pending).state == "confirmed"
    assert not Subscriber.objects.filter(email_norm__in=["no@example.org", "erased@example.org"]).exists()
    assert [(row, kind) for row, kind, _ in problems(job)] == [(2, "suppressed"), (5, "suppressed"), (6, "suppressed")]


def test_whoever_left_one_list_can_be_put_on_another_but_not_on_that_one(bring: Bring, city_news: List) -> None:
    other = List.objects.create(name="Other", slug="other")
    (reader,) = add_readers(city_news, 1, state="unsubscribed")
    job = bring(f"mail\n{reader.email}\n", lists=[city_news, other])
    assert counted(job) == {"updated": 1}
    states = dict(reader.subscriptions.values_list("list__slug", "state"))
    assert states == {"city-news": "unsubscribed", "other": "confirmed"}


def test_those_we_have_are_left_alone_unless_asked_and_empty_cells_never_delete(bring: Bring, city_news: List) -> None:
    add_readers(city_news, 1, name="Old", attributes={"a": "1", "b": "2"})
    body = "mail,name,language\nReader0@example.org,,de\n"
    assert counted(bring(body)) == {"unchanged": 1}
    assert counted(bring(body, update=True)) == {"updated": 1}
    assert counted(bring(body, update=True)) == {"unchanged": 1}, "the second time there is nothing new"
    reader = Subscriber.objects.get()
    assert (reader.name, reader.language, reader.attributes) == ("Old", "de", {"a": "1", "b": "2"})


@pytest.mark.parametrize(("update", "name", "expected"), [(False, "First", "unchanged"), (True, "Last", "updated")])
@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_an_address_that_comes_twice_is_one_person(
    bring: Bring, monkeypatch: pytest.MonkeyPatch, update: bool, name: str, expected: str, batch: int
) -> None:
    monkeypatch.setattr(import_work, "BATCH", batch)
    job = bring("mail,name\na@example.org,First\nb@example.org,B\n A@EXAMPLE.org ,Last\n", update=update)
    assert counted(job) == {"added": 2, expected: 1}
    assert Subscriber.objects.get(email_norm="a@example.org").name == name
    assert Subscription.objects.count() == 2


def test_every_kind_of_wrong_row_is_counted_and_costs_no_other(bring: Bring) -> None:
    body = "\n".join(
        [
            "mail,name,language", "good@example.org,Good,en", "nobody,X,", "", ",No address,", "a@b,Y,",
            '"open@example.org,never closed,', "nul@example.org,N\0L,", "long@example.org," + "x" * 301 + ",",
            "many@example.org,a,en,too,many", "lang@example.org,L,Klingon-of-the-far-north", "  ,  ,  ", '"two@example.org","a\nb",',
            "last@example.org",
        ]
    )  # fmt: skip
    job = bring(body)
    assert counted(job) == {"added": 2, "wrong": 9} and job.rows == 11
    assert [row for row, _, _ in problems(job)] == [3, 5, 6, 7, 8, 9, 10, 11, 14]
    said = dict(job.problems.values_list("row", "message"))
    assert "not an e-mail address" in said[3] and "no e-mail address" in said[5] and "quotation" in said[7]
    assert "NUL" in said[8] and "300 characters" in said[9] and "5 cells" in said[10] and "cut off" in said[14]
    assert Subscriber.objects.get(email_norm="two@example.org").name == "a b"


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8-sig", "Šimek"), ("utf-16", "Šimek"), ("cp1252", "Müller"), ("latin-1", "Müller"), ("utf-16-le", "Šimek")],
)
def test_files_of_every_encoding_arrive_whole(bring: Bring, encoding: str, name: str) -> None:
    bring(f"E-Mail;Name\r\na@example.org;{name}\r\n".encode(encoding))
    assert Subscriber.objects.get().name == name


def test_a_file_cut_in_half_and_another_encoding_half_way(bring: Bring) -> None:
    whole = "mail,name\n" + "".join(f"r{number}@example.org,Jürgen {number}\n" for number in range(100))
    job = bring(whole.encode()[:-20])
    assert counted(job) == {"added": 99, "wrong": 1} and problems(job)[0][0] == 101
    half = whole.encode()[: len(whole.encode()) // 2].rpartition(b"\n")[0] + b"\nx@example.org,J\xfcrgen\n"
    assert counted(bring(half))["wrong"] == 1


def test_a_hundred_columns_and_one_heading_alone(bring: Bring) -> None:
    head = ",".join([*(f"c{number}" for number in range(99)), "e-mail"])
    assert counted(bring(f"{head}\n{',' * 99}wide@example.org\n")) == {"added": 1}
    job = upload("mail,name\n")
    check(job)
    job.refresh_from_db()
    assert (job.state, job.problem) == (State.FAILED, "There is a heading and no row after it.")


def test_a_table_without_a_heading(bring: Bring) -> None:
    job = bring("Anna,anna@example.org\nBen,ben@example.org\n")
    assert not job.has_header and job.columns == ["Column 1", "Column 2"] and counted(job) == {"added": 2}


@pytest.mark.parametrize("body", [b"", b"PK\x03\x04 a workbook", b"%PDF-1.7", b"\0\1\2\3" * 500])
def test_what_is_no_table_is_refused_and_not_kept(body: bytes, files: Path) -> None:
    with pytest.raises(ValidationError):
        upload(body, "people.xlsx")
    assert not ImportJob.objects.exists() and not list(files.rglob("*"))


def test_reading_it_in_another_way_guesses_anew() -> None:
    job = upload("a;b\nc@example.org;Šimek\n".encode("cp1250"))
    job = imports.set_reading(None, job.pk, Reading("cp1250", ";", False))
    assert (job.columns, job.encoding) == (["Column 1", "Column 2"], "cp1250")
    with pytest.raises(ValidationError, match="from the lists"):
        imports.set_reading(None, job.pk, Reading("rot13", ";"))


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({}, "Choose the column that holds"),
        ({0: "email", 1: "email"}, "more than one column"),
        ({0: "email", 1: "name", 2: "first_name"}, "not both"),
        ({0: "email", 1: "attribute:password"}, "does not exist"),
        ({0: "email", 7: "name"}, "other columns"),
    ],
)
def test_columns_that_make_no_sense_are_refused(mapping: dict[int, str], said: str, city_news: List) -> None:
    job = upload("mail,name,more\na@example.org,A,x\n")
    with pytest.raises(ValidationError, match=said):
        imports.check_file(None, job.pk, mapping=mapping, lists=[], update_existing=False, consent="x")
    with pytest.raises(ValidationError) as caught:
        imports.check_file(None, job.pk, mapping={0: "email"}, lists=[city_news], update_existing=False, consent=" ")
    assert list(caught.value.message_dict) == ["consent"]


def test_steps_out_of_order_are_refused(bring: Bring) -> None:
    job = upload("mail\na@example.org\n")
    for step in (imports.start_import, imports.continue_import, imports.cancel):
        with pytest.raises(ValidationError):
            step(None, job.pk)
    done = bring("mail\na@example.org\n")
    with pytest.raises(ValidationError, match="imported already"):
        check(done)


def test_a_cancelled_import_stops_at_the_next_batch_and_can_go_on(
    bring: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_work, "BATCH", 3)
    job = bring("mail\n" + "".join(f"r{number}@example.org\n" for number in range(10)), only_check=True)
    run = imports.start_import(None, job.pk)
    settle = import_work._settle

    def settle_and_cancel(job: ImportJob, *rest: Any) -> None:
        settle(job, *rest)
        if job.position == 4:
            ledger.request_cancel(run)

    monkeypatch.setattr(import_work, "_settle", settle_and_cancel)
    run_job(run.pk)
    job.refresh_from_db()
    assert (job.state, job.position, job.added, Subscriber.objects.count()) == (State.CANCELLED, 4, 3, 3)
    assert imports.can_continue(job)
    run_job(imports.continue_import(None, job.pk).pk)
    job.refresh_from_db()
    assert (job.state, job.added, Subscriber.objects.count()) == (State.DONE, 10, 10)


def test_cancelling_before_a_worker_is_there_ends_it_at_once(bring: Bring) -> None:
    job = upload("mail\na@example.org\n")
    imports.check_file(None, job.pk, mapping={0: "email"}, lists=[], update_existing=False, consent="")
    assert imports.cancel(None, job.pk).state == State.UPLOADED
    job = bring("mail\na@example.org\n", only_check=True)
    imports.start_import(None, job.pk)
    assert imports.cancel(None, job.pk).state == State.CANCELLED


def test_a_failed_run_that_is_run_again_takes_the_import_up(bring: Bring) -> None:
    job = bring("mail\na@example.org\n", only_check=True)
    first = imports.start_import(None, job.pk)
    Run.objects.filter(pk=first.pk).update(state="failed")
    assert imports.can_continue(job.__class__.objects.get(pk=job.pk))
    again = imports.continue_import(None, job.pk)
    run_job(again.pk)
    job.refresh_from_db()
    assert (job.state, job.run_id) == (State.DONE, again.pk)


def test_the_file_is_deleted_at_once_on_request(
    bring: Bring, files: Path, django_capture_on_commit_callbacks: Any
) -> None:
    job = bring("mail\na@example.org\n")
    assert [path for path in files.rglob("*") if path.is_file()] == [files / "imports" / str(job.public_id)]
    with django_capture_on_commit_callbacks(execute=True):
        imports.delete_file(None, job.pk)
    assert [path for path in files.rglob("*") if path.is_file()] == []
    job.refresh_from_db()
    assert job.state == State.DONE and not job.file
    with pytest.raises(ValidationError, match="was deleted"):
        imports.delete_file(None, job.pk)


def test_a_file_that_is_gone_from_the_disk_is_said(bring: Bring, files: Path) -> None:
    job = bring("mail\na@example.org\n", only_check=True)
    (files / str(job.file.name)).unlink()
    run = imports.start_import(None, job.pk)
    run_job(run.pk)
    job.refresh_from_db()
    run.refresh_from_db()
    assert (job.state, job.problem) == (State.FAILED, "The uploaded file is gone. Upload it again.")
    assert run.error == job.problem


def test_the_owner_is_told_and_the_audit_log_names_each_step(city_news: List) -> None:
    boss = User.objects.create_superuser("boss")
    job = imports.upload_file(boss, SimpleUploadedFile("r.csv", b"mail\na@example.org\n"))
    run_job(
        imports.check_file(boss, job.pk, mapping={0: "email"}, lists=[city_news], update_existing=False, consent="x").pk
    )
    run_job(imports.start_import(boss, job.pk).pk)
    assert [notice.text for notice in Notice.objects.order_by("id")] == [
        "“r.csv” is checked and can be imported: 1 row checked: 1 new.", "“r.csv” is imported: 1 added.",
    ]  # fmt: skip
    assert AuditEntry.objects.filter(actor=boss).count() == 3


def test_without_the_permission_nothing_happens() -> None:
    nobody = User.objects.create_user("nobody", is_staff=True)
    with pytest.raises(PermissionDenied):
        imports.upload_file(nobody, SimpleUploadedFile("r.csv", b"mail\na@example.org\n"))
    job = upload("mail\na@example.org\n")
    for step in (imports.start_import, imports.continue_import, imports.cancel, imports.delete_file):
        with pytest.raises(PermissionDenied):
            step(nobody, job.pk)


def test_statements_do_not_grow_with_the_rows(
    bring: Bring, city_news: List, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    rows = "mail,name\n" + "".join(f"r{number}@example.org,R {number}\n" for number in range(1500))
    job = bring(rows, only_check=True)
    run = imports.start_import(None, job.pk)
    with django_assert_max_num_queries(60):
        run_job(run.pk)
    assert Subscription.objects.count() == 1500


def test_an_apostrophe_of_an_export_is_taken_off_again(bring: Bring) -> None:
    bring("mail,name\n'=1+1@example.org,'=SUM(A1)\nb@example.org,'Tis me\n")
    assert Subscriber.objects.get(email_norm="b@example.org").name == "'Tis me"
    assert Subscriber.objects.get(email_norm="=1+1@example.org").name == "=SUM(A1)"


def test_only_so_many_problems_are_kept_but_all_are_counted(bring: Bring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_work, "KEPT_PROBLEMS", 5)
    monkeypatch.setattr(import_work, "BATCH", 3)
    job = bring("mail\ngood@example.org\n" + "bad\n" * 20)
    assert (job.wrong, job.problems.count()) == (20, 5)


def test_attributes_are_stored_as_json_on_every_database(bring: Bring) -> None:
    job = upload('mail,note\na@example.org,"it\'s “quoted” \\ {{ name }}"\n')
    check(job, mapping={0: "email", 1: "attribute:note"}, update=True)
    run_job(imports.start_import(None, job.pk).pk)
    stored = Subscriber.objects.get().attributes
    assert json.dumps(stored) and stored == {"note": "it's “quoted” \\ {{ name }}"}
    assert Subscriber.objects.filter(attributes__note__startswith="it's").count() == 1


def test_files_that_lie_here_for_a_month_go_with_the_next_check() -> None:
    old, young = upload("mail\na@example.org\n"), upload("mail\nb@example.org\n")
    ImportJob.objects.filter(pk=old.pk).update(created_at=clock.now() - imports.KEPT - timedelta(hours=1))
    assert imports.drop_old_files() == 1
    old.refresh_from_db()
    young.refresh_from_db()
    assert (str(old.file), old.state) == ("", "cancelled") and str(young.file)
    assert imports.drop_old_files() == 0
