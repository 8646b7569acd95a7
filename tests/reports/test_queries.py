from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client

from reports import keeping, running, sources, storage
from reports.models import Artefact, ReportDefinition, ReportQuery, ReportRun
from reports.periods import Window
from reports.queries import approval, services
from reports.queries.drafts import QueryDraft
from reports.queries.parameters import Kind, Parameter
from reports.query_source import QuerySource
from reports.sources import Choices
from runs.models import AuditEntry, Notice
from runs.tasks import JobFailed, RunContext
from tests.reports.sql_house import house, reader_url

__all__ = ("house", "reader_url")
pytestmark = pytest.mark.usefixtures("house")
WRITE, APPROVE = ("reports.add_reportquery", "reports.change_reportquery", "reports.view_reportquery"), approval.APPROVE
WEEK = Window(date(2026, 11, 9), date(2026, 11, 16), "Europe/Berlin")
REGION = Parameter("region", "Region", Kind.TEXT)
DRAFT = QueryDraft("Letters", "SELECT 'a' AS letter, 1 AS number UNION ALL SELECT :region, 2", "Two", (REGION,))
LIST = "/admin/reports/reportquery/"
Staff = Callable[..., User]


@pytest.fixture
def ann(staff: Staff) -> User:
    return staff("ann", *WRITE, APPROVE)


@pytest.fixture
def bob(staff: Staff) -> User:
    return staff("bob", *WRITE, APPROVE)


@pytest.fixture
def query(ann: User) -> ReportQuery:
    return services.save_query(ann, DRAFT)


@pytest.fixture
def approved(query: ReportQuery, ann: User, bob: User) -> ReportQuery:
    services.ask_for_approval(ann, query.pk)
    return services.approve_query(bob, query.pk, approval.current(query), "Fine")


def rows(query: ReportQuery, **more: Any) -> list[tuple[Any, ...]]:
    values = {"query_id": query.pk, "parameters": {"region": "north"}, **more}
    return list(sources.of(Choices(**values), WEEK).rows())


def test_a_query_goes_from_its_writer_over_a_second_person_into_reports(
    query: ReportQuery, ann: User, bob: User
) -> None:
    assert (query.state, query.author) == ("draft", ann)
    _, told = services.ask_for_approval(ann, query.pk)
    assert told == 1 and Notice.objects.get(user=bob).text == "The SQL query “Letters” waits for your approval."
    done = services.approve_query(bob, query.pk, approval.current(query))
    assert (done.state, done.approved_by, done.approved_sql) == ("approved", bob, DRAFT.sql)
    assert "is approved" in Notice.objects.get(user=ann).text
    assert rows(query) == [("a", 1), ("north", 2)]
    entry = AuditEntry.objects.get(action="approved the SQL query")
    assert (entry.after["sql"], entry.after["sha256"]) == (DRAFT.sql, approval.current(query))
    assert entry.after["sha256"] == done.approved_sha256 and entry.after["parameters"] == [REGION.to_json()]


def test_nobody_approves_what_they_wrote(query: ReportQuery, ann: User, bob: User, sign_in: Any) -> None:
    services.ask_for_approval(ann, query.pk)
    boss = User.objects.create_superuser("boss")
    for person, is_writer in ((ann, True), (boss, False), (bob, False)):
        assert bool(approval.why_not(query, person)) == is_writer
    with pytest.raises(ValidationError, match="somebody else must approve it"):
        services.approve_query(ann, query.pk, approval.current(query))
    answer = sign_in(ann).post(f"{LIST}{query.pk}/approve/", {"note": "", "seen": approval.current(query)}, follow=True)
    assert "somebody else must approve it" in answer.content.decode()
    query.refresh_from_db()
    assert query.state == "waiting" and not query.approved_sha256


def test_nor_what_they_wrote_a_part_of(query: ReportQuery, ann: User, bob: User, staff: Staff) -> None:
    services.save_query(bob, QueryDraft("Letters", DRAFT.sql + " ", "Two", (REGION,)), query.pk)
    services.ask_for_approval(ann, query.pk)
    query.refresh_from_db()
    for person in (ann, bob):
        with pytest.raises(ValidationError):
            services.approve_query(person, query.pk, approval.current(query))
    eve = staff("eve", APPROVE)
    assert services.approve_query(eve, query.pk, approval.current(query)).approved_by == eve
    # From here on both are as good as anybody.
    services.save_query(ann, DRAFT, query.pk)
    services.ask_for_approval(ann, query.pk)
    query.refresh_from_db()
    assert services.approve_query(bob, query.pk, approval.current(query)).state == "approved"


