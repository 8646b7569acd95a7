"""The activity log: found, explained, handed out, and fast however long it is."""

from __future__ import annotations

import csv
from datetime import date, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runs import activity, audit
from runs.activity import Wanted
from runs.models import AuditEntry, QueuePause

pytestmark = pytest.mark.django_db
LIST, EXPORT = "/admin/runs/auditentry/", "/admin/runs/auditentry/export/"


@pytest.fixture
def anna(client: Client) -> User:
    user = User.objects.create_user("anna", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_auditentry"))
    client.force_login(user)
    return User.objects.get(pk=user.pk)


@pytest.fixture
def ben() -> User:
    return User.objects.create_user("ben", is_staff=True)


def entry(action: str, actor: User | None = None, days_ago: float = 0, **values: Any) -> AuditEntry:
    made = audit.record(actor, action, None, **values)
    at = timezone.now() - timedelta(days=days_ago)
    AuditEntry.objects.filter(pk=made.pk).update(at=at)
    made.at = at
    return made


def shown(client: Client, **asked: str) -> list[str]:
    changelist = client.get(LIST, asked).context["cl"]
    return [row.action for row in changelist.result_list]


def test_it_is_filtered_by_who_what_outcome_type_and_days(client: Client, anna: User, ben: User) -> None:
    entry("old thing", ben, days_ago=40)
    entry("last week's thing", anna, days_ago=7)
    entry("refused thing", ben, was_refused=True, reason="lacks x")
    pause = QueuePause.objects.create(queue="reports", reason="x", paused_at=timezone.now())
    audit.record(None, "paused the queue", pause, reason="Disk full")
    everything = ["paused the queue", "refused thing", "last week's thing", "old thing"]
    assert shown(client) == everything
    assert shown(client, who=str(ben.pk)) == ["refused thing", "old thing"]
    assert shown(client, who="almanac") == ["paused the queue"]
    assert shown(client, did="old thing") == ["old thing"]
    assert shown(client, outcome="refused") == ["refused thing"]
    assert shown(client, outcome="done") == ["paused the queue", "last week's thing", "old thing"]
    assert shown(client, type="runs.queuepause") == ["paused the queue"]
    assert shown(client, search="disk FULL") == ["paused the queue"]
    week = (timezone.localdate() - timedelta(days=7)).isoformat()
    assert shown(client, since=week) == everything[:3]
    assert shown(client, until=week) == everything[2:]
    assert shown(client, since=week, until=week) == ["last week's thing"]
    assert shown(client, since="never", who="x") == everything, "what cannot be read asks for everything"


def test_a_search_goes_through_a_bounded_number_and_says_so(
    client: Client, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        entry("needle" if number in (0, 11) else "hay", anna, days_ago=12 - number)
    monkeypatch.setattr(activity, "LOOKED_THROUGH", 5)
    page = client.get(LIST, {"did": "needle"})
    assert [row.days for row in [timezone.now() - found.at for found in page.context["cl"].result_list]] == [1]
    assert "were looked through" in page.content.decode()
    earlier = (timezone.localdate() - timedelta(days=9)).isoformat()
    assert shown(client, did="needle", until=earlier) == ["needle"], "an earlier last day looks further back"


def test_days_are_found_by_halving_whatever_the_numbers(anna: User) -> None:
    made = [entry(f"n{number}", anna, days_ago=30 - number) for number in range(30)]
    AuditEntry.objects.filter(pk__in=[one.pk for one in made[3:20:2]]).delete()
    for one in (made[0], made[2], made[20], made[29]):
        day = timezone.localtime(one.at).date()
        assert [found.action for found in activity.find(Wanted(since=day, until=day)).entries] == [one.action]
    assert list(activity.find(Wanted(since=date(2000, 1, 1), until=date(2001, 1, 1))).entries) == []


def test_the_list_counts_nothing_and_asks_as_much_for_many_rows_as_for_few(client: Client, anna: User) -> None:
    def queries(**asked: str) -> list[str]:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert client.get(LIST, asked).status_code == 200
        return [query["sql"] for query in captured.captured_queries]

    entry("first", anna)
    few = queries()
    for number in range(60):
        entry(f"thing {number % 3}", anna)
    many = queries()
    assert len(few) == len(many)
    assert not [sql for sql in many + queries(search="thing") if "COUNT(" in sql.upper() and "auditentry" in sql]
    today = timezone.localdate().isoformat()
    assert len(queries(since=today, until=today)) < len(many) + 60, "halving, not walking"


def test_a_page_tells_what_changed_in_words(client: Client, anna: User) -> None:
    before = {"name": "Weekly", "retries": 0, "is_on": True, "paused_at": None, "lists": ["A"], "same": 1}
    after = {
        "name": "Monthly",
        "retries": 3,
        "is_on": False,
        "paused_at": "2026-08-03T07:00:00Z",
        "lists": ["A", "B"],
        "same": 1,
    }
    made = entry("changed the schedule", anna, before=before, after=after, reason="New logo")
    html = " ".join(client.get(f"{LIST}{made.pk}/change/").content.decode().split())
    for row in (("Name", "Weekly", "Monthly"), ("Retries", "0", "3"), ("Is on", "yes", "no"), ("Lists", "A", "A, B"),
                ("Paused", "–", "Mon 3 Aug 2026, 07:00 UTC")):  # fmt: skip
        cells = [
            f'<td data-label="{label}">{value}</td>'
            for label, value in zip(("Value", "Before", "After"), row, strict=True)
        ]
        assert " ".join(cells) in html
    assert (
        "Same" not in html
        and "New logo" in html
        and "{" not in html.partition('class="al-page"')[2].partition("</table>")[0]
    )


def test_a_refused_attempt_says_that_nothing_changed_and_how_often(client: Client, anna: User, ben: User) -> None:
    for _ in range(3):
        audit.record_refusal(audit.Attempt(ben, "pause the schedule", reason="lacks x"))
    (made,) = AuditEntry.objects.all()
    html = client.get(f"{LIST}{made.pk}/change/").content.decode()
    assert "Nothing: the attempt was refused." in html and "pause the schedule (3 times)" in html
    assert "Refused" in client.get(LIST).content.decode()


def test_markup_in_an_entry_stays_text(client: Client, anna: User) -> None:
    made = entry("<script>x</script>", anna, reason="<b>y</b>", after={"<i>": "<u>z</u>"})
    html = client.get(f"{LIST}{made.pk}/change/").content.decode() + client.get(LIST).content.decode()
    assert "<script>x" not in html and "<b>y" not in html and "<u>z" not in html


def export(client: Client, **asked: str) -> Any:
    return client.post(EXPORT, asked)


def test_the_file_holds_the_chosen_days_without_formulas_and_taking_it_is_an_entry(client: Client, anna: User) -> None:
    entry("long ago", anna, days_ago=30)
    entry("=HYPERLINK(1)", anna, reason="+1", after={"name": "x"})
    today = timezone.localdate().isoformat()
    answer = export(client, since=today, until=today)
    assert answer["Content-Disposition"] == f'attachment; filename="activity {today} to {today}.csv"'
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    header, *lines = list(csv.reader(StringIO(text)))
    assert header[:4] == ["When", "Who", "Did", "Refused"]
    (line,) = lines
    assert line[1:3] == ["anna", "'=HYPERLINK(1)"] and line[7] == "'+1" and line[9] == "name: x"
    assert datetime.fromisoformat(line[0]).tzinfo is not None
    assert AuditEntry.objects.get(action="exported the activity log").after == {"since": today, "until": today}


def test_a_file_needs_both_days_and_is_never_too_long(
    client: Client, anna: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        entry(f"n{number}", anna)
    today = timezone.localdate().isoformat()
    answer = export(client, since=today)
    assert answer.status_code == 422 and "Choose the last day." in answer.content.decode()
    answer = export(client, since=today, until="2020-01-01")
    assert "The last day lies before the first." in answer.content.decode()
    monkeypatch.setattr(activity, "MOST_ROWS", 3)
    answer = export(client, since=today, until=today, search="n")
    assert "That is more than 3 entries. Choose fewer days." in answer.content.decode()
    assert 'value="n"' in answer.content.decode(), "what was typed is kept"
    assert not AuditEntry.objects.filter(action="exported the activity log").exists()


def test_nobody_else_sees_it(client: Client, anna: User, ben: User) -> None:
    made = entry("x", anna)
    client.force_login(ben)
    today = timezone.localdate().isoformat()
    assert client.get(LIST).status_code == client.get(f"{LIST}{made.pk}/change/").status_code == 403
    assert export(client, since=today, until=today).status_code == 403
    with pytest.raises(audit.Refused):
        activity.export_entries(ben, Wanted(since=timezone.localdate(), until=timezone.localdate()))
    assert client.get(EXPORT).status_code == 405
