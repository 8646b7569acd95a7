"""Visits of pages with notes on some of them, as a target of cleanup: parents and children with real foreign keys."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import connection, models

from cleanup.targets import Child, Target, register

DAYS = 90
"""The policy's age: visits are 100 to 400 days old, and a tenth as many are new and stay."""


class Visit(models.Model):
    """Its table is made here, and never by a migration."""

    id = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    page = models.CharField(max_length=200)
    browser = models.CharField(max_length=200)
    seconds = models.IntegerField()
    is_new = models.BooleanField()

    objects: ClassVar[models.Manager[Visit]] = models.Manager()

    class Meta:
        app_label = "cleanup"
        db_table = "benchmark_visit"

    def __str__(self) -> str:
        return self.page


class VisitNote(models.Model):
    """Something that was noted of a visit."""

    id = models.BigIntegerField(primary_key=True)
    visit: models.ForeignKey[Visit, Visit] = models.ForeignKey(Visit, on_delete=models.CASCADE)
    text = models.TextField()

    objects: ClassVar[models.Manager[VisitNote]] = models.Manager()

    class Meta:
        app_label = "cleanup"
        db_table = "benchmark_visitnote"

    def __str__(self) -> str:
        return self.text


def add_to_registry() -> None:
    """Makes them a target; whoever cleans them calls this."""
    register(
        Target(
            key="benchmark_visits", label="Visits", noun=("visit", "visits"), model="cleanup.Visit", date_field="at",
            floor_days=1, children=(Child("cleanup.VisitNote", "visit"),),
        )
    )  # fmt: skip


def create() -> None:
    """Both tables, with their keys and indexes, as Django makes them."""
    with connection.schema_editor() as editor:
        editor.create_model(Visit)
        editor.create_model(VisitNote)


def fill(count: int) -> None:
    """So many old visits and a third as many notes on them, and new visits; written by PostgreSQL itself, none from before."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE benchmark_visit, benchmark_visitnote")
        values: dict[str, Any] = {"old": count, "all": count + count // 10}
        cursor.execute(
            "INSERT INTO benchmark_visit SELECT n, now() - CASE WHEN n <= %(old)s THEN interval '400 days' - "
            "interval '300 days' * (n::float / %(old)s) ELSE interval '1 day' END, '/pages/' || mod(n, 5000) || "
            "'/something-long-enough', 'Mozilla/5.0 (X11; Linux x86_64) ' || mod(n, 97), mod(n, 600), mod(n, 3) = 0 "
            "FROM generate_series(1, %(all)s) n",
            values,
        )
        cursor.execute(
            "INSERT INTO benchmark_visitnote SELECT n, n * 3, 'What somebody wrote about visit ' || n * 3 "
            "FROM generate_series(1, %(old)s / 3) n",
            values,
        )
        cursor.execute("VACUUM ANALYZE benchmark_visit, benchmark_visitnote")
        cursor.execute("CHECKPOINT")


def left() -> tuple[int, int]:
    """How many visits and notes there are."""
    return Visit.objects.count(), VisitNote.objects.count()
