"""The schedule form: each way to say when, once per form, nothing typed lost, and every refusal at its field."""

from __future__ import annotations

import threading
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client

from runs.models import AuditEntry
from schedules import kinds, services, templates_offered
from schedules.drafts import ScheduleDraft
from schedules.models import Schedule

pytestmark = pytest.mark.django_db
MakeSchedule = Callable[..., Schedule]
ADD = "/admin/schedules/schedule/add/"
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def typed(target: Group, **changes: Any) -> dict[str, Any]:
    values = {
        "what": f"test:{target.pk}", "name": "Weekly", "mode": "weekly", "weekdays": ["1"], "times": "09:00",
        "month_on": "day", "month_day": "1", "month_nth": "1", "month_weekday": "1", "every_amount": "1",
        "every_unit": "hours", "expression": "0 9 * * 1", "time_zone": "Europe/Berlin", "missed": "latest",
        "missed_cap": "10", "overlap": "skip", "time_limit_minutes": "60", "retries": "0", "calendar_rule": "skip",
        "form_key": KEY, "_save": "Save",
    }  # fmt: skip
    return values | changes


def change(schedule: Schedule) -> str:
    return f"/admin/schedules/schedule/{schedule.pk}/change/"


def shown(client: Client, path: str) -> dict[str, Any]:
    """The values that the opened form shows, as a browser would post them back."""
    form = client.get(path).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    return {
        name: f"{value:%Y-%m-%dT%H:%M}" if hasattr(value, "strftime") else value
        for name, value in values.items()
        if value not in (None, "")
    }