def test_nor_what_they_wrote_the_parameters_of(query: ReportQuery, ann: User, bob: User) -> None:
    """What a parameter is when nobody says anything decides about rows as much as the text does."""
    all_of_it = (replace(REGION, default="everywhere"),)
    services.save_query(bob, QueryDraft("Letters", DRAFT.sql, "Two", all_of_it), query.pk)
    services.save_query(ann, QueryDraft("Letters", DRAFT.sql + " ", "Two", all_of_it), query.pk)
    services.ask_for_approval(ann, query.pk)
    query.refresh_from_db()
    with pytest.raises(ValidationError, match="somebody else must approve it"):
        services.approve_query(bob, query.pk, approval.current(query))


def test_only_the_text_that_was_looked_at_is_approved(query: ReportQuery, ann: User, bob: User) -> None:
    services.ask_for_approval(ann, query.pk)
    looked_at = approval.current(query)
    services.save_query(ann, QueryDraft("Letters", "SELECT :region AS other", "Two", (REGION,)), query.pk)
    with pytest.raises(ValidationError, match="does not wait"):
        services.approve_query(bob, query.pk, looked_at)
    services.ask_for_approval(ann, query.pk)
    with pytest.raises(ValidationError, match="changed since you looked"):
        services.approve_query(bob, query.pk, looked_at)


def test_an_edited_query_runs_as_it_was_approved(approved: ReportQuery, ann: User) -> None:
    changed = services.save_query(ann, QueryDraft("Letters", "SELECT :region AS other", "Two", (REGION,)), approved.pk)
    assert changed.state == "draft" and rows(approved) == [("a", 1), ("north", 2)]
    back = services.save_query(ann, DRAFT, approved.pk)
    assert back.state == "approved", "the text that is approved needs no second approval"
    renamed = services.save_query(ann, QueryDraft("Other name", DRAFT.sql, "Two", DRAFT.parameters), approved.pk)
    assert renamed.state == "approved"


def test_a_text_that_is_sent_back_says_why(query: ReportQuery, ann: User, bob: User) -> None:
    services.ask_for_approval(ann, query.pk)
    with pytest.raises(ValidationError):
        services.refuse_query(bob, query.pk, approval.current(query), " ")
    refused = services.refuse_query(bob, query.pk, approval.current(query), "Too many letters")
    assert (refused.state, refused.note) == ("refused", "Too many letters")
    assert Notice.objects.filter(user=ann, text__contains="Too many letters").exists()
    with pytest.raises(sources.Unreadable, match="Nobody has approved"):
        rows(query)


def test_what_the_database_cannot_read_is_not_handed_in(ann: User) -> None:
    broken = services.save_query(ann, QueryDraft("Broken", "SELECT nothing_such FROM auth_group"))
    with pytest.raises(ValidationError, match="nothing_such"):
        services.ask_for_approval(ann, broken.pk)
    secret = services.save_query(ann, QueryDraft("Secret", "SELECT password FROM auth_user"))
    with pytest.raises(ValidationError, match="read"):
        services.ask_for_approval(ann, secret.pk)


def test_a_report_is_bound_to_the_text_it_was_begun_with(
    approved: ReportQuery, ann: User, bob: User, claim: Callable[..., RunContext]
) -> None:
    definition = ReportDefinition.objects.create(name="Of it", query=approved, parameters={"region": "=1+1"})
    run = claim(definition)
    running.perform(run)
    data = storage.path_of(Artefact.objects.get().key).read_bytes().decode("utf-8-sig")
    assert data == "letter,number\r\na,1\r\n'=1+1,2\r\n"
    frozen = ReportRun.objects.get().choices
    assert frozen["query_sha256"] == approved.approved_sha256
    services.save_query(ann, QueryDraft("Letters", "SELECT :region AS other", "Two", (REGION,)), approved.pk)
    services.ask_for_approval(ann, approved.pk)
    approved.refresh_from_db()
    services.approve_query(bob, approved.pk, approval.current(approved))
    with pytest.raises(sources.Unreadable, match="another text since this report was begun"):
        list(sources.of(Choices.from_json(frozen), WEEK).rows())
    assert rows(approved) == [("north",)]


