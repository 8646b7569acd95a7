"""The list of runs: every run is on one page, wrong dates are said in words, and nothing grows with the ledger."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs import run_list, services
from runs.models import AuditEntry, Run
from runs.run_list import Place, Wanted

pytestmark = pytest.mark.django_db

URL = "/admin/runs/run/"
NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def add(count: int = 1, **values: Any) -> list[Run]:
    """Runs that fell due one a minute before noon."""
    fixed = {"kind": "test", "target_label": "Target", "state": "succeeded", "finished_at": NOON, "trigger": "manual"}
    runs = [Run(**{"due_at": NOON - timedelta(minutes=number), **fixed, **values}) for number in range(count)]
    return Run.objects.bulk_create(runs)


def walk(wanted: Wanted) -> list[run_list.Listing]:
    """Every page from the newest on."""
    pages = [run_list.newest(wanted)]
    while pages[-1].older is not None:
        pages.append(run_list.newest(wanted, after=pages[-1].older))
    return pages


@pytest.mark.parametrize(
    "wanted", [Wanted(), Wanted(shown="failed"), Wanted(schedule_id=7), Wanted(shown="open"), Wanted(name="weekly")]
)
def test_every_run_is_on_one_page_however_many_were_due_at_once(
    wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_list, "PER_PAGE", 5)
    monkeypatch.setattr(run_list, "LOOKED_THROUGH", 12)
    state = wanted.shown or "failed"
    values = {"state": "planned", "finished_at": None} if state == "open" else {"state": state}
    add(4, schedule_id=7, schedule_name="Weekly", **values)
    add(9, schedule_id=7, schedule_name="Weekly", due_at=NOON - timedelta(minutes=2), **values)
    pages = walk(wanted)
    seen = [run.pk for page in pages for run in page.runs]
    assert seen == list(Run.objects.order_by("-due_at", "-id").values_list("pk", flat=True)) and len(seen) == 13
    back = run_list.newer_than(wanted, pages[-1].newer or pytest.fail("the last page knows no newer one"))
    assert [run.pk for run in back.runs] == seen[-len(pages[-1].runs) - 5 : -len(pages[-1].runs)]


def test_a_name_is_looked_for_among_so_many_runs_and_the_page_says_how_far_back(
    boss: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_list, "LOOKED_THROUGH", 10)
    add(25)
    Run.objects.filter(due_at=NOON - timedelta(minutes=24)).update(target_label="Annual report")
    first = run_list.newest(Wanted(name="annual"))
    assert first.runs == [] and first.looked_back_to == NOON - timedelta(minutes=9)
    assert [run.target_label for page in walk(Wanted(name="annual")) for run in page.runs] == ["Annual report"]
    page = boss.get(URL, {"name": "annual"}).content.decode()
    assert "Nothing found so far" in page and "Looked through 10 runs, back to those due Fri 20 Nov 2026" in page
    assert boss.get(URL, {"name": "annual"}).context["listing"].older == first.older


def test_the_tabs_show_what_they_name(boss: Client) -> None:
    for state in ("succeeded", "failed", "missed", "skipped", "cancelled"):
        add(state=state, target_label=f"It {state}")
    add(state="running", finished_at=None, target_label="It goes on")
    for shown in ("succeeded", "failed", "missed", "skipped", "cancelled"):
        runs = boss.get(URL, {"shown": shown}).context["listing"].runs
        assert [run.state for run in runs] == [shown]
    assert [run.target_label for run in boss.get(URL, {"shown": "open"}).context["listing"].runs] == ["It goes on"]
    assert len(boss.get(URL, {"shown": "no such"}).context["listing"].runs) == 6


def test_days_are_those_of_the_reader_and_both_count(boss: Client, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    for hour in (22, 23):  # before and after midnight in Berlin
        add(due_at=datetime(2026, 11, 19, hour, 30, tzinfo=timezone.utc), target_label=f"At {hour}")
    listed = boss.get(URL, {"since": "2026-11-20", "until": "2026-11-20"}).context["listing"].runs
    assert [run.target_label for run in listed] == ["At 23"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"since": "2026-13-40"}, "This is not a date"),
        ({"since": "0001-01-01"}, "Write a year from 1970 to 2199"),
        ({"until": "9999-12-31"}, "Write a year from 1970 to 2199"),
        ({"since": "2026-11-20", "until": "2026-11-19"}, "The last day lies before the first one"),
        ({"kind": "no-such"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_read_is_said_at_its_field_and_stays_there(
    boss: Client, asked: dict[str, str], says: str
) -> None:
    add()
    answer = boss.get(URL, {**asked, "name": "kept as typed", "shown": "failed"})
    page = answer.content.decode()
    assert answer.status_code == 200 and says in page and 'value="kept as typed"' in page
    assert answer.context["wanted"].shown == "failed" and answer.context["listing"].runs == []


@pytest.mark.parametrize("odd", ["x", "_", "2026-11-20T12:00:00_1", "2026-11-20T12:00:00+00:00_x", "\x00_1", "9" * 40])
def test_odd_addresses_show_the_list(boss: Client, odd: str) -> None:
    add()
    for name in ("after", "before", "schedule", "shown", "queue", "name"):
        assert boss.get(URL, {name: odd}).status_code == 200, name
    assert Place.read(odd) is None


def test_the_schedule_stays_chosen_in_tabs_and_pages(boss: Client) -> None:
    add(60, schedule_id=3, schedule_name="Weekly letter")
    add(schedule_id=4, schedule_name="Other")
    page = boss.get(URL, {"schedule": "3"}).content.decode()
    assert "Only runs of “Weekly letter”" in page and "Other" not in page
    assert "?schedule=3&amp;shown=failed" in page and "?schedule=3&amp;after=" in page


def test_several_failures_are_noted_at_once_each_with_its_entry(boss: Client) -> None:
    failed, missed, fine = *add(state="failed"), *add(state="missed"), *add()
    url = f"{URL}acknowledge/"
    assert boss.get(url).status_code == 405
    answer = boss.post(url, {"run": [failed.pk, fine.pk], "back": "shown=failed&schedule=3"}, follow=True)
    assert answer.redirect_chain[0][0] == f"{URL}?shown=failed&schedule=3"
    assert "1 run noted" in answer.content.decode()
    boss.post(url, {"listed": [failed.pk, missed.pk], "all": "1", "back": "//elsewhere.example"})
    noted = Run.objects.exclude(acknowledged_at=None)
    assert set(noted.values_list("pk", flat=True)) == {failed.pk, missed.pk}
    assert AuditEntry.objects.filter(action="acknowledged the run").count() == 2
    assert "Choose the runs" in boss.post(url, follow=True).content.decode()
    with pytest.raises(ValidationError, match="At most 500"):
        services.acknowledge_runs(None, list(range(501)))


def test_a_viewer_sees_the_list_and_notes_nothing(client: Client) -> None:
    (failed,) = add(state="failed")
    viewer = User.objects.create_user("viewer", is_staff=True)
    client.force_login(viewer)
    assert client.get(URL).status_code == 403
    viewer.user_permissions.add(Permission.objects.get(codename="view_run"))
    assert "Acknowledge the chosen" not in client.get(URL).content.decode()
    assert client.post(f"{URL}acknowledge/", {"run": [failed.pk]}).status_code == 403
    assert not Run.objects.exclude(acknowledged_at=None).exists()


def test_ten_runs_and_sixty_take_the_same_number_of_queries(boss: Client) -> None:
    add(10, state="failed", schedule_id=1, schedule_name="S")
    boss.get(URL)
    counts = []
    for asked in ({}, {"name": "s"}, {"schedule": "1"}):
        with CaptureQueriesContext(
            connection,
        ) as few:
            boss.get(URL, asked)
        counts.append(len(few))
    add(50, state="failed", schedule_id=1, schedule_name="S", requested_by_name="Anna")
    for asked, count in zip(({}, {"name": "s"}, {"schedule": "1"}), counts, strict=True):
        with CaptureQueriesContext(connection) as many:
            boss.get(URL, asked)
        assert len(many) == count <= 10


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(), "run_newest_first"),
        (Wanted(shown="succeeded"), "run_newest_first"),
        (Wanted(shown="failed"), "run_exceptions"),
        (Wanted(shown="skipped"), "run_exceptions"),
        (Wanted(shown="open"), "run_open_by_schedule"),
        (Wanted(schedule_id=7), "run_by_schedule"),
        (Wanted(shown="failed", schedule_id=7), "run_by_schedule"),
        (Wanted(name="x"), "run_newest_first"),
    ],
)
def test_an_index_answers_every_list(wanted: Wanted, index: str) -> None:
    if connection.vendor == "postgresql":  # with a handful of rows it would rightly read the table
        connection.cursor().execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
    with CaptureQueriesContext(connection) as queries:
        run_list.newest(wanted, after=Place(NOON, 5))
    ours = run_list._indexed(wanted).order_by("-due_at", "-id")
    plan = ours[:50].explain()
    # Which of two indexes, PostgreSQL decides by what it knows of the few rows here.
    assert queries and (index in plan or (connection.vendor == "postgresql" and "Index Scan" in plan))