def errors(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 200, answer
    return dict(answer.context["adminform"].form.errors)


@pytest.mark.parametrize(
    ("changes", "stored"),
    [
        ({"mode": "daily", "times": "8:30 and 20:30"}, "30 8,20 * * *"),
        ({"mode": "weekly", "weekdays": ["5", "1"]}, "0 9 * * 1,5"),
        ({"mode": "monthly", "month_day": "15"}, "0 9 15 * *"),
        ({"mode": "monthly", "month_on": "last"}, "0 9 L * *"),
        ({"mode": "monthly", "month_on": "nth", "month_nth": "-1", "month_weekday": "0"}, "0 9 * * 0L"),
        ({"mode": "cron", "expression": "0  9 13 * FRI"}, "0 9 13 * FRI"),
    ],
)
def test_each_way_to_say_when_is_stored_as_a_pattern_and_opens_as_it_was_said(
    boss: Client, target: Group, changes: dict[str, Any], stored: str
) -> None:
    assert boss.post(ADD, typed(target, **changes)).status_code == 302
    schedule = Schedule.objects.get()
    assert (schedule.mode, schedule.expression) == ("cron", stored)
    again = shown(boss, change(schedule))
    assert again["mode"] == changes["mode"]
    for name in ("month_day", "month_on", "month_nth", "month_weekday"):
        assert str(again[name]) == str(changes.get(name, again[name]))


def test_saving_an_opened_form_unchanged_changes_nothing(boss: Client, create: MakeSchedule, target: Group) -> None:
    """Also where the pattern is spelled otherwise than the simple mode would: no new version, and a skip stays."""
    schedule = create(expression="0 9 * * mon", time_zone="Europe/Berlin")
    services.skip_next(None, schedule.pk)
    before = Schedule.objects.get()
    assert boss.post(change(schedule), {**shown(boss, change(schedule)), "_save": "Save"}).status_code == 302
    after = Schedule.objects.get()
    assert ScheduleDraft.of(after) == ScheduleDraft.of(before)
    assert (after.skip_at, after.spec_version) == (before.skip_at, before.spec_version)


def test_what_stands_in_hidden_fields_stops_nobody(boss: Client, target: Group) -> None:
    odd = {"month_day": "99", "every_amount": "x", "expression": "nonsense", "once_at": "never", "missed_cap": "999"}
    assert boss.post(ADD, typed(target, **odd)).status_code == 302


def test_words_that_were_not_used_fill_the_form_and_ask_again(boss: Client, target: Group) -> None:
    answer = boss.post(ADD, typed(target, words="every weekday at 7:30"))
    assert "Every weekday (Monday to Friday) at 07:30" in errors(answer)["words"][0] and not Schedule.objects.exists()
    form = answer.context["adminform"].form
    kept = {name: form[name].value() for name in ("words", "mode", "weekdays", "times", "name")}
    assert kept == {"words": "", "mode": "weekly", "weekdays": list("12345"), "times": "07:30", "name": "Weekly"}
    assert boss.post(ADD, typed(target, words="mondays at 9")).status_code == 302, "the fields say so already"


@pytest.mark.parametrize(
    ("field", "changes", "says"),
    [
        ("times", {"times": ""}, "Write at what time"),
        ("times", {"times": "8:00, 20:30"}, "must share their minutes"),
        ("weekdays", {"weekdays": []}, "at least one weekday"),
        ("weekdays", {"weekdays": ["9"]}, "not one of"),
        ("month_day", {"mode": "monthly", "month_day": "32"}, "less than or equal to 31"),
        ("month_day", {"mode": "monthly", "month_day": ""}, "from 1 to 31"),
        ("expression", {"mode": "cron", "expression": "0 0 31 2 *"}, "there is no 31 February"),
        ("once_at", {"mode": "once", "once_at": "2027-02-31T10:00"}, "February 2027 has 28 days, so there is no 31"),
        ("once_at", {"mode": "once", "once_at": "2026-13-01T10:00"}, "There is no month 13"),
        ("once_at", {"mode": "once", "once_at": ""}, "Write the date and time"),
        ("time_zone", {"time_zone": "Europe/Berlni"}, "Did you mean Europe/Berlin"),
        ("time_zone", {"time_zone": "berlin"}, "Did you mean Europe/Berlin"),
        ("time_zone", {"time_zone": ""}, "Write the time zone"),
        ("name", {"name": "x" * 201}, "at most 200 characters"),
        ("name", {"name": " "}, "Give the schedule a name"),
        ("what", {"what": "test:99999999999999999999999"}, "no longer exists"),
        ("mode", {"mode": "sometimes"}, "not one of the available choices"),
        ("words", {"words": "whenever you like"}, "I could not read"),
        ("every_amount", {"mode": "interval", "every_amount": "99999999999"}, "at most once a year"),
        ("ends_at", {"ends_at": "soon"}, "date and time that exist"),
        ("max_runs", {"max_runs": "99999999999999999999"}, "1 to 1,000,000"),
        ("start_deadline_minutes", {"start_deadline_minutes": "0.1"}, "at least one minute"),
        ("retries", {"retries": "\x00"}, "whole number"),
    ],
)
def test_bad_input_is_answered_at_its_field_and_everything_typed_is_kept(
    boss: Client, target: Group, field: str, changes: dict[str, Any], says: str
) -> None:
    answer = boss.post(ADD, typed(target, **{"jitter_minutes": "7", **changes}))
    found = errors(answer)
    assert says in " ".join(found[field]), found
    form = answer.context["adminform"].form
    assert form["jitter_minutes"].value() == "7" and form[field].value() == changes[field]
    assert not Schedule.objects.exists()


def test_a_zone_in_another_spelling_is_understood(boss: Client, target: Group) -> None:
    boss.post(ADD, typed(target, time_zone="america/new york"))
    assert Schedule.objects.get().time_zone == "America/New_York"


def test_an_end_before_the_first_run_is_refused_and_an_ended_schedule_may_still_be_renamed(
    boss: Client, target: Group, fake_clock: Callable[[str], Any]
) -> None:
    time = fake_clock("2026-11-20T17:55:00")
    early = typed(target, ends_at="2026-11-22T10:00")
    assert "before its first run, on Monday 23 November 2026 at 09:00" in errors(boss.post(ADD, early))["ends_at"][0]
    boss.post(ADD, typed(target, ends_at="2026-11-23T10:00"))
    schedule = Schedule.objects.get()
    time.value = time.value.replace(month=12)
    posted = {**shown(boss, change(schedule)), "name": "Renamed", "_save": "Save"}
    assert boss.post(change(schedule), posted).status_code == 302
    assert Schedule.objects.get().name == "Renamed"


def test_a_target_deleted_meanwhile_is_said_at_the_field(boss: Client, target: Group, create: MakeSchedule) -> None:
    schedule = create()
    values = typed(target, name="Another")
    target.delete()
    assert "no longer exists" in errors(boss.post(ADD, values))["what"][0]
    assert "no longer exists" in boss.get(change(schedule)).context["adminform"].form.fields["what"].help_text


def test_a_target_beyond_those_listed_can_still_be_edited(
    boss: Client, create: MakeSchedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schedules.forms.MAX_TARGETS_LISTED", 1)
    later = Group.objects.create(name="Not among the first")
    schedule = create(target_id=later.pk, time_zone="Europe/Berlin")
    assert boss.post(change(schedule), {**shown(boss, change(schedule)), "_save": "Save"}).status_code == 302
    assert Schedule.objects.get().target_id == later.pk


def test_the_same_form_posted_twice_makes_one_schedule_and_shows_it(boss: Client, target: Group) -> None:
    first, second = (boss.post(ADD, typed(target)) for _ in range(2))
    assert first["Location"] == second["Location"] and Schedule.objects.count() == 1
    assert AuditEntry.objects.filter(action="created the schedule").count() == 1
    assert "Nothing was made twice" in boss.get(second["Location"]).content.decode()


def test_the_same_name_with_other_values_or_by_somebody_else_is_refused(boss: Client, target: Group) -> None:
    boss.post(ADD, typed(target))
    assert "already called “Weekly”" in errors(boss.post(ADD, typed(target, times="10:00")))["name"][0]
    other = Client()
    other.force_login(User.objects.create_superuser("other"))
    assert "already called “Weekly”" in errors(other.post(ADD, typed(target)))["name"][0]
    assert Schedule.objects.count() == 1


def at_one_moment(clients: list[Client], values: dict[str, Any]) -> list[Any]:
    together = threading.Barrier(len(clients))
    answers: list[Any] = []

    def save(client: Client) -> None:
        together.wait()
        answers.append(client.post(ADD, values))
        connection.close()

    threads = [threading.Thread(target=save, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


@pytest.mark.django_db(transaction=True)
def test_two_saves_at_one_moment_make_one_schedule(target: Group) -> None:
    bosses = [User.objects.create_superuser(name) for name in ("boss", "other")]
    clients = [Client(), Client()]
    for client in clients:
        client.force_login(bosses[0])
    answers = at_one_moment(clients, typed(target))
    assert [answer.status_code for answer in answers] == [302, 302]
    assert answers[0]["Location"] == answers[1]["Location"] and Schedule.objects.count() == 1
    clients[1].force_login(bosses[1])  # and of two people who want one name, the second is told
    answers = at_one_moment(clients, typed(target, name="Wanted by both"))
    assert sorted(answer.status_code for answer in answers) == [200, 302]
    refused = next(answer for answer in answers if answer.status_code == 200)
    assert "already called" in errors(refused)["name"][0]


def test_a_name_taken_between_look_and_write_is_said_at_its_field_with_everything_kept(
    boss: Client, target: Group, create: MakeSchedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(name="Weekly")
    monkeypatch.setattr("schedules.timing_form.validate", lambda *values: None)  # the look came too early
    answer = boss.post(ADD, typed(target, jitter_minutes="7"))
    assert "already called “Weekly”" in errors(answer)["name"][0]
    assert answer.context["adminform"].form["jitter_minutes"].value() == "7"
    assert Schedule.objects.count() == 1


def test_the_second_editor_is_shown_who_changed_what_and_may_insist(
    boss: Client, create: MakeSchedule, draft: Callable[..., ScheduleDraft]
) -> None:
    schedule = create(time_zone="Europe/Berlin")
    mine = {**shown(boss, change(schedule)), "name": "Mine", "_save": "Save"}
    anna = User.objects.create_superuser("anna")
    services.edit_schedule(anna, schedule.pk, draft(name="Theirs", expression="0 8 * * 1", time_zone="Europe/Berlin"))
    preview = boss.post(f"/admin/schedules/schedule/preview/?schedule={schedule.pk}", mine).content.decode()
    assert "anna changed this schedule while you were editing" in preview
    answer = boss.post(change(schedule), mine)
    page = " ".join(unescape(answer.content.decode()).split())
    assert "anna changed the schedule" in page and "Name: Weekly → Theirs" in page and "at 08:00" in page
    form = answer.context["adminform"].form
    assert form["name"].value() == "Mine" and Schedule.objects.get().name == "Theirs"
    insisting = {**mine, "seen_version": form["seen_version"].value(), "seen_entry": form["seen_entry"].value()}
    assert boss.post(change(schedule), insisting).status_code == 302
    assert Schedule.objects.get().name == "Mine"


def test_a_copy_has_its_values_and_neither_name_pause_nor_what_is_past(
    boss: Client, create: MakeSchedule, fake_clock: Callable[[str], Any]
) -> None:
    fake_clock("2026-11-20T17:55:00")
    schedule = create(expression="30 7 * * 1#1", time_zone="Europe/Berlin", retries=3, jitter_seconds=90)
    services.pause_schedule(None, schedule.pk, reason="x")
    values = shown(boss, f"{ADD}?from={schedule.pk}")
    assert (values["name"], values["mode"], values["month_on"]) == ("Copy of Weekly", "monthly", "nth")
    assert boss.post(f"{ADD}?from={schedule.pk}", {**values, "_save": "Save"}).status_code == 302
    copy = Schedule.objects.exclude(pk=schedule.pk).get()
    assert (copy.expression, copy.retries, copy.jitter_seconds, copy.is_paused) == ("30 7 * * 1#1", 3, 90, False)
    assert shown(boss, f"{ADD}?from={schedule.pk}")["name"] == "Copy of Weekly (2)"
    Schedule.objects.filter(pk=schedule.pk).update(ends_at="2026-01-01T00:00Z")
    assert "ends_at" not in shown(boss, f"{ADD}?from={schedule.pk}")
    for odd in ("0", "abc", "99999999999999999999", "-1", "٣"):
        assert shown(boss, f"{ADD}?from={odd}")["mode"] == "weekly"


def test_a_copy_is_refused_to_who_may_not_see_the_original(client: Client, create: MakeSchedule) -> None:
    anna = User.objects.create_user("anna", is_staff=True)
    anna.user_permissions.add(Permission.objects.get(codename="add_schedule"))
    client.force_login(anna)
    assert client.get(f"{ADD}?from={create().pk}").status_code == 403


def test_the_templates_fill_the_form_with_timing_and_rules(boss: Client, target: Group) -> None:
    found = {template.key: shown(boss, template.url) for template in templates_offered.offered(None)}
    assert {key: (values["mode"], values["times"]) for key, values in found.items()} == {
        "weekly-newsletter": ("weekly", "09:00"),
        "monthly-report": ("monthly", "07:00"),
        "nightly-cleanup": ("daily", "03:30"),
    }
    assert found["weekly-newsletter"]["start_deadline_minutes"] == "30"
    assert shown(boss, f"{ADD}?template=nonsense")["times"] == "09:00"
    assert "Weekly newsletter" in boss.get(ADD).content.decode()


def test_only_templates_that_one_may_use_are_offered() -> None:
    anna = User.objects.create_user("anna", is_staff=True)
    assert templates_offered.offered(anna) == []
    anna.user_permissions.add(Permission.objects.get(codename="add_schedule"))
    anna = User.objects.get(pk=anna.pk)
    guarded = {kind.key for kind in kinds.schedulable() if kind.admin_permission}
    assert not guarded & {template.kind for template in templates_offered.offered(anna)}


def test_an_expired_session_leads_through_sign_in_back_to_the_form(boss: Client, target: Group) -> None:
    boss.logout()
    answer = boss.post(f"{ADD}?template=monthly-report", typed(target))
    assert answer["Location"] == "/admin/login/?next=/admin/schedules/schedule/add/%3Ftemplate%3Dmonthly-report"


def test_a_stale_token_is_answered_in_words(target: Group) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.create_superuser("boss"))
    answer = strict.post(ADD, typed(target))
    assert answer.status_code == 403 and "Please load the page again" in answer.content.decode()


def test_who_may_only_look_is_led_to_the_page_and_the_preview_is_closed_to_others(
    client: Client, create: MakeSchedule
) -> None:
    schedule = create()
    anna = User.objects.create_user("anna", is_staff=True)
    anna.user_permissions.add(Permission.objects.get(codename="view_schedule"))
    client.force_login(anna)
    assert client.get(change(schedule))["Location"] == f"/admin/schedules/schedule/{schedule.pk}/"
    preview = "/admin/schedules/schedule/preview/"
    assert (client.post(preview, {}).status_code, client.get(preview).status_code) == (403, 405)


def test_opening_the_form_costs_the_same_however_many_schedules_there_are(
    boss: Client, create: MakeSchedule, django_assert_max_num_queries: Any
) -> None:
    schedule = create()
    for number in range(15):
        create(name=f"S{number}")
    boss.get(ADD)
    with django_assert_max_num_queries(14):
        boss.get(ADD)
    with django_assert_max_num_queries(16):
        boss.get(change(schedule))
