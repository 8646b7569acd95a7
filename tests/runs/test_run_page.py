"""The page of one run: what it says, what follows live, and that a second click changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from runs import clock, explanations, ledger, queue_pauses, run_log, run_page
from runs.attempts import attempts_of
from runs.models import AuditEntry, Heartbeat, Run, RunEvent, RunLink
from runs.pace import Mark, pace, roughly
from runs.states import Reason, State, Trigger

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def plan(**changes: Any) -> Run:
    values: dict[str, Any] = {"kind": "test", "target_id": None, "target_label": "Target", "trigger": Trigger.MANUAL}
    return ledger.plan(ledger.NewRun(**(values | changes)))


def claimed(**changes: Any) -> ledger.Claim:
    claim = ledger.claim(plan(**changes).pk, "worker@m1:7")
    assert claim is not None
    return claim


def failed(**changes: Any) -> Run:
    claim = claimed(**changes)
    ledger.fail(claim, "The mail server refused the sender.", traceback="Traceback: secret detail")
    return Run.objects.get(pk=claim.run.pk)


def url(run: Run, verb: str = "change") -> str:
    return f"/admin/runs/run/{run.pk}/{verb}/"


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_explained_and_says_what_next(reason: Reason) -> None:
    state = State.FAILED if reason in (Reason.ERROR, Reason.WORKER_LOST) else State.SKIPPED
    said = explanations.explain(state, reason, reason.label)
    assert said is not None and said.happened.endswith(".") and said.next.endswith(".")
    assert not {"cron", "task", "lease", "None"} & set(said.happened.lower().replace(".", "").split())


def test_what_went_well_or_goes_on_needs_no_explanation() -> None:
    assert explanations.explain("succeeded", "") is None and explanations.explain("running", "worker_lost") is None


def test_a_pause_of_everything_is_told_from_a_pause_of_the_schedule() -> None:
    one = explanations.explain("skipped", "paused", "paused: new logo")
    everything = explanations.explain("skipped", "paused", "paused: everything is paused: move")
    assert one is not None and explanations.Step.RESUME in one.steps
    assert everything is not None and "Everything was paused" in everything.happened


def test_a_skipped_run_says_why_and_leads_to_where_the_pause_is_ended(boss: Client, client: Client) -> None:
    run = Run.objects.create(
        kind="test", schedule_id=9, schedule_name="Letter", due_at=NOON, state="skipped", reason="paused",
        reason_text="paused: Waiting for the new logo", finished_at=NOON,
    )  # fmt: skip
    page = boss.get(url(run)).content.decode()
    assert "Why it did not run" in page and "Waiting for the new logo" in page
    assert "Go to the schedule to resume it" in page
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_run"))
    client.force_login(viewer)
    page = client.get(url(run)).content.decode()
    assert (
        "to resume it" not in page
        and "Open the schedule" in page
        and "Run again" not in page.replace("choose Run again", "")
    )


def test_pace_is_said_in_words_and_not_invented() -> None:
    now = NOON + timedelta(minutes=82)
    told = pace(418_200, 1_000_000, "mails", start=Mark(NOON, 0), now=now)
    assert told.in_words == "418,200 of 1,000,000 mails · 5,100 a minute · about 1 h 54 min left"
    assert pace(5, 10, "", start=Mark(NOON, 0), now=NOON + timedelta(seconds=2)).in_words == "5 of 10"
    assert pace(5, 10, "", start=None, now=now).in_words == "5 of 10"
    assert pace(0, 10, "rows", start=Mark(NOON, 0), now=now).in_words == "0 of 10 rows"
    assert pace(50, None, "rows", start=Mark(NOON, 0), now=NOON + timedelta(hours=2)).in_words == "50 rows · 25 an hour"
    assert [roughly(s) for s in (20, 60, 3600, 90_000)] == ["under a minute", "1 min", "1 h", "1 day 1 h"]


def test_a_later_attempt_counts_from_what_the_page_saw_first(boss: Client) -> None:
    claim = claimed(max_attempts=2)
    ledger.progress(claim, 400, 1000, "mails")
    Run.objects.update(attempt=2, started_at=clock.now() - timedelta(seconds=1))
    first = boss.get(url(claim.run)).context["pace_start"]
    assert first.done == 400, "the 400 of the first attempt say nothing of the second one's pace"
    Run.objects.update(progress_done=460)
    since = Mark(first.at - timedelta(seconds=60), 400)
    shown = boss.get(url(claim.run), {"part": "live", "start": str(since)}).context["pace"]
    assert 55 <= shown.per_second * 60 <= 61
    for odd in ("x@y", "1@", "@2026-01-01", "9@2026-01-01T00:00:00", "5000@2026-01-01T00:00:00+00:00"):
        assert boss.get(url(claim.run), {"part": "live", "start": odd}).context["pace"].rate == ""


def test_the_live_part_brings_only_new_lines_through_the_readers_filter(boss: Client) -> None:
    claim = claimed()
    ledger.log(claim.run.pk, "First line")
    page = boss.get(url(claim.run), {"level": "warning"})
    assert "First line" not in page.content.decode() and "part=live" in page.content.decode()
    last = boss.get(url(claim.run)).context["last_line"]
    ledger.log(claim.run.pk, "Second line")
    ledger.log(claim.run.pk, "Bad address", level="warning")
    asked = {"part": "live", "state": "running", "last": last}
    news = boss.get(url(claim.run), asked).content.decode()
    assert "Second line" in news and "First line" not in news and "run-said" not in news
    filtered = boss.get(url(claim.run), {**asked, "level": "warning"}).content.decode()
    assert "Bad address" in filtered and "Second line" not in filtered
    ledger.finish(claim, "All 3 sent.")
    end = boss.get(url(claim.run), asked).content.decode()
    assert "Succeeded. All 3 sent." in end, "readers who do not see the screen are told of the new state"
    Run.objects.update(finished_at=clock.now() - timedelta(minutes=1))
    assert "part=live" not in boss.get(url(claim.run)).content.decode(), "what is over is not asked for again"


def test_the_log_is_filtered_paged_and_downloaded_whole(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_log, "SHOWN", 3)
    run = plan()
    for number in range(7):
        ledger.log(run.pk, f"Line {number}", level="error" if number == 1 else "info")
    page = boss.get(url(run))
    assert [event.message for event in page.context["log"].lines] == ["Line 4", "Line 5", "Line 6"]
    earlier = boss.get(url(run), {"before": page.context["log"].earlier_than})
    assert [event.message for event in earlier.context["log"].lines] == ["Line 1", "Line 2", "Line 3"]
    assert [event.message for event in boss.get(url(run), {"level": "error"}).context["log"].lines] == ["Line 1"]
    assert [event.message for event in boss.get(url(run), {"text": "LINE 6"}).context["log"].lines] == ["Line 6"]
    for odd in ("x", "-1", "9" * 30, "\x00"):
        assert boss.get(url(run), {"before": odd, "level": odd, "text": odd, "last": odd}).status_code == 200
    answer = boss.get(url(run, "log"))
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert len(text.splitlines()) == 7 and "error Line 1" in text and "attachment" in answer["Content-Disposition"]


def test_a_failure_is_told_in_words_first_and_its_links_are_there(boss: Client) -> None:
    run = failed()
    RunLink.objects.create(run=run, label="Open the issue", url="/admin/newsletters/issue/1/")
    page = boss.get(url(run)).content.decode()
    assert page.index("The mail server refused the sender.") < page.index("secret detail")
    assert '<details id="traceback">' in page and "Open the issue" in page


def test_running_again_is_linked_both_ways_and_a_second_click_leads_to_the_same_run(boss: Client) -> None:
    run = failed()
    first, second = (boss.post(url(run, "retry"), {"retries": "0"}) for _ in range(2))
    assert first["Location"] == second["Location"]
    again = Run.objects.get(retry_of=run)
    assert again.requested_by_name == "boss" and AuditEntry.objects.filter(action="ran it again").count() == 1
    assert boss.post(url(run, "retry"), {"retries": "1"})["Location"] == first["Location"], "it is still under way"
    page = boss.get(url(run)).content.decode()
    assert f"run {again.pk}</a>" in page and "It was run again by boss" in page
    assert f"run {run.pk}</a>" in boss.get(url(again)).content.decode()
    claim = ledger.claim(again.pk, "w")
    assert claim is not None
    ledger.finish(claim, "Done.")
    assert boss.post(url(run, "retry"), {"retries": "0"})["Location"] == first["Location"], "even after it has ended"
    assert Run.objects.filter(retry_of=run).count() == 1


def test_cancelling_a_running_run_says_what_happens_next_and_a_second_click_is_harmless(boss: Client) -> None:
    claim = claimed()
    for _ in range(2):
        answer = boss.post(url(claim.run, "cancel"), follow=True).content.decode()
        assert "asked to stop and does so at its next safe point" in answer and "Stopping…" in answer
    assert "what is done by then stays done" in answer
    assert AuditEntry.objects.filter(action="cancelled the run").count() == 1
    with pytest.raises(ledger.RunCancelled):
        ledger.renew(claim)
    ledger.cancelled(claim, "somebody cancelled it")
    assert "It is cancelled." in boss.post(url(claim.run, "cancel"), follow=True).content.decode()
    done = claimed()
    ledger.finish(done, "Done.")
    assert "already ended" in boss.post(url(done.run, "cancel"), follow=True).content.decode()


def test_an_acknowledgement_is_recorded_once_and_shown(boss: Client) -> None:
    run = failed()
    for _ in range(2):
        boss.post(url(run, "acknowledge"))
    page = boss.get(url(run)).content.decode()
    assert AuditEntry.objects.filter(action="acknowledged the run").count() == 1
    assert "boss acknowledged the run" in " ".join(page.split()) and 'id="acknowledge"' not in page


def test_attempts_are_told_one_by_one(boss: Client) -> None:
    run = plan(max_attempts=3)
    for number in range(3):
        Run.objects.update(not_before_at=None)
        claim = ledger.claim(run.pk, "w")
        assert claim is not None
        if number < 2:
            ledger.fail(claim, f"Refused for the {number + 1}. time.")
    told = attempts_of(Run.objects.get(pk=run.pk))
    assert [(one.number, one.word, one.outcome) for one in told] == [
        (1, "Failed", "Refused for the 1. time."), (2, "Failed", "Refused for the 2. time."), (3, "Running", "Under way."),
    ]  # fmt: skip
    assert "Refused for the 2. time." in boss.get(url(run)).content.decode()


def test_what_a_run_waits_for_is_said(boss: Client) -> None:
    run = plan(schedule_id=5, schedule_name="Letter")

    def says() -> str:
        return " ".join(boss.get(url(run)).content.decode().split())

    assert "No worker that takes runs of the queue “default”" in says()
    Heartbeat.objects.create(
        name="worker@m1:1", role="worker", started_at=clock.now(), seen_at=clock.now(), details={"queues": ["default"]}
    )
    assert "It is in line" in says()
    other = claimed(schedule_id=5, schedule_name="Letter")
    assert f"Run {other.run.pk} of the same schedule has not finished" in says()
    queue_pauses.pause_queue(None, "default", reason="the provider asked us to")
    assert "The queue “default” was paused" in says() and "the provider asked us to" in says()
    Run.objects.filter(pk=run.pk).update(not_before_at=clock.now() + timedelta(minutes=5))
    assert "spreads its starts" in says()


def test_the_timeline_names_the_waits() -> None:
    run = Run(
        due_at=NOON, published_at=NOON + timedelta(seconds=2), started_at=NOON + timedelta(seconds=65), state="running",
        attempt=1,
    )  # fmt: skip
    told = run_page.timeline(run, NOON + timedelta(minutes=10))
    assert [(step.label, step.wait) for step in told] == [
        ("Due", ""), ("Sent to a worker", "waited 2 seconds"), ("Started", "waited 1 minute 3 seconds"),
        ("Finished", "so far 8 minutes 55 seconds"),
    ]  # fmt: skip


def test_the_page_costs_the_same_however_long_its_log(boss: Client, django_assert_max_num_queries: Any) -> None:
    run = failed(max_attempts=1)
    RunEvent.objects.bulk_create([RunEvent(run=run, message=f"Line {n}", attempt=1) for n in range(500)])
    boss.get(url(run))
    with django_assert_max_num_queries(16):
        page = boss.get(url(run))
    assert len(page.context["log"].lines) == 200


def test_nothing_is_shown_to_those_who_may_not(client: Client) -> None:
    run = failed()
    client.force_login(User.objects.create_user("nobody", is_staff=True))
    assert {client.get(url(run, verb)).status_code for verb in ("change", "log")} == {403}
    assert {client.post(url(run, verb)).status_code for verb in ("cancel", "retry", "acknowledge")} == {403}