def test_what_was_made_of_an_older_text_is_not_made_again_of_a_newer_one(
    approved: ReportQuery, define: Any, claim: Any, ann: User, bob: User
) -> None:
    running.perform(claim(define(data_set="", query_id=approved.pk, parameters={"region": "north"})))
    original = ReportRun.objects.get()
    assert keeping.make_again(None, original.pk, key="a").again_of == original
    services.save_query(ann, QueryDraft("Letters", DRAFT.sql + " ", "Two", (REGION,)), approved.pk)
    services.ask_for_approval(ann, approved.pk)
    services.approve_query(bob, approved.pk, approval.current(ReportQuery.objects.get()))
    with pytest.raises(ValidationError, match="approved with another text since"):
        keeping.make_again(None, original.pk, key="b")


def test_a_text_that_was_exchanged_in_the_database_is_not_run(approved: ReportQuery) -> None:
    ReportQuery.objects.update(approved_sql="SELECT password FROM auth_user")
    with pytest.raises(sources.Unreadable, match="behind our back"):
        rows(approved)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) AS c FROM n", "no query may take longer"),
        ("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT 'xxxxxxxxxxxxxxxxxxxx' AS c, x FROM n", "at most 1 MB"),
    ],
)  # fmt: skip
def test_a_report_that_takes_too_much_fails_in_words(
    ann: User, bob: User, claim: Callable[..., RunContext], settings: Any, sql: str, said: str
) -> None:
    settings.REPORTS_SQL_SECONDS, settings.REPORTS_SQL_MAX_MB = 1, 1
    query = services.save_query(ann, QueryDraft("Endless", sql))
    services.ask_for_approval(ann, query.pk)
    services.approve_query(bob, query.pk, approval.current(query))
    definition = ReportDefinition.objects.create(name="Of it", query=query)
    with pytest.raises(JobFailed, match=said):
        running.perform(claim(definition))
    failed = ReportRun.objects.get()
    assert failed.state == "failed" and said in failed.error and not Artefact.objects.exists()


@pytest.mark.parametrize(
    ("choices", "said"),
    [({"query_id": 999999}, "was deleted"), ({"parameters": {"region": "a\0b"}}, "Region: It holds a character")],
)
def test_a_source_that_cannot_be_read_says_so(approved: ReportQuery, choices: dict[str, Any], said: str) -> None:
    with pytest.raises(sources.Unreadable, match=said):
        rows(approved, **choices)


def test_a_value_that_is_missing_is_named(ann: User, bob: User) -> None:
    day = Parameter("day", "The day", Kind.DATE)
    query = services.save_query(ann, QueryDraft("Day", "SELECT :day AS day", "", (day,)))
    services.ask_for_approval(ann, query.pk)
    services.approve_query(bob, query.pk, approval.current(query))
    with pytest.raises(sources.Unreadable, match="“The day” has no value"):
        rows(query, parameters={})


def test_a_report_can_be_interrupted_while_it_reads(ann: User, bob: User) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    query = services.save_query(ann, QueryDraft("Endless", endless))
    services.ask_for_approval(ann, query.pk)
    services.approve_query(bob, query.pk, approval.current(query))
    source = QuerySource(Choices(query_id=query.pk), WEEK)
    found = source.rows()
    assert next(found) == (1,)
    source.interrupt()
    started = time.monotonic()
    with pytest.raises(sources.Unreadable, match="It was stopped"):
        for _ in found:
            pass
    assert time.monotonic() - started < 2


def test_a_query_in_use_is_not_deleted(approved: ReportQuery, staff: Staff, ann: User, sign_in: Any) -> None:
    definition = ReportDefinition.objects.create(name="Of it", query=approved)
    admin = staff("root", services.DELETE, "reports.view_reportquery")
    with pytest.raises(ValidationError, match="“Of it” would have nothing to list"):
        services.delete_query(admin, approved.pk)
    assert sign_in(admin).post(f"{LIST}{approved.pk}/delete/", {"post": "yes"}).status_code == 403
    definition.delete()
    assert sign_in(admin).post(f"{LIST}{approved.pk}/delete/", {"post": "yes"}).status_code == 302
    assert AuditEntry.objects.get(action="deleted the SQL query").before["sql"] == DRAFT.sql


def test_the_services_check_the_permission_themselves(query: ReportQuery, staff: Staff) -> None:
    nobody = staff("nobody")
    for attempt in (
        lambda: services.save_query(nobody, DRAFT),
        lambda: services.save_query(nobody, DRAFT, query.pk),
        lambda: services.ask_for_approval(nobody, query.pk),
        lambda: services.approve_query(nobody, query.pk, approval.current(query)),
        lambda: services.refuse_query(nobody, query.pk, approval.current(query), "No"),
        lambda: services.delete_query(nobody, query.pk),
        lambda: services.try_query(nobody, "SELECT 1", (), {}, WEEK),
    ):
        with pytest.raises(PermissionDenied):
            attempt()


