"""The buttons of the list and of a schedule's page: asked before, done once, by POST and by whoever may."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from runs import questions
from runs.models import AuditEntry, Run
from schedules import bulk, desk_pause, planner, services
from schedules.models import DeskPause, Schedule

pytestmark = pytest.mark.django_db
MakeSchedule = Callable[..., Schedule]
SetClock = Callable[[str], Any]
LIST = "/admin/schedules/schedule/"
DIALOG = {questions.HEADER: "question"}


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def text(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


# By POST, with a question first


@pytest.mark.parametrize("verb", ["pause", "resume", "run-now", "skip-next"])
def test_a_verb_opened_as_a_page_does_nothing_and_says_so(boss: Client, create: MakeSchedule, verb: str) -> None:
    schedule = create()
    answer = boss.get(f"{LIST}{schedule.pk}/{verb}/")
    assert answer.status_code == 405 and answer["Allow"] == "POST"
    assert "Nothing was changed" in text(answer) and 'href="../"' in text(answer)
    assert not Run.objects.exists() and not Schedule.objects.filter(paused_at__isnull=False).exists()


def test_pause_asks_why_then_does_it_and_leads_back_to_where_the_button_was(boss: Client, create: MakeSchedule) -> None:
    schedule = create()
    url, here = f"{LIST}{schedule.pk}/pause/", f"{LIST}?status=active&q=Week"
    asked = boss.post(url, {"next": here})
    assert asked.status_code == 200 and "Why?" in text(asked) and not asked.context["form"].is_bound
    assert here.replace("&", "&amp;") in text(asked)
    empty = boss.post(url, {"next": here, "reason": "  ", "until": "2026-13-01"})
    assert "This field is required" in text(empty) and "date and time that exist" in text(empty)
    assert "2026-13-01" in text(empty) and not Schedule.objects.get().is_paused
    done = boss.post(url, {"next": here, "reason": "New logo"})
    assert done["Location"] == here and Schedule.objects.get().pause_reason == "New logo"
    assert "is paused" in text(boss.get(here))


@pytest.mark.parametrize(
    "evil",
    [
        "https://evil.example/admin/schedules/schedule/", "//evil.example/admin/schedules/schedule/", "/admin/logout/",
        "javascript:alert(1)", "/admin/schedules/schedule/999/", r"/\evil.example", "",
    ],
)  # fmt: skip
def test_the_way_back_leads_to_our_own_two_pages_only(boss: Client, create: MakeSchedule, evil: str) -> None:
    schedule = create()
    done = boss.post(f"{LIST}{schedule.pk}/pause/", {"reason": "x", "next": evil})
    assert done["Location"] == f"{LIST}{schedule.pk}/"


def test_run_now_names_what_and_starts_only_when_confirmed_and_only_once(boss: Client, create: MakeSchedule) -> None:
    url = f"{LIST}{create().pk}/run-now/"
    asked = boss.post(url)
    assert "This starts <strong>Target</strong> now, once." in text(asked) and not Run.objects.exists()
    for key in ("", "k", "0" * 31):
        assert boss.post(url, {"form_key": key}).status_code == 200
    assert not Run.objects.exists()
    answers = [boss.post(url, {"form_key": asked.context["form_key"]}) for _ in range(2)]
    run = Run.objects.get()
    assert {answer["Location"] for answer in answers} == {f"/admin/runs/run/{run.pk}/change/"}


def test_run_now_says_how_many_people_it_reaches(boss: Client) -> None:
    from django.core.management import call_command

    from newsletters.models import Newsletter
    from schedules.drafts import ScheduleDraft

    call_command("loaddata", "demo_newsletters", verbosity=0)
    newsletter = Newsletter.objects.filter(name="Weekly letter").get()
    draft = ScheduleDraft.for_kind("newsletter", name="L", target_id=newsletter.pk, expression="0 9 * * 1")
    schedule = services.create_schedule(None, draft)
    assert "Sends to 200 subscribers" in text(boss.post(f"{LIST}{schedule.pk}/run-now/"))


def test_resume_asks_only_where_something_was_left_out(
    boss: Client, create: MakeSchedule, fake_clock: SetClock
) -> None:
    clock = fake_clock("2026-11-20T17:55:00")
    schedule = create(expression="0 9 * * *")
    url = f"{LIST}{schedule.pk}/resume/"
    services.pause_schedule(None, schedule.pk, reason="x")
    assert boss.post(url, {"next": LIST})["Location"] == LIST, "nothing was missed: nothing to ask"
    assert not Schedule.objects.get().is_paused
    assert "active already" in text(boss.post(url, follow=True))
    services.pause_schedule(None, schedule.pk, reason="x")
    clock.value = datetime(2026, 11, 21, 12, tzinfo=UTC)
    planner.plan_due()
    asked = boss.post(url)
    assert "1 run was left out" in text(asked) and Schedule.objects.get().is_paused
    boss.post(url, {"run": "all"})
    assert not Schedule.objects.get().is_paused and Run.objects.filter(trigger="backfill").count() == 1


def test_whoever_may_pause_but_not_run_is_shown_what_was_left_out(
    client: Client, create: MakeSchedule, fake_clock: SetClock
) -> None:
    clock = fake_clock("2026-11-20T17:55:00")
    schedule = create(expression="0 9 * * *")
    services.pause_schedule(None, schedule.pk, reason="x")
    clock.value = datetime(2026, 11, 21, 12, tzinfo=UTC)
    planner.plan_due()
    anna = User.objects.create_user("anna", is_staff=True)
    anna.user_permissions.add(Permission.objects.get(codename="pause_schedule"))
    client.force_login(anna)
    url = f"{LIST}{schedule.pk}/resume/"
    assert "They will not be made up for." in text(client.post(url))
    assert client.post(url, {"confirmed": "1"}).status_code == 302 and not Schedule.objects.get().is_paused


# Inside a dialog


def test_a_dialog_gets_the_question_alone_and_is_told_where_to_go(boss: Client, create: MakeSchedule) -> None:
    schedule = create()
    url = f"{LIST}{schedule.pk}/pause/"
    asked = boss.post(url, {"next": LIST}, headers=DIALOG)
    assert asked[questions.HEADER] == "question" and "<html" not in text(asked) and f'action="{url}"' in text(asked)
    assert "csrfmiddlewaretoken" in text(asked)
    refused = boss.post(url, {"next": LIST, "reason": ""}, headers=DIALOG)
    assert refused[questions.HEADER] == "question" and "This field is required" in text(refused)
    done = boss.post(url, {"next": LIST, "reason": "x"}, headers=DIALOG)
    assert done.status_code == 204 and done[questions.GO_TO] == LIST
    assert "is paused" in text(boss.get(LIST)), "the message waits for the page that comes next"


def test_without_a_token_or_a_permission_nothing_is_asked(client: Client, create: MakeSchedule) -> None:
    url = f"{LIST}{create().pk}/pause/"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.create_superuser("boss"))
    assert strict.post(url, headers=DIALOG).status_code == 403
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    for address in (url, f"{LIST}pause-everything/", f"{LIST}resume-everything/"):
        assert client.post(address, headers=DIALOG).status_code == 403


# Many at once


def choose(ids: list[int], action: str = "pause_selected", **more: str) -> dict[str, Any]:
    return {"action": action, "_selected_action": ids, **more}


def test_what_cannot_be_paused_is_named_and_the_others_are_paused(boss: Client, create: MakeSchedule) -> None:
    names = ("Good", "Broken", "Waiting", "Gone")
    made = {name: create(name=f"{name} one").pk for name in names}
    Schedule.objects.filter(pk=made["Broken"]).update(broken_reason="odd")
    services.pause_schedule(None, made["Waiting"], reason="its own reason")
    asked = boss.post(LIST, choose(list(made.values())))
    assert "broken: is left alone" in text(asked) and "keeps its own reason" in text(asked)
    services.delete_schedule(None, made["Gone"])
    told = text(boss.post(LIST, choose(list(made.values()), confirmed="1", reason="Christmas"), follow=True))
    assert "1 schedule paused." in told
    assert "“Gone one”: deleted a moment ago; “Broken one”: broken; edit it" in told and "“Waiting one”: paused" in told
    reasons = dict(Schedule.objects.values_list("periodic_task__name", "pause_reason"))
    assert reasons == {"Good one": "Christmas", "Broken one": "", "Waiting one": "its own reason"}
    assert AuditEntry.objects.get(action="paused the schedule", actor_name="boss").reason == "Christmas"


def test_a_time_that_has_passed_is_said_at_the_field_and_pauses_none(boss: Client, create: MakeSchedule) -> None:
    ids = [create(name=f"S{number}").pk for number in range(3)]
    answer = boss.post(LIST, choose(ids, confirmed="1", reason="Kept", until="2020-01-01T00:00"))
    assert "That time has passed" in text(answer) and 'value="Kept"' in text(answer)
    assert not Schedule.objects.filter(paused_at__isnull=False).exists()


def test_many_are_resumed_and_the_others_named(boss: Client, create: MakeSchedule) -> None:
    ids = [create(name=f"S{number}").pk for number in range(3)]
    for schedule_id in ids[:2]:
        services.pause_schedule(None, schedule_id, reason="x")
    told = text(boss.post(LIST, choose(ids, "resume_selected"), follow=True))
    assert "2 schedules resumed." in told and "“S2”: not paused" in told
    assert not Schedule.objects.filter(paused_at__isnull=False).exists()
    assert AuditEntry.objects.filter(action="resumed the schedule", actor_name="boss").count() == 2


@pytest.mark.parametrize("action", ["pause_selected", "resume_selected"])
def test_more_than_can_go_at_once_are_refused_in_words_and_none_is_touched(
    boss: Client, create: MakeSchedule, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setattr(bulk, "MOST", 2)
    ids = [create(name=f"S{number}").pk for number in range(3)]
    services.pause_schedule(None, ids[0], reason="x")
    chosen = choose(ids[:1], action, select_across="1", confirmed="", reason="y")
    chosen.pop("confirmed")
    told = text(boss.post(LIST, chosen, follow=True))
    assert "3 schedules are selected; at most 2 go at once. Nothing was changed." in told and "Pause everything" in told
    assert Schedule.objects.filter(paused_at__isnull=False).count() == 1


# Everything


def test_pausing_everything_says_what_it_stops_and_asks_why(
    boss: Client, create: MakeSchedule, fake_clock: SetClock
) -> None:
    fake_clock("2026-11-20T17:55:00")
    for number in range(7):
        create(name=f"S{number}", expression=f"{number} 9 * * *")
    services.pause_schedule(None, create(name="Paused").pk, reason="x")
    url = f"{LIST}pause-everything/"
    assert boss.get(url).status_code == 405
    asked = text(boss.post(url))
    assert (
        "7 active schedules" in asked and "S4" in asked and "S5" not in asked and "Sat 21 Nov 2026, 09:00 UTC" in asked
    )
    assert not DeskPause.objects.exists()
    assert "This field is required" in text(boss.post(url, {"reason": " "}))
    assert boss.post(url, {"reason": "The move", "next": f"{LIST}?p=1"})["Location"] == f"{LIST}?p=1"
    assert desk_pause.current() is not None
    assert "Everything is paused already." in text(boss.post(url, follow=True))
    again = boss.post(url, {"reason": "kept as typed"})
    assert "Everything is paused already." in text(again) and "kept as typed" in text(again)


def test_every_page_of_the_admin_says_who_paused_everything_why_and_lets_it_be_resumed(
    boss: Client, create: MakeSchedule
) -> None:
    desk_pause.pause_everything(User.objects.get(), reason="The <b>move</b>")
    pages = [LIST, "/admin/", "/admin/schedules/schedule/add/", f"{LIST}{create().pk}/", "/admin/runs/run/", "/admin/runs/",
             "/admin/auth/user/add/", "/admin/password_change/"]  # fmt: skip
    for page in pages:
        shown = text(boss.get(page))
        assert shown.count("Everything is paused by boss") == 1, page
        assert "The &lt;b&gt;move" in shown and "Resume everything</button>" in shown
    assert "Everything is paused" not in text(Client().get("/admin/login/"))
    assert boss.get(f"{LIST}resume-everything/").status_code == 405
    told = text(boss.post(f"{LIST}resume-everything/", follow=True))
    assert "run again from their next due times on" in told and "Everything is paused" not in told
    assert "resumed already" in text(boss.post(f"{LIST}resume-everything/", follow=True))


def test_whoever_may_not_resume_everything_sees_the_banner_without_the_button(client: Client) -> None:
    desk_pause.pause_everything(None, reason="The move")
    client.force_login(User.objects.create_user("viewer", is_staff=True))
    shown = text(client.get("/admin/"))
    assert "Everything is paused</strong> since" in shown and "Resume everything" not in shown


def test_the_banner_costs_one_question_on_a_page_of_another_part(boss: Client) -> None:
    with CaptureQueriesContext(connection) as asked:
        boss.get("/admin/newsletters/newsletter/")
    about = [query["sql"] for query in asked if "schedules_deskpause" in query["sql"]]
    assert len(about) == 1, about


# What a hurried or a stale page sends


def test_a_second_pause_leaves_the_first_one_as_it_is_and_says_so(boss: Client, create: MakeSchedule) -> None:
    schedule = create()
    services.pause_schedule(None, schedule.pk, reason="Legal stop")
    with pytest.raises(ValidationError, match="paused already: Legal stop"):
        services.pause_schedule(None, schedule.pk, reason="until Monday")
    answer = boss.post(f"/admin/schedules/schedule/{schedule.pk}/pause/", {"reason": "until Monday"}, follow=True)
    assert "is paused already: Legal stop. Nothing was changed." in answer.content.decode()
    schedule.refresh_from_db()
    assert schedule.pause_reason == "Legal stop"
    services.pause_schedule(None, schedule.pk, reason="From a file", replace=True)
    schedule.refresh_from_db()
    assert schedule.pause_reason == "From a file"


def test_the_question_names_the_clock_that_its_end_is_read_by(boss: Client, create: MakeSchedule) -> None:
    schedule = create(time_zone="Europe/Berlin")
    page = boss.post(f"/admin/schedules/schedule/{schedule.pk}/pause/").content.decode()
    assert "Until (the clock of Europe/Berlin)" in page


def test_a_chosen_number_that_no_database_holds_is_left_out(boss: Client, create: MakeSchedule) -> None:
    create()
    for action in ("pause_selected", "resume_selected"):
        data = {"action": action, "_selected_action": "9" * 30}
        assert boss.post("/admin/schedules/schedule/", data, follow=True).status_code == 200


def test_what_it_runs_was_deleted_is_seen_before_it_is_due(boss: Client, create: MakeSchedule) -> None:
    schedule = create()
    Group.objects.all().delete()
    for address in ("/admin/schedules/schedule/", f"/admin/schedules/schedule/{schedule.pk}/"):
        page = boss.get(address).content.decode()
        assert "Broken" in page and "no longer exists" in page
