"""Runs of many schedules with a log line each, and recipients of issues with what came back, all old."""

from __future__ import annotations

from django.db import connection

ISSUES = 30


def fill(count: int, schedules: int, policy_id: int) -> None:
    """So many runs, of schedules of the policy, and as many deliveries, written by PostgreSQL itself.

    Every column that has no default gets one.
    """
    from newsletters.models import Delivery, Issue, Newsletter, ReaderEvent
    from runs.models import Run, RunEvent
    from schedules import services
    from schedules.drafts import ScheduleDraft
    from schedules.models import Schedule

    for number in range(schedules):
        draft = ScheduleDraft.for_kind("cleanup", name=f"S{number}", target_id=policy_id, expression="0 3 * * *")
        services.create_schedule(None, draft)
    letter = Newsletter.objects.create(name="Letter", subject="News", body="News")
    first = Schedule.objects.order_by("pk").values_list("pk", flat=True)[0]
    old = "now() - interval '400 days' + n * interval '20 seconds'"
    issues = Issue.objects.bulk_create(Issue(newsletter=letter, subject=f"I{n}", state="sent") for n in range(ISSUES))
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {Issue._meta.db_table} SET started_at = now() - interval '200 days', finished_at = now() - interval '199 days'"
        )
        _insert(
            cursor, Run, count, schedule_id=f"{first} + mod(n, {schedules})", due_at=old, finished_at=old, created_at=old,
            kind="'cleanup'", state="'succeeded'", trigger="'schedule'", schedule_name="'Nightly'",
        )  # fmt: skip
        cursor.execute(f"SELECT max(id) FROM {Run._meta.db_table}")
        last = cursor.fetchone()[0]
        _insert(cursor, RunEvent, count, run_id=f"{last - count} + n", at=old, message="'It began.'", level="'info'")
        _insert(
            cursor, Delivery, count, issue_id=f"{issues[0].pk} + (n - 1) * {ISSUES} / {count}", email="'r' || n || '@example.org'",
            email_norm="'r' || n || '@example.org'", state="CASE WHEN mod(n, 50) = 0 THEN 4 ELSE 3 END",
            sent_at="now() - interval '200 days' + mod(n, 7200) * interval '1 second'",
        )  # fmt: skip
        cursor.execute(f"SELECT max(id) FROM {Delivery._meta.db_table}")
        last = cursor.fetchone()[0]
        _insert(
            cursor, ReaderEvent, count // 50, delivery_id=f"{last - count} + n * 50", kind="'hard'", at=old,
            issue_id=f"{issues[0].pk}",
        )  # fmt: skip
        cursor.execute("VACUUM ANALYZE")


def _insert(cursor: object, model: type, count: int, **expressions: str) -> None:
    """Rows from expressions of ``n``; what is not given is the field's default, or empty."""
    from django.db.models import NOT_PROVIDED

    names, values, parameters = [], [], []
    for field in model._meta.concrete_fields:  # type: ignore[attr-defined]
        if field.primary_key:
            continue
        names.append(connection.ops.quote_name(field.column))
        if field.column in expressions:
            values.append(expressions[field.column])
            continue
        default = None if field.null else "" if field.default is NOT_PROVIDED else field.get_default()
        values.append("%s")
        parameters.append(field.get_db_prep_save(default, connection))
    table = connection.ops.quote_name(model._meta.db_table)  # type: ignore[attr-defined]
    cursor.execute(  # type: ignore[attr-defined]
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM generate_series(1, {count}) n",
        parameters,
    )