# The page.

FORM = {"name": "Numbers", "description": "", "sql": "SELECT :n + 1 AS sum", "rows": "1", "p0-name": "n", "p0-label": "Number",
        "p0-kind": "integer", "p0-choices": "", "p0-default": "41"}  # fmt: skip


@pytest.fixture
def client(ann: User, sign_in: Any) -> Client:
    signed_in: Client = sign_in(ann)
    return signed_in


def test_staff_write_try_and_save(client: Client) -> None:
    tried = client.post(f"{LIST}add/", {**FORM, "do": "try", "v-v_n": "1"}).content.decode()
    assert "1 row, 1 column, in" in tried and '<td data-label="sum">2</td>' in tried and "not saved yet" not in tried
    assert not ReportQuery.objects.exists()
    entry = AuditEntry.objects.get(action="tried the SQL query")
    assert entry.after == {"sql": FORM["sql"], "values": {"n": "1"}}
    answer = client.post(f"{LIST}add/", {**FORM, "do": "save"}, follow=True)
    assert "“Numbers” is saved." in answer.content.decode()
    assert ReportQuery.objects.get().parameters == [
        {"name": "n", "label": "Number", "kind": "integer", "default": "41", "choices": []}
    ]


def test_one_button_saves_and_hands_in(client: Client, bob: User) -> None:
    said = client.post(f"{LIST}add/", {**FORM, "do": "ask"}, follow=True).content.decode()
    assert "Handed in. 1 person has been told." in said and "Waits for approval" in said
    query = ReportQuery.objects.get()
    said = client.post(f"{LIST}{query.pk}/change/", {**FORM, "do": "ask"}, follow=True).content.decode()
    assert "handed in already" in said
    broken = {**FORM, "sql": "SELECT :n FROM nothing_such", "do": "ask"}
    said = client.post(f"{LIST}{query.pk}/change/", broken, follow=True).content.decode()
    assert "It was not handed in." in said and "nothing_such" in said
    query.refresh_from_db()
    assert (query.state, query.sql) == ("draft", broken["sql"]), "what was typed is saved all the same"


def test_the_first_fifty_rows_are_shown(client: Client) -> None:
    many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 51) SELECT x FROM n"
    shown = client.post(f"{LIST}add/", {"sql": many, "do": "try"}).content.decode()
    assert "The first 50 rows, 1 column, in" in shown and shown.count('data-label="x"') == 50


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "Give the SQL query a name"), ({"sql": ""}, "Write the SELECT."), ({"sql": "SELECT 1"}, "does not use :n"),
        ({"sql": "SELECT :n, :m"}, "uses :m, which is not among"), ({"p0-name": "n m"}, "Write a name of letters"),
        ({"p0-kind": "choice"}, "Write the values to choose from"), ({"p0-default": "many"}, "Write a whole number"),
        ({"description": "x" * 301}, "Write at most 300 characters"), ({"sql": "SELECT :n" + " " * 20_000}, "at most 20,000"),
    ],
)  # fmt: skip
def test_the_form_says_what_is_wrong_and_loses_nothing(client: Client, changes: dict[str, str], said: str) -> None:
    page = client.post(f"{LIST}add/", {**FORM, "do": "save", **changes}).content.decode()
    assert said in page and "It is not saved yet" in page
    for value in {**FORM, **changes}.values():
        assert value in page or len(value) > 300
    assert not ReportQuery.objects.exists()


def test_a_try_says_what_is_wrong(client: Client) -> None:
    for sql, said in (
        ("SELECT nothing_such", "nothing_such"), ("DELETE FROM auth_group", "Only one SELECT"), ("", "Write the SELECT"),
        ("SELECT :m", "not among the parameters"), ("SELECT password FROM auth_user", "what "),
    ):  # fmt: skip
        assert said in client.post(f"{LIST}add/", {"sql": sql, "do": "try"}).content.decode()


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2026-02-01", "2026-02-01", "1 row"), ("2026-02-02", "2026-02-01", "on or after the first"),
        ("9999-12-01", "9999-12-31", "between the years 1970 and 2199"), ("0001-01-01", "0001-01-02", "between the years"),
        ("", "2026-02-01", "Choose the first and the last day"), ("soon", "later", "Choose the first and the last day"),
    ],
)  # fmt: skip
def test_a_try_covers_the_days_that_were_typed_or_none(
    ann: User, sign_in: Any, first: str, last: str, said: str
) -> None:
    typed = {
        "name": "x",
        "sql": "SELECT 1 AS n WHERE :a < :b",
        "rows": "2",
        "do": "try",
        "v-first": first,
        "v-last": last,
    }
    for number, (name, kind) in enumerate((("a", "period_start"), ("b", "period_end"))):
        typed |= {f"p{number}-name": name, f"p{number}-kind": kind, f"p{number}-label": name}
    answer = sign_in(ann).post(f"{LIST}add/", typed)
    assert answer.status_code == 200 and said in answer.content.decode()


