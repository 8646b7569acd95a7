"""Very many rows, written by the database itself: PostgreSQL only, as all benchmarks."""

from __future__ import annotations


def schedules(count: int) -> None:
    """Grows to this many schedules that are due in a year."""
    from django.db import connection

    from cleanup.models import CleanupPolicy
    from runs import clock
    from schedules.models import Schedule

    policy, _ = CleanupPolicy.objects.get_or_create(name="benchmark", defaults={"targets": ["sessions"], "days": 30})
    have = Schedule.objects.count()
    if have == 0:
        _write_one(policy.pk)
        have = 1
    task = ", ".join(f'"{c}"' for c in _columns("django_celery_beat_periodictask") if c not in ("id", "name"))
    row = ", ".join(f'"{c}"' for c in _columns("schedules_schedule") if c not in ("id", "periodic_task_id"))
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # neither triggers nor foreign keys: only rows
        cursor.execute(
            f"INSERT INTO django_celery_beat_periodictask (name, {task}) SELECT 's' || n, {task}"
            " FROM django_celery_beat_periodictask t, generate_series(%s, %s) n WHERE t.name = 'one'",
            [have + 1, count],
        )
        cursor.execute(
            f"INSERT INTO schedules_schedule (periodic_task_id, {row}) SELECT p.id, {row}"
            " FROM django_celery_beat_periodictask p,"
            " (SELECT s.* FROM schedules_schedule s JOIN django_celery_beat_periodictask o ON o.id = s.periodic_task_id"
            "  WHERE o.name = 'one') t"
            " WHERE NOT EXISTS (SELECT 1 FROM schedules_schedule x WHERE x.periodic_task_id = p.id)"
        )
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("ANALYZE")
        cursor.execute("DELETE FROM schedules_outsideedit")
    assert Schedule.objects.count() == count, clock.now()


def _write_one(policy_id: int) -> None:
    from schedules import services
    from schedules.drafts import ScheduleDraft

    draft = ScheduleDraft.for_kind("cleanup", name="one", target_id=policy_id, expression="0 0 1 1 *")
    services.create_schedule(None, draft)


def _columns(table: str) -> list[str]:
    from django.db import connection

    with connection.cursor() as cursor:
        return [column.name for column in connection.introspection.get_table_description(cursor, table)]


def runs(count: int) -> None:
    """Adds this many runs of the schedules that are there, one a minute back from now, most of them succeeded."""
    from django.db import connection

    columns = {
        "kind": "'cleanup'", "target_label": "'benchmark'", "parameters": "'{}'", "time_zone": "'UTC'", "spec_version": "1",
        "trigger": "'schedule'", "reason_text": "''", "requested_by_name": "''", "queue": "'default'", "exclusive": "true",
        "publish_count": "1", "time_limit_seconds": "3600", "attempt": "1", "max_attempts": "1",
        "retry_delay_seconds": "60", "worker": "'w'", "duplicates_dropped": "0", "progress_done": "0",
        "progress_unit": "''", "result": "'Nothing to delete.'", "error": "''", "traceback": "''", "folded_count": "0",
        "schedule_id": "s.id", "schedule_name": "p.name", "due_at": "now() - n * interval '1 minute'",
        "created_at": "now() - n * interval '1 minute'", "published_at": "now() - n * interval '1 minute'",
        "started_at": "now() - n * interval '1 minute'", "finished_at": "now() - n * interval '1 minute'",
        "state": "CASE n %% 20 WHEN 0 THEN 'failed' WHEN 1 THEN 'missed' WHEN 2 THEN 'skipped' ELSE 'succeeded' END",
        "reason": "CASE n %% 20 WHEN 0 THEN 'error' WHEN 1 THEN 'deadline' WHEN 2 THEN 'overlap' ELSE '' END",
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO runs_run ({', '.join(columns)}) SELECT {', '.join(columns.values())}"
            " FROM generate_series(1, %s) n"
            " JOIN (SELECT id, periodic_task_id, row_number() OVER (ORDER BY id) - 1 AS place FROM schedules_schedule) s"
            "   ON s.place = n %% (SELECT count(*) FROM schedules_schedule)"
            " JOIN django_celery_beat_periodictask p ON p.id = s.periodic_task_id",
            [count],
        )
        cursor.execute("VACUUM ANALYZE runs_run")
