"""A thousand of everything that a list may show, each with what its row asks for; written by ``bulk_create``.

A model whose list is in the admin needs a line in ROWS: its rows ``start`` to ``end``, as the people would leave them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import Model
from django_celery_beat.models import PeriodicTask

from cleanup.models import ArchivePart, CleanupPolicy, CleanupRun, Hold
from newsletters.models import (
    BounceMailbox,
    Delivery,
    FeedbackMessage,
    Image,
    ImageSize,
    ImportJob,
    ImportProblem,
    Issue,
    LetterTemplate,
    List,
    Newsletter,
    Segment,
    Subscriber,
    SubscriberField,
    Subscription,
    Suppression,
)
from reports.models import Artefact, DownloadEvent, ReportDefinition, ReportQuery, ReportRun
from runs import clock
from runs.models import Alert, AuditEntry, Run, RunEvent
from schedules.models import HolidayCalendar, Schedule

Rows = Callable[[range], object]
AT = datetime(2026, 1, 1, tzinfo=UTC)


def users(numbers: range) -> object:
    made = User.objects.bulk_create(User(username=f"person{n}", is_staff=True) for n in numbers)
    group, _ = Group.objects.get_or_create(name="Everybody")
    return User.groups.through.objects.bulk_create(User.groups.through(user=user, group=group) for user in made)


def groups(numbers: range) -> object:
    return Group.objects.bulk_create(Group(name=f"Role {n}") for n in numbers)


def calendars(numbers: range) -> object:
    made = HolidayCalendar.objects.bulk_create(
        HolidayCalendar(name=f"Calendar {n}", own_days="12-24 Off", changed_at=AT) for n in numbers
    )
    return _schedules(numbers, lambda n: {"calendar": made[n - numbers.start]})


def schedules(numbers: range) -> object:
    made = _schedules(numbers, lambda n: {"owner_id": User.objects.values_list("pk").first()[0]})  # type: ignore[index]
    return _runs(numbers, lambda n: {"schedule_id": made[n - numbers.start].pk, "schedule_name": f"Schedule {n}"})


def _schedules(numbers: range, more: Callable[[int], dict[str, Any]]) -> list[Schedule]:
    policy, _ = CleanupPolicy.objects.get_or_create(name="Old", targets=["sessions"], days=30)
    now = clock.now()
    tasks = PeriodicTask.objects.bulk_create(PeriodicTask(name=f"Schedule {n}", task="x") for n in numbers)
    return Schedule.objects.bulk_create(
        Schedule(
            periodic_task=task, kind="cleanup", target_id=policy.pk, expression=f"{n % 60} {n % 24} * * *",
            cursor_at=now, next_due_at=now + timedelta(minutes=n + 1), paused_at=now if n % 5 == 0 else None, **more(n),
        )
        for n, task in zip(numbers, tasks, strict=True)
    )  # fmt: skip


def runs(numbers: range) -> object:
    schedule_id = Schedule.objects.order_by("pk").values_list("pk", flat=True).first()
    return _runs(numbers, lambda n: {"schedule_id": schedule_id, "requested_by_name": "Anna" if n % 3 else ""})


def _runs(numbers: range, more: Callable[[int], dict[str, Any]]) -> object:
    now, states = clock.now(), ("succeeded", "failed", "missed", "skipped", "cancelled")
    made = Run.objects.bulk_create(
        Run(
            kind="cleanup", target_label="Old", trigger="manual", due_at=now - timedelta(minutes=n + 1), finished_at=now,
            state=states[n % 5], **more(n),
        )
        for n in numbers
    )  # fmt: skip
    return RunEvent.objects.bulk_create(RunEvent(run=made[0], message=f"Line {n}") for n in numbers)


def alerts(numbers: range) -> object:
    return Alert.objects.bulk_create(
        Alert(key=f"a{n}", title="Late", schedule_id=n, first_seen_at=AT, last_seen_at=AT) for n in numbers
    )


def entries(numbers: range) -> object:
    return AuditEntry.objects.bulk_create(
        AuditEntry(actor_name="Anna", action="changed it", object_type="auth.user", object_id=str(n)) for n in numbers
    )


def subscribers(numbers: range) -> object:
    made = Subscriber.objects.bulk_create(
        Subscriber(email=f"r{n}@example.org", email_norm=f"r{n}@example.org") for n in numbers
    )
    chosen, _ = List.objects.get_or_create(name="Readers", slug="readers")
    return Subscription.objects.bulk_create(Subscription(subscriber=one, list=chosen) for one in made)


def lists(numbers: range) -> object:
    reader, _ = Subscriber.objects.get_or_create(email="r@example.org", email_norm="r@example.org")
    made = List.objects.bulk_create(List(name=f"List {n}", slug=f"list-{n}") for n in numbers)
    return Subscription.objects.bulk_create(Subscription(subscriber=reader, list=one) for one in made)


def suppressions(numbers: range) -> object:
    return Suppression.objects.bulk_create(
        Suppression(address_hash=f"{n:064}", email_norm=f"s{n}@example.org") for n in numbers
    )


def fields(numbers: range) -> object:
    return SubscriberField.objects.bulk_create(SubscriberField(key=f"field_{n}", label=f"Field {n}") for n in numbers)


def segments(numbers: range) -> object:
    rule = {"all": [{"about": "bounced", "op": "never"}]}
    made = Segment.objects.bulk_create(Segment(name=f"Segment {n}", rule=rule) for n in numbers)
    return Newsletter.objects.bulk_create(
        Newsletter(name=f"To {one.pk}", subject="News", body="x", segment=one) for one in made
    )


def layouts(numbers: range) -> object:
    made = LetterTemplate.objects.bulk_create(
        LetterTemplate(name=f"Layout {n}", source="<p>{{ content }}</p>") for n in numbers
    )
    return Newsletter.objects.bulk_create(
        Newsletter(name=f"In {one.pk}", subject="News", body="x", template=one) for one in made
    )


def imports(numbers: range) -> object:
    owner = User.objects.first()
    made = ImportJob.objects.bulk_create(
        ImportJob(file="x", original_name=f"{n}.csv", state="done", rows=2, wrong=1, owner=owner) for n in numbers
    )
    return ImportProblem.objects.bulk_create(
        ImportProblem(job=one, row=2, kind="wrong", message="No address.") for one in made
    )


def mailboxes(numbers: range) -> object:
    return BounceMailbox.objects.bulk_create(BounceMailbox(name=f"Bounces {n}") for n in numbers)


def images(numbers: range) -> object:
    owner = User.objects.first()
    made = Image.objects.bulk_create(Image(file="x", original_name=f"{n}.png", owner=owner) for n in numbers)
    return ImageSize.objects.bulk_create(ImageSize(image=one, width=10, height=10, file="y") for one in made)


def newsletters(numbers: range) -> object:
    chosen, _ = List.objects.get_or_create(name="Readers", slug="readers")
    made = Newsletter.objects.bulk_create(Newsletter(name=f"Letter {n}", subject="News", body="x") for n in numbers)
    through = Newsletter.lists.through
    through.objects.bulk_create(through(newsletter_id=one.pk, list_id=chosen.pk) for one in made)
    return Issue.objects.bulk_create(Issue(newsletter=one, scheduled_for=AT, subject="News") for one in made)


def issues(numbers: range) -> object:
    letter, _ = Newsletter.objects.get_or_create(name="Letter", subject="News", body="x")
    return Issue.objects.bulk_create(
        Issue(newsletter=letter, scheduled_for=AT + timedelta(days=n), subject="News", state="paused") for n in numbers
    )


def deliveries(numbers: range) -> object:
    if not Issue.objects.exists():
        issues(range(1))
    issue = Issue.objects.first()
    return Delivery.objects.bulk_create(
        Delivery(issue=issue, email=f"r{n}@example.org", email_norm=f"r{n}@example.org", state=3) for n in numbers
    )


def feedback(numbers: range) -> object:
    return FeedbackMessage.objects.bulk_create(FeedbackMessage(text=f"Thanks {n}") for n in numbers)


def definitions(numbers: range) -> object:
    owner = User.objects.first()
    return ReportDefinition.objects.bulk_create(
        ReportDefinition(name=f"Report {n}", data_set="deliveries_per_day", owner=owner) for n in numbers
    )


def queries(numbers: range) -> object:
    who = User.objects.first()
    made = ReportQuery.objects.bulk_create(
        ReportQuery(name=f"Query {n}", sql="SELECT 1", author=who, approved_by=who, approved_at=AT, approved_sha256="x")
        for n in numbers
    )
    return ReportDefinition.objects.bulk_create(ReportDefinition(name=f"Of {one}", query=one) for one in made)


def artefacts(numbers: range) -> object:
    made = ReportRun.objects.bulk_create(
        ReportRun(name="Numbers", run_id=n, scheduled_for=AT, period="x", window_start=AT, window_end=AT)
        for n in numbers
    )
    return Artefact.objects.bulk_create(
        Artefact(report_run=one, file_name="x.csv", byte_count=1, row_count=1, sha256="0" * 64, expires_at=AT)
        for one in made
    )


def report_runs(numbers: range) -> object:
    """Each made again of the first, with several files."""
    now = clock.now()
    runs = Run.objects.bulk_create(Run(kind="report", due_at=now, trigger="manual") for _ in numbers)
    report, _ = ReportDefinition.objects.get_or_create(name="Numbers", data_set="deliveries_per_day")
    first = ReportRun.objects.order_by("pk").first()
    made = ReportRun.objects.bulk_create(
        ReportRun(
            definition=report, name="Numbers", run_id=run.pk, scheduled_for=AT, period="x", window_start=AT, window_end=AT,
            state="succeeded", again_of=first,
        )
        for run in runs
    )  # fmt: skip
    files = Artefact.objects.bulk_create(
        Artefact(
            report_run=one, format=kind, file_name=f"x.{kind}", byte_count=1, row_count=1, sha256="0" * 64, expires_at=now
        )
        for one in made
        for kind in ("csv", "pdf")
    )  # fmt: skip
    return DownloadEvent.objects.bulk_create(DownloadEvent(artefact=files[0]) for _ in numbers)


def policies(numbers: range) -> object:
    owner = User.objects.first()
    return CleanupPolicy.objects.bulk_create(
        CleanupPolicy(name=f"Policy {n}", targets=["sessions"], days=30, owner=owner) for n in numbers
    )


def archives(numbers: range) -> object:
    """As many runs of one policy, each with its archive and a hold."""
    policy, _ = CleanupPolicy.objects.get_or_create(name="Old", targets=["sessions"], days=30)
    runs = CleanupRun.objects.bulk_create(
        CleanupRun(
            policy=policy, policy_name="Old", run_id=n + 1, rule=policy.rule(), started_at=AT, state="done", backlog=n
        )
        for n in numbers
    )
    holds(numbers)
    return ArchivePart.objects.bulk_create(
        ArchivePart(
            cleanup_run=run, target="sessions", number=1, format="jsonl", database="x", sha256="0" * 64, written_at=AT
        )
        for run in runs
    )


def holds(numbers: range) -> object:
    who = User.objects.first()
    return Hold.objects.bulk_create(
        Hold(target="sessions", object_id=str(n), reason="A court asks", created_by=who) for n in numbers
    )


ROWS: dict[type[Model], Rows] = {
    User: users, Group: groups, HolidayCalendar: calendars, Schedule: schedules, Run: runs, Alert: alerts,
    AuditEntry: entries, Subscriber: subscribers, List: lists, Suppression: suppressions, Image: images,
    SubscriberField: fields, Segment: segments, LetterTemplate: layouts, ImportJob: imports, BounceMailbox: mailboxes, Newsletter: newsletters, Issue: issues, Delivery: deliveries, FeedbackMessage: feedback,
    ReportDefinition: definitions, ReportQuery: queries, Artefact: artefacts, ReportRun: report_runs, CleanupPolicy: policies, Hold: holds, ArchivePart: archives,
}  # fmt: skip