def test_rows_of_parameters_come_and_go(client: Client) -> None:
    page = client.post(f"{LIST}add/", {**FORM, "do": "add"}).content.decode()
    assert 'name="p1-name"' in page and 'name="rows" value="2"' in page and "autofocus" in page
    page = client.post(f"{LIST}add/", {**FORM, "do": "remove:0"}).content.decode()
    assert 'name="p0-name"' not in page and FORM["sql"] in page


def test_somebody_elses_change_is_not_overwritten_unseen(query: ReportQuery, client: Client, bob: User) -> None:
    seen = approval.current(query)
    services.save_query(bob, QueryDraft("Letters", "SELECT :region AS theirs", "Two", (REGION,)), query.pk)
    mine = {
        "name": "Letters",
        "sql": "SELECT :region AS mine",
        "rows": "1",
        "p0-name": "region",
        "p0-kind": "text",
        "do": "save",
    }
    page = client.post(f"{LIST}{query.pk}/change/", {**mine, "seen": seen})
    assert "changed by bob while you were writing" in page.content.decode() and "AS mine" in page.content.decode()
    query.refresh_from_db()
    assert "theirs" in query.sql
    assert client.post(f"{LIST}{query.pk}/change/", {**mine, "seen": approval.current(query)}).status_code == 302


def test_the_page_shows_what_a_new_text_changes(approved: ReportQuery, client: Client, ann: User) -> None:
    services.save_query(ann, QueryDraft("Letters", DRAFT.sql.replace("'a'", "'b'"), "Two", (REGION,)), approved.pk)
    page = client.get(f"{LIST}{approved.pk}/change/").content.decode()
    assert "What is new since it was approved" in page and "added: " in page and "removed: " in page
    assert "An older text than the one on this page" in page


def test_an_approver_who_writes_nothing_looks_tries_and_approves(
    query: ReportQuery, ann: User, staff: Staff, sign_in: Any
) -> None:
    services.ask_for_approval(ann, query.pk)
    eve = sign_in(staff("eve", APPROVE, "reports.view_reportquery"))
    url = f"{LIST}{query.pk}/"
    page = eve.get(f"{url}change/").content.decode()
    assert "Approve…" in page and 'name="sql"' not in page and 'value="save"' not in page
    tried = eve.post(f"{url}change/", {"do": "try", "sql": "SELECT 'mine'", "v-v_region": "x"}).content.decode()
    assert '<td data-label="letter">x</td>' in tried, "the stored text is tried, not one that was sent"
    assert eve.post(f"{url}change/", {"do": "save", "name": "Mine", "sql": "SELECT 1"}).status_code == 403
    question = eve.post(f"{url}approve/", {}, headers={"Almanac-Dialog": "question"}).content.decode()
    assert "reports run this text" in question and "UNION ALL" in question
    done = eve.post(f"{url}approve/", {"note": "Fine", "seen": approval.current(query)}, follow=True)
    assert "Reports can list it from now on" in done.content.decode() and "Fine" in done.content.decode()


def test_those_who_may_only_look_run_nothing(query: ReportQuery, staff: Staff, sign_in: Any) -> None:
    viewer = sign_in(staff("viewer", "reports.view_reportquery"))
    assert viewer.get(LIST).status_code == 200
    page = viewer.get(f"{LIST}{query.pk}/change/").content.decode()
    assert "UNION ALL" in page and "Try it" not in page
    assert viewer.post(f"{LIST}{query.pk}/change/", {"do": "try"}).status_code == 403
    assert sign_in(staff("nobody")).get(f"{LIST}{query.pk}/change/").status_code == 403


def test_the_list_says_where_each_stands(approved: ReportQuery, client: Client) -> None:
    ReportDefinition.objects.create(name="Of it", query=approved)
    page = client.get(LIST).content.decode()
    for said in ("Letters", "Approved", "ann", "bob, ", "Of it"):
        assert said in page


def test_an_empty_list_says_what_comes_there(client: Client) -> None:
    assert "a second person approves each text" in client.get(LIST).content.decode()
