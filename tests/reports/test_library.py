"""The library and the page of one report, as different people see them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from reports import first_rows, keeping, library, running, storage
from reports.datasets import registry
from reports.datasets.registry import Column, Kind, Total
from reports.models import Artefact, DownloadEvent, ReportDefinition, ReportRun
from runs import ledger
from runs.models import AuditEntry, Notice, Run
from runs.tasks import RunContext
from tests.reports.listings import listed

Define = Callable[..., ReportDefinition]
Claim = Callable[..., RunContext]
LIBRARY = "/admin/reports/artefact/"
ALL = (
    "view_artefact",
    "download_artefact",
    "change_artefact",
    "delete_artefact",
    "run_report",
    "view_reportdefinition",
)


@pytest.fixture
def ann(staff: Callable[..., User]) -> User:
    return staff("ann", *(f"reports.{name}" for name in ALL), "runs.cancel_run", "runs.view_run")


@pytest.fixture
def client(ann: User, sign_in: Callable[[User], Client]) -> Client:
    return sign_in(ann)


@pytest.fixture
def made(claim: Claim) -> Callable[..., ReportRun]:
    def make(definition: ReportDefinition, **values: Any) -> ReportRun:
        run = claim(definition, **values)
        ledger.finish(run._claim, running.perform(run))
        return ReportRun.objects.get(run_id=run.id)

    return make


def text(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, response
    return response.content.decode()


def page_of(report_run: ReportRun) -> str:
    return f"/admin/reports/reportrun/{report_run.pk}/"


def names(client: Client, query: str = "") -> list[str]:
    return [row.report_run.name for row in client.get(f"{LIBRARY}?{query}").context["rows"]]


def test_an_empty_library_teaches(
    client: Client, staff: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    shown = text(client, LIBRARY)
    assert "No report has been made yet" in shown and "/admin/reports/reportdefinition/add/" not in shown
    assert "None of your reports yet" in text(client, f"{LIBRARY}?of=mine")
    assert "No report matches" in text(client, f"{LIBRARY}?name=x")
    adds = sign_in(staff("bob", "reports.view_artefact", "reports.add_reportdefinition"))
    assert "/admin/reports/reportdefinition/add/" in text(adds, LIBRARY)


def test_a_report_is_one_row_with_all_its_files(client: Client, definition: ReportDefinition, made: Any) -> None:
    report_run = made(definition)
    first = report_run.artefacts.get()
    for file_format in ("xlsx", "pdf"):
        values = {
            "format": file_format,
            "file_name": f"x.{file_format}",
            "byte_count": 10,
            "row_count": 7,
            "sha256": "x",
        }
        Artefact.objects.create(report_run=report_run, expires_at=first.expires_at, **values)
    (row,) = client.get(LIBRARY).context["rows"]
    assert [one.format for one in row.files] == ["csv", "pdf", "xlsx"] and row.byte_count == first.byte_count + 20
    shown = text(client, LIBRARY)
    assert shown.count('class="rl-file"') == 3 and "9 to 15 November 2026, Europe/Berlin" in shown
    assert "For 90 days" in shown and page_of(report_run) in shown


def test_it_is_searched_by_everything_that_people_know(
    client: Client, ann: User, define: Define, made: Any, claim: Claim
) -> None:
    weekly, monthly, other = (
        define(name="Weekly"),
        define(name="Monthly", period="last_month"),
        define(name="Other", row_cap=2),
    )
    made(weekly, requested_by=ann)
    made(monthly)
    made(other)
    failing = claim(define(name="Failing"))
    ReportDefinition.objects.filter(name="Failing").update(data_set="gone")
    with pytest.raises(Exception, match="no longer available"):
        running.perform(failing)
    assert names(client) == ["Failing", "Other", "Monthly", "Weekly"]
    for query, found in {
        "name=ONTH": ["Monthly"],
        f"report={weekly.pk}": ["Weekly"],
        "since=2026-10-01&until=2026-10-31": ["Monthly"],
        "since=2026-11-16": [],
        "since=2026-11-15&until=2026-11-15": ["Failing", "Other", "Weekly"],
        "state=complete": ["Monthly", "Weekly"],
        "state=incomplete": ["Other"],
        "state=failed": ["Failing"],
        "state=open": [],
        "file_format=csv": ["Other", "Monthly", "Weekly"],
        "file_format=pdf": [],
        f"who={ann.pk}": ["Weekly"],
        "who=schedule": ["Failing", "Other", "Monthly"],
        "of=mine": ["Weekly"],
        "after=x&before=-1": ["Failing", "Other", "Monthly", "Weekly"],
    }.items():
        assert names(client, query) == found, query
    ReportDefinition.objects.filter(name="Other").update(owner=ann)
    monthly.notify.add(ann)
    assert names(client, "of=mine") == ["Other", "Monthly", "Weekly"]
    shown = text(client, LIBRARY)
    assert "INCOMPLETE" in shown and "What this report lists is no longer available" in shown
    assert "The last day lies before the first one" in text(client, f"{LIBRARY}?since=2026-02-02&until=2026-02-01")
    assert "Select a valid choice" in text(client, f"{LIBRARY}?report=99999&state=%00")


def many(definition: ReportDefinition, numbers: range) -> None:
    now = timezone.now()
    runs = Run.objects.bulk_create(Run(kind="report", due_at=now, trigger="manual") for _ in numbers)
    rows = ReportRun.objects.bulk_create(
        ReportRun(
            definition=definition, name=f"Report {n}", run_id=run.pk, scheduled_for=now, period="x", window_start=now,
            window_end=now + timedelta(days=1), state="succeeded" if n % 3 else "failed",
        )
        for n, run in zip(numbers, runs, strict=True)
    )  # fmt: skip
    Artefact.objects.bulk_create(
        Artefact(
            report_run=row, file_name="x", byte_count=1, row_count=1, sha256="x", expires_at=now - timedelta(days=1)
        )
        for row in rows
    )


def test_its_pages_follow_one_another_and_ask_as_often_for_many_as_for_few(
    client: Client, definition: ReportDefinition
) -> None:
    many(definition, range(5))
    text(client, LIBRARY)
    with CaptureQueriesContext(connection) as few:
        text(client, f"{LIBRARY}?name=Report")
    many(definition, range(5, 125))
    with CaptureQueriesContext(connection) as lots:
        text(client, f"{LIBRARY}?name=Report")
    assert len(lots) == len(few) <= 20
    seen, place = [], ""
    while True:
        listing = client.get(f"{LIBRARY}?{place}").context["listing"]
        seen.append([one.pk for one in listing.report_runs])
        if listing.older is None:
            break
        place = f"after={listing.older}"
    numbers = list(chain.from_iterable(seen))
    assert [len(one) for one in seen] == [50, 50, 25] and numbers == sorted(numbers, reverse=True)
    back = client.get(f"{LIBRARY}?before={seen[2][0]}").context["listing"]
    assert [one.pk for one in back.report_runs] == seen[1]
    assert [one.pk for one in client.get(f"{LIBRARY}?before={seen[1][0]}").context["listing"].report_runs] == seen[0]


def test_looking_for_something_rare_is_bounded_and_says_so(
    client: Client, definition: ReportDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "LOOKED_THROUGH", 40)
    many(definition, range(100))
    response = client.get(f"{LIBRARY}?name=Report 1&state=complete")
    shown, listing = response.content.decode(), response.context["listing"]
    assert "Looked through 40 reports" in shown and listing.report_runs == [] and "Nothing found so far" in shown
    found = []
    while listing.older is not None:
        listing = client.get(f"{LIBRARY}?name=Report 1&state=complete&after={listing.older}").context["listing"]
        found += [one.name for one in listing.report_runs]
    assert found == [f"Report {n}" for n in (19, 17, 16, 14, 13, 11, 10, 1)]


def test_the_page_of_a_report_tells_everything_about_it(
    client: Client, ann: User, definition: ReportDefinition, made: Any
) -> None:
    report_run = made(definition, requested_by=ann)
    artefact = report_run.artefacts.get()
    DownloadEvent.objects.create(artefact=artefact, user=ann)
    shown = text(client, page_of(report_run))
    for words in (
        "Complete", "7 rows for 9 to 15 November 2026, Europe/Berlin", artefact.sha256, artefact.file_name, "Downloaded 1 time,",
        "ann (Run now)", "Deliveries and subscribers per day", "New subscribers", "2026-11-15", f"/admin/runs/run/{report_run.run_id}/",
        running.download_url(artefact), "as it was in its version 1", "For 90 days".lower(),
    ):  # fmt: skip
        assert words in shown, words
    run_page = text(client, f"/admin/runs/run/{report_run.run_id}/change/")
    assert page_of(report_run) in run_page, "and back from the ledger"
    assert client.get(f"/admin/reports/artefact/{artefact.pk}/change/")["Location"] == page_of(report_run)


def test_what_a_report_says_loudly(client: Client, define: Define, made: Any, claim: Claim) -> None:
    capped = made(define(name="Capped", row_cap=3))
    shown = text(client, page_of(capped))
    assert (
        "INCOMPLETE" in shown
        and "Only the first 3 rows of 9 to 15 November" in shown
        and "some rows are missing" in shown
    )
    failed = claim(define(name="Failing"))
    ReportDefinition.objects.filter(name="Failing").update(data_set="gone")
    with pytest.raises(Exception, match="no longer available"):
        running.perform(failed)
    assert "It could not be made." in text(client, page_of(ReportRun.objects.get(run_id=failed.id)))


def test_who_may_not_see_the_numbers_sees_none(
    definition: ReportDefinition, made: Any, staff: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    report_run = made(definition)
    summary = {
        "rows": 7,
        "totals": [{"label": "Sent", "value": 31337}],
        "charts": [{"title": "Secret", "points": [["a", 1]]}],
    }
    ReportRun.objects.update(summary=summary)
    viewer = sign_in(staff("viewer", "reports.view_artefact"))
    shown = text(viewer, page_of(report_run))
    assert (
        "not what is in it" in shown
        and "2026-11-15</td>" not in shown
        and "Secret" not in shown
        and "31337" not in shown
    )
    assert "/download/" not in shown and "/download/" not in text(viewer, LIBRARY)
    for verb in ("extend", "delete-files", "again", "cancel"):
        assert f"{page_of(report_run)}{verb}/" not in shown
    ReportRun.objects.update(choices={"data_set": "activity"})
    analyst = sign_in(staff("analyst", "reports.view_artefact", "reports.download_artefact"))
    shown = text(analyst, page_of(report_run))
    assert "needs a permission of its own" in shown and "2026-11-15</td>" not in shown and "/download/" not in shown
    nobody = sign_in(staff("nobody"))
    assert nobody.get(page_of(report_run)).status_code == nobody.get(LIBRARY).status_code == 403


@pytest.mark.parametrize("condition", ["always", "no_rows"])
def test_totals_that_take_a_permission_stand_in_no_notice_and_on_no_page_of_others(
    define: Define, claim: Claim, staff: Callable[..., User], sign_in: Callable[[User], Client],
    monkeypatch: pytest.MonkeyPatch, condition: str,
) -> None:  # fmt: skip
    owner, low = staff("owner", "runs.view_auditentry"), staff("low", "runs.view_run", "reports.view_artefact")
    columns = (Column("n", "N", Kind.INTEGER, totals=(Total.SUM,)),)
    with listed([(31337,)], columns) as key:
        secret = replace(registry.get(key), permission="runs.view_auditentry")
        monkeypatch.setitem(registry._registry, key, secret)
        chosen = {"totals": [{"column": "n", "how": "sum"}]}
        report = define(data_set=key, selection=chosen, owner_id=owner.pk, notify=(low.pk,))
        ReportDefinition.objects.update(condition=condition)
        run = claim(report)
        ledger.finish(run._claim, running.perform(run))
        made = ReportRun.objects.get()
        said = [str(Run.objects.get(pk=run.id).result), *Notice.objects.values_list("text", flat=True)]
        said += [text(sign_in(low), path) for path in (page_of(made), f"/admin/runs/run/{run.id}/change/")]
        assert not any("31,337" in one or "31337" in one for one in said)
        assert made.summary["totals"][0]["value"] == 31337


def test_why_a_report_was_not_sent_is_told_to_those_who_may_see_its_numbers(
    client: Client,
    definition: ReportDefinition,
    made: Any,
    staff: Callable[..., User],
    sign_in: Callable[[User], Client],
) -> None:
    report_run = made(definition)
    ReportRun.objects.update(state="skipped", summary={"not_sent": "“Sent” is 31,337, which is not above 5."})
    assert "It was made and not sent: “Sent” is 31,337" in text(client, page_of(report_run))
    viewer = sign_in(staff("viewer", "reports.view_artefact"))
    shown = text(viewer, page_of(report_run))
    assert "It was made and not sent." in shown and "31,337" not in shown


def test_its_verbs_take_post_and_a_permission(
    client: Client,
    definition: ReportDefinition,
    made: Any,
    staff: Callable[..., User],
    sign_in: Callable[[User], Client],
) -> None:
    report_run = made(definition)
    bob = sign_in(staff("bob", "reports.view_artefact", "reports.download_artefact"))
    for verb in ("extend", "delete-files", "again", "cancel"):
        url = f"{page_of(report_run)}{verb}/"
        assert client.get(url).status_code == 405, verb
        assert bob.post(url, {"until": "2027-12-01", "reason": "x"}).status_code == 403, verb
        assert client.post(f"/admin/reports/reportrun/999/{verb}/", {}).status_code == 404, verb
    assert ReportRun.objects.count() == 1 and Artefact.objects.get().deleted_at is None
    assert AuditEntry.objects.filter(was_refused=True, actor_name="bob").count() == 4


def test_keeping_longer_and_deleting_are_asked_about_and_nothing_typed_is_lost(
    client: Client, definition: ReportDefinition, made: Any
) -> None:
    report_run = made(definition)
    extend, delete = f"{page_of(report_run)}extend/", f"{page_of(report_run)}delete-files/"
    assert "Keep them until the end of" in client.post(extend).content.decode()
    wrong = client.post(extend, {"until": "2020-01-01"}).content.decode()
    assert "That day has passed" in wrong and "2020-01-01" in wrong
    assert "This is not a date" in client.post(extend, {"until": "soon"}).content.decode()
    later = (timezone.localdate() + timedelta(days=400)).isoformat()
    assert client.post(extend, {"until": later})["Location"] == page_of(report_run)
    assert "They cannot be brought back" in client.post(delete).content.decode()
    assert "Say why" in client.post(delete, {"reason": ""}).content.decode()
    assert Artefact.objects.get().is_available
    assert client.post(delete, {"reason": "Wrong numbers"})["Location"] == page_of(report_run)
    shown = text(client, page_of(report_run))
    assert "Wrong numbers" in shown and "Deleted" in shown and "No file is left to show" in shown
    assert "Wrong numbers" in text(client, LIBRARY)


def test_made_again_it_has_a_page_at_once_that_follows_the_making(
    client: Client, definition: ReportDefinition, made: Any
) -> None:
    report_run = made(definition)
    sent = [client.post(f"{page_of(report_run)}again/", {"form_key": "a" * 32})["Location"] for _ in range(2)]
    again = ReportRun.objects.get(again_of=report_run)
    assert sent == [page_of(again)] * 2
    shown = text(client, page_of(again))
    assert "It waits for a worker" in shown and "part=live" in shown and "Made again for the days of" in shown
    live = client.get(f"{page_of(again)}?part=live&state=queued")
    assert live.status_code == 200 and "It waits for a worker" in live.content.decode()
    assert client.get(f"{page_of(again)}?part=live&state=running")["HX-Refresh"] == "true"
    assert "It was made again" in text(client, page_of(report_run))
    assert client.post(f"{page_of(again)}cancel/")["Location"] == page_of(again)
    assert "Cancelled" in text(client, page_of(again))


def test_a_run_that_ended_behind_its_back_is_shown_as_it_is(
    client: Client, definition: ReportDefinition, made: Any
) -> None:
    again = keeping.make_again(None, made(definition).pk, key="a")
    Run.objects.filter(pk=again.run_id).update(state="failed", error="The worker was lost.")
    shown = text(client, page_of(again))
    assert "The worker was lost." in shown and "part=live" not in shown


def test_first_rows_are_read_from_the_file_and_bounded(definition: ReportDefinition, made: Any) -> None:
    artefact = made(definition).artefacts.get()
    path = storage.path_of(artefact.key)
    path.write_text("A,B\r\n" + "".join(f'{n},"x{"y" * 20}\nz"\r\n' for n in range(100_000)))
    artefact.row_count = 100_000
    found = first_rows.first_rows([artefact])
    assert found is not None and found.heads == ["A", "B"] and len(found.rows) == 50 and not found.is_all
    path.write_text("A,B\r\n1,2\r\n2," + "x" * 3_000_000)  # one cell of three megabytes
    found = first_rows.first_rows([artefact])
    # Whether the csv module reads such a cell depends on its limit, which belongs to the whole process.
    assert found is not None and found.rows[0] == ["1", "2"], "what comes before it"
    assert all(len(cell) <= first_rows.CELL_LENGTH + 1 for row in found.rows for cell in row)
    path.write_text("A,B\r\n1," + "x" * 1000)
    found = first_rows.first_rows([artefact])
    assert found is not None and len(found.rows[0][1]) == 301 and found.rows[0][1].endswith("…")
    for damaged in (b"", b"\xff\xfe\x00\x00" * 10, b"\x00" * 100):
        path.write_bytes(damaged)
        first_rows.first_rows([artefact])  # whatever is in it, the page opens
    path.unlink()
    assert first_rows.first_rows([artefact]) is None


def test_first_rows_of_json_lines(definition: ReportDefinition, made: Any) -> None:
    artefact = made(definition).artefacts.get()
    artefact.format = "jsonl"
    path = storage.path_of(artefact.key, "jsonl")
    path.write_text("".join(json.dumps({"day": f"d{n}", "ok": n == 0, "none": None}) + "\n" for n in range(60)))
    found = first_rows.first_rows([artefact])
    assert found is not None and found.heads == ["day", "ok", "none"] and len(found.rows) == 50
    assert found.rows[0] == ["d0", "yes", ""] and found.rows[1] == ["d1", "no", ""]
    path.write_text('{"day": "' + "x" * 600_000)
    assert first_rows.first_rows([artefact]) is None
