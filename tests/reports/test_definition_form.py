"""The page on which a report is put together: everything is kept as typed, said in words, and seen by those who may."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Group as StaffGroup
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client

from reports import previews, running, services
from reports.datasets import registry
from reports.datasets.registry import Column, DataSet, Kind, Row, Total
from reports.drafts import ReportDraft
from reports.models import ReportDefinition, ReportQuery
from reports.periods import Window
from reports.selection import Filter, Selection
from runs.models import AuditEntry, Run
from runs.states import State
from runs.tasks import JobFailed, RunContext
from scheduler_site.environment import ConfigurationError, Environment

ADMIN = "/admin/reports/reportdefinition"
OPENED = DataSet(
    key="test_opened",
    label="Opened doors",
    description="One row for each door.",
    permission="runs.view_run",
    columns=(
        Column("due", "Due", Kind.MOMENT, "due_at", is_group=True),
        Column("door", "Door", source="schedule_name", is_group=True),
        Column("state", "State", choices=tuple(State.choices), is_group=True),
        Column("steps", "Steps", Kind.INTEGER, "progress_done", totals=(Total.SUM, Total.AVERAGE)),
    ),
    queryset=lambda window: Run.objects.filter(due_at__gte=window.start, due_at__lt=window.end),
    order=("due",),
)
FORM: dict[str, Any] = {
    "name": "Doors", "data_set": "test_opened", "period": "fixed", "fixed_first": "2026-10-01", "fixed_last": "2026-10-31",
    "time_zone": "Europe/Berlin", "formats": ["csv", "xlsx"], "row_cap": "1000", "on_cap": "split", "retention_days": "30",
    "keep_last": "3", "condition": "always", "attach_up_to_mb": "5",
    "s.of": "test_opened", "s.known": ["door", "due", "state", "steps"], "s.column": ["door", "steps"],
    "s.filter.0.column": "steps", "s.filter.0.op": "at_least", "s.filter.0.value": "10", "s.group.0": "", "s.order.0": "-steps",
    "s.total": ["steps:sum"],
}  # fmt: skip
CHOSEN = {
    "columns": ["door", "steps"],
    "filters": [{"column": "steps", "is": "at_least", "values": ["10"]}],
    "totals": [{"column": "steps", "how": "sum"}],
    "order": ["-steps"],
    "called": {"door": "Door", "steps": "Steps"},
}


@pytest.fixture(autouse=True)
def doors(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._registry, OPENED.key, OPENED)
    start = datetime.fromisoformat("2026-10-01T08:00:00+02:00")
    Run.objects.bulk_create(
        Run(
            kind="report", due_at=start + timedelta(hours=8 * n), trigger="manual", schedule_name=f"Door {n % 3}",
            progress_done=n, state=State.SUCCEEDED,
        )
        for n in range(90)
    )  # fmt: skip


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create_superuser("boss")


@pytest.fixture
def client(boss: User, sign_in: Any) -> Client:
    signed_in: Client = sign_in(boss)
    return signed_in


def save(client: Client, path: str = "add", **changes: Any) -> Any:
    return client.post(f"{ADMIN}/{path}/", {**FORM, **changes})


def shown(client: Client, **changes: Any) -> str:
    return str(client.post(f"{ADMIN}/preview/", {**FORM, **changes}).content.decode())


def saved(client: Client, **changes: Any) -> ReportDefinition:
    response = save(client, **changes)
    assert response.status_code == 302, response.context["errors"]
    return ReportDefinition.objects.latest("pk")


def test_everything_that_is_chosen_is_saved_and_opened_again(client: Client, boss: User) -> None:
    group = StaffGroup.objects.create(name="Board")
    definition = saved(
        client, notify=[str(boss.pk)], recipient_users=[str(boss.pk)], recipient_groups=[str(group.pk)], compares="on",
        is_for_machines="on", owner=str(boss.pk),
    )  # fmt: skip
    draft = ReportDraft.of(definition)
    assert draft.selection == CHOSEN
    assert (draft.period, draft.fixed_first, draft.fixed_last) == ("fixed", date(2026, 10, 1), date(2026, 10, 31))
    assert (draft.formats, draft.row_cap, draft.on_cap) == (("csv", "xlsx"), 1000, "split")
    assert (draft.retention_days, draft.keep_last, draft.attach_up_to_mb) == (30, 3, 5)
    assert draft.compares and draft.is_for_machines and draft.owner_id == boss.pk
    assert (draft.recipient_users, draft.recipient_groups) == ((boss.pk,), (group.pk,))
    page = client.get(f"{ADMIN}/{definition.pk}/change/").content.decode()
    for part in (
        'name="s.filter.0.value" value="10"',
        'value="-steps" selected',
        'value="steps:sum" checked',
        'value="2026-10-31"',
    ):
        assert part in page
    assert page.index('value="door"') < page.index('value="due"') < page.index('value="state"')
    services.edit_definition(None, definition.pk, draft)
    definition.refresh_from_db()
    assert definition.version == 1, "the same values are no other version"


def test_another_version_is_only_what_makes_another_report_and_the_log_has_both(client: Client) -> None:
    definition = saved(client)
    path = f"{definition.pk}/change"
    assert save(client, path, name="Doors, renamed", keep_last="9").status_code == 302
    definition.refresh_from_db()
    assert definition.version == 1
    assert save(client, path, **{"s.filter.0.value": "20"}).status_code == 302
    definition.refresh_from_db()
    assert definition.version == 2
    entry = AuditEntry.objects.filter(action="changed the report").latest("pk")
    assert [facts["selection"]["filters"][0]["values"] for facts in (entry.before, entry.after)] == [["10"], ["20"]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fixed_last": "2026-09-30"}, "The last day lies before the first one."),
        ({"fixed_last": ""}, "Choose the last day."),
        ({"fixed_first": "1st of May"}, "This is no day."),
        ({"fixed_first": "2010-01-01"}, "more than 3,660 days"),
        ({"s.filter.0.value": "many"}, "“many” is no whole number"),
        ({"s.column": []}, "Tick at least one column."),
        ({"condition": "threshold", "threshold": ""}, "Write the limit as a number."),
        ({"condition": "threshold", "threshold": "5", "threshold_of": "Rows", "threshold_is": "above", "rearm": "6"}, "not above the limit"),
        ({"condition": "threshold", "threshold": "5", "threshold_of": "Opens, sum", "threshold_is": "above"}, "Choose which total decides."),
        ({"recipient_addresses": "nobody"}, "is no e-mail address"),
        ({"recipient_addresses": "anna@example.org"}, "An administrator can allow domains."),
        ({"attach_up_to_mb": "26"}, "from 0 to 25"),
        ({"formats": ["doc"]}, "is not one of the available choices"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(client: Client, changes: dict[str, Any], message: str) -> None:
    response = save(client, **{"name": "Kept as typed", **changes})
    page = response.content.decode()
    assert response.status_code == 200 and page.count(message) == 1
    assert "Nothing was saved yet" in page
    assert 'value="Kept as typed"' in page and 'value="steps:sum" checked' in page
    assert not ReportDefinition.objects.exists()


def test_what_does_not_apply_is_neither_checked_nor_kept(client: Client) -> None:
    definition = saved(client, period="last_week", fixed_first="nonsense", last_n="-3", threshold="x", threshold_is="?")
    assert (definition.fixed_first, definition.last_n, definition.threshold) == (None, None, None)
    assert ReportDraft.of(definition).threshold_of == ""


def test_a_total_that_decides_is_counted_and_another_limit_begins_anew(client: Client) -> None:
    limit = {
        "condition": "threshold",
        "threshold_of": "Steps, average",
        "threshold_is": "below",
        "threshold": "12.5",
        "rearm": "20",
    }
    definition = saved(client, **limit)
    assert definition.threshold == Decimal("12.5")
    assert definition.selection["totals"] == [{"column": "steps", "how": "sum"}, {"column": "steps", "how": "average"}]
    ReportDefinition.objects.update(is_past_threshold=True)
    assert save(client, f"{definition.pk}/change", **limit, keep_last="7").status_code == 302
    definition.refresh_from_db()
    assert definition.is_past_threshold
    assert save(client, f"{definition.pk}/change", **{**limit, "threshold": "13"}).status_code == 302
    definition.refresh_from_db()
    assert not definition.is_past_threshold


def test_addresses_outside_are_of_allowed_domains_and_remember_who_wants_no_more(client: Client, settings: Any) -> None:
    settings.REPORT_DOMAINS = ["example.org", "partner.example"]
    definition = saved(client, recipient_addresses="Anna@Example.org, ben@partner.example\r\nAnna@example.org")
    assert ReportDraft.of(definition).recipient_addresses == ("Anna@example.org", "ben@partner.example")
    definition.recipients.filter(address="ben@partner.example").update(unsubscribed_at="2026-01-01T00:00Z")
    assert ReportDraft.of(definition).recipient_addresses == ("Anna@example.org",)
    path = f"{definition.pk}/change"
    asked = save(client, path, recipient_addresses="Ben@partner.example").content.decode()
    assert "Ben@partner.example asked for no more mails of this report. Only they can take that back" in asked
    assert save(client, path, recipient_addresses="new@example.org").status_code == 302
    assert definition.recipients.get(address="ben@partner.example").unsubscribed_at is not None
    assert set(definition.recipients.values_list("address", flat=True)) == {"ben@partner.example", "new@example.org"}
    assert (
        "Asked for no more mails of this report: ben@partner.example" in client.get(f"{ADMIN}/{path}/").content.decode()
    )
    refused = save(client, path, recipient_addresses="x@elsewhere.example").content.decode()
    assert "Reports may not go to elsewhere.example, only to addresses at example.org or partner.example" in refused


def test_the_domains_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORT_DOMAINS", " Example.org, @partner.example ,")
    assert Environment().domains("REPORT_DOMAINS") == ["example.org", "partner.example"]
    monkeypatch.setenv("REPORT_DOMAINS", "anna@example.org")
    with pytest.raises(ConfigurationError, match="write domains such as"):
        Environment().domains("REPORT_DOMAINS")


def test_the_buttons_work_without_scripts_and_save_nothing(client: Client) -> None:
    page = save(
        client, do="add-filter", name="", fixed_last="2026-09-01", **{"s.filter.0.value": "many"}
    ).content.decode()
    assert 'name="s.filter.1.column"' in page and 'value="many"' in page
    assert "errorlist" not in page and "This field is required" not in page, "no attempt to save"
    page = save(client, do="remove-filter:0").content.decode()
    assert 'name="s.filter.0.column"' not in page
    assert "For 1 to 31 October 2026, Europe/Berlin: 90 rows" in page
    page = save(client, do="down:door").content.decode()
    assert page.index('name="s.known" value="due"') < page.index('name="s.known" value="door"')
    assert not ReportDefinition.objects.exists()


def test_the_second_of_two_windows_overwrites_nothing_unseen(client: Client) -> None:
    definition = saved(client)
    path = f"{definition.pk}/change"

    def seen(page: str) -> str:
        found = re.search(r'name="seen" value="([^"]+)"', page)
        assert found is not None
        return found[1]

    both = seen(client.get(f"{ADMIN}/{path}/").content.decode())
    assert save(client, path, seen=both, retention_days="60").status_code == 302
    answer = save(client, path, seen=both, name="Gates").content.decode()
    assert "was changed while you were editing" in answer and "Gates" in answer
    definition.refresh_from_db()
    assert (definition.name, definition.retention_days) == ("Doors", 60)
    assert "was changed while" not in shown(client, seen=both)
    assert save(client, path, seen=seen(answer), name="Gates").status_code == 302, "it is meant so"


def test_nobody_is_made_its_owner_by_the_browser(client: Client, staff: Callable[..., User]) -> None:
    """A choice without its own value on the page is sent as the first one there is."""
    staff("aaron", "runs.view_run")
    definition = saved(client)
    olga = staff("olga", "runs.view_run")
    for owner, shown_as in ((olga, "olga (can no longer sign in)"), (None, "Nobody yet")):
        User.objects.filter(pk=olga.pk).update(is_active=False)
        ReportDefinition.objects.update(owner=owner)
        page = client.get(f"{ADMIN}/{definition.pk}/change/").content.decode()
        assert f'<option value="" selected>{shown_as}</option>' in page
        answer = save(client, f"{definition.pk}/change", owner="")
        definition.refresh_from_db()
        assert definition.owner == owner, answer
    assert "Nobody yet" not in client.get(f"{ADMIN}/add/").content.decode()


def test_the_preview_follows_what_is_typed(client: Client) -> None:
    page = shown(client)
    assert "For 1 to 31 October 2026, Europe/Berlin: 80 rows" in page
    assert page.count("<tr>") == 1 + previews.ROWS_SHOWN and "These are the first 50." in page
    assert ">89<" in page and "<dt>Steps, sum</dt><dd>3,960</dd>" in page
    grouped = shown(client, **{"s.group.0": "door:", "s.order.0": "", "s.filter.0.value": "0"})
    assert ": 3 rows" in grouped and "<dt>Steps, sum</dt><dd>4,005</dd>" in grouped
    assert "1,305" in grouped and "1,335" in grouped and "1,365" in grouped
    assert "There is nothing to list" in shown(client, **{"s.filter.0.value": "5000"})
    assert "is no whole number" in shown(client, **{"s.filter.0.value": "many"})
    assert "The last day lies before the first one" in shown(client, fixed_last="2026-09-01")
    assert "Choose what the report lists, and" in shown(client, data_set="")
    assert not ReportDefinition.objects.exists()


def test_a_preview_that_takes_too_long_is_given_up_and_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(window: Window) -> Iterator[Row]:
        with connection.cursor() as cursor:
            cursor.execute("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c")
            yield cursor.fetchone()

    endless = DataSet(key="test_opened", label="Endless", columns=OPENED.columns[:1], rows=rows)
    monkeypatch.setitem(registry._registry, endless.key, endless)
    monkeypatch.setattr(previews, "SECONDS", 0.4)
    page = shown(client, **{"s.of": "other"})
    assert "takes longer than" in page and "Fewer days or a filter make it faster" in page
    assert User.objects.exists(), "the connection goes on"


def test_rows_are_shown_to_nobody_without_the_right_to_see_them(
    client: Client, boss: User, staff: Callable[..., User], sign_in: Any
) -> None:
    definition = saved(client)
    editor = staff("editor", *(f"reports.{verb}_reportdefinition" for verb in ("view", "add", "change")))
    hers = sign_in(editor)
    assert "You may not see what “Opened doors” lists" in shown(hers)
    assert "Door 1" not in shown(hers) and "Door 1" in shown(client)
    assert "Opened doors" not in hers.get(f"{ADMIN}/add/").content.decode()
    page = save(hers, f"{definition.pk}/change", name="Hers").content.decode()
    assert "You may not see what “Opened doors” lists" in page
    page = save(hers, f"{definition.pk}/change", data_set="deliveries_per_day", **{"s.of": ""}).content.decode()
    assert "You may not see what “Opened doors” lists" in page, "nor may she take it over"
    # Whoever may see the rows cannot have them made with the rights of somebody who may not.
    assert "“editor”, who answers for this report, may not see" in shown(client, owner=str(editor.pk))
    assert "Choose another owner." in save(client, name="More", owner=str(editor.pk)).content.decode()
    ReportDefinition.objects.update(owner=editor)
    viewer = sign_in(staff("viewer", "reports.view_reportdefinition", "runs.view_run"))
    stored = viewer.post(f"{ADMIN}/preview/?report={definition.pk}").content.decode()
    assert "“editor”, who answers for this report, may not see" in stored
    with pytest.raises(ValidationError):
        services.create_definition(editor, ReportDraft(name="By service", data_set="test_opened"))


def test_those_who_may_only_look_read_it_in_words_and_preview_what_is_stored(
    client: Client, staff: Callable[..., User], sign_in: Any
) -> None:
    definition = saved(client)
    viewer = sign_in(staff("viewer", "reports.view_reportdefinition", "runs.view_run"))
    page = viewer.get(f"{ADMIN}/{definition.pk}/change/").content.decode()
    for words in (
        "Steps is at least “10”",
        "Door, Steps",
        "Steps, largest first",
        "1 to 31 October 2026, Europe/Berlin",
    ):
        assert words in page
    stored = viewer.post(f"{ADMIN}/preview/?report={definition.pk}", {**FORM, "s.filter.0.value": "80"})
    assert ": 80 rows" in stored.content.decode(), "not what the viewer sent"
    assert viewer.post(f"{ADMIN}/preview/", FORM).status_code == 403
    assert viewer.post(f"{ADMIN}/panel/", FORM).status_code == 403


def test_the_live_parts_take_post_only_and_ask_for_the_permission(
    client: Client, staff: Callable[..., User], sign_in: Any
) -> None:
    nobody = sign_in(staff("nobody"))
    for part in ("panel", "preview"):
        assert client.get(f"{ADMIN}/{part}/").status_code == 405
        assert nobody.post(f"{ADMIN}/{part}/", FORM).status_code == 403
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="boss"))
    assert strict.post(f"{ADMIN}/preview/", FORM).status_code == 403


def test_the_builder_changes_with_the_data_set_and_offers_its_totals_to_the_condition(client: Client) -> None:
    page = client.post(f"{ADMIN}/panel/", {**FORM, "s.of": "deliveries_per_day"}).content.decode()
    assert 'name="s.of" value="test_opened"' in page and 'name="s.filter.0' not in page
    assert 'hx-swap-oob="true"' in page and "Steps, average" in page
    again = client.post(f"{ADMIN}/panel/", FORM).content.decode()
    assert "hx-swap-oob" not in again and 'name="s.filter.0' in again


def test_a_column_that_was_renamed_since_is_told_and_listed_as_nothing_else(
    client: Client, boss: User, claim: Callable[..., RunContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = saved(client)
    renamed = (*OPENED.columns[:3], Column("stairs", "Stairs", Kind.INTEGER, "progress_done", totals=(Total.SUM,)))
    changed = DataSet("test_opened", "Opened doors", renamed, OPENED.queryset, OPENED.order)
    monkeypatch.setitem(registry._registry, changed.key, changed)
    gone = "“Steps” is no longer in “Opened doors”; choose again."
    with pytest.raises(JobFailed, match=gone.replace(".", "[.]")):
        running.perform(claim(definition))
    assert gone in definition.runs.get().error and not definition.runs.get().artefacts.exists()
    page = client.get(f"{ADMIN}/{definition.pk}/change/").content.decode()
    assert "Steps (no longer there)" in page and gone in page
    assert gone in save(client, f"{definition.pk}/change").content.decode()
    chosen_again = {
        "s.known": ["door", "stairs"],
        "s.column": ["door", "stairs"],
        "s.filter.0.column": "stairs",
        "s.total": [],
        "s.order.0": "",
    }
    assert save(client, f"{definition.pk}/change", **chosen_again).status_code == 302
    definition.refresh_from_db()
    assert definition.selection["columns"] == ["door", "stairs"]


def test_an_approved_query_is_offered_with_its_parameters_and_an_unapproved_one_is_not(client: Client) -> None:
    query = ReportQuery.objects.create(
        name="People by region", description="How many live where.", state=ReportQuery.State.APPROVED,
        sql="SELECT 1", approved_sql="SELECT 1", approved_sha256="0" * 64,
        approved_parameters=[
            {"name": "region", "label": "Region", "kind": "choice", "default": "", "choices": ["North", "South"]},
            {"name": "since", "label": "Since", "kind": "period_start", "default": "", "choices": []},
            {"name": "least", "label": "At least", "kind": "integer", "default": "5", "choices": []},
        ],
    )  # fmt: skip
    ReportQuery.objects.create(name="Draft query", sql="SELECT 2")
    page = client.get(f"{ADMIN}/add/").content.decode()
    assert f'value="query:{query.pk}"' in page and "Draft query" not in page
    panel = client.post(f"{ADMIN}/panel/", {**FORM, "data_set": f"query:{query.pk}"}).content.decode()
    assert "How many live where." in panel and 'name="p.region"' in panel and 'name="p.since"' not in panel
    asked = {"data_set": f"query:{query.pk}", "s.of": f"query:{query.pk}", "p.region": "North", "p.least": "many"}
    assert "Write a whole number" in save(client, **asked).content.decode()
    definition = saved(client, **{**asked, "p.least": "7", "p.other": "x"})
    assert (definition.query, definition.data_set, definition.selection) == (query, "", {})
    assert definition.parameters == {"region": "North", "least": "7"}
    page = client.get(f"{ADMIN}/{definition.pk}/change/").content.decode()
    assert 'name="p.least" value="7"' in page and '<option value="North" selected>' in page


def test_the_choice_of_queries_is_only_there_when_there_are_any(client: Client) -> None:
    assert "Approved SQL queries" not in client.get(f"{ADMIN}/add/").content.decode()


def test_the_preview_asks_a_bounded_number_of_questions(client: Client, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(30):
        shown(client)


def test_stored_choices_that_cannot_be_read_are_shown_and_not_guessed(client: Client) -> None:
    definition = ReportDefinition.objects.create(
        name="Odd", data_set="test_opened", selection={"columns": "all", "filters": [7]}
    )
    page = client.get(f"{ADMIN}/{definition.pk}/change/").content.decode()
    assert "What was chosen of this data set cannot be read any more" in page
    stored = Selection(filters=(Filter("steps", "at_least", ("1",)),)).to_json()
    ReportDefinition.objects.update(selection=stored)
    assert "cannot be read" not in client.get(f"{ADMIN}/{definition.pk}/change/").content.decode()
