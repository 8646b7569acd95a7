"""A million orders in ten columns, as a data set of reports: numbers, days, moments, choices, and text that needs the guard."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import connection, models

from reports.datasets.registry import Column, DataSet, Kind, register
from reports.periods import Window

COUNTRIES = (("de", "Germany"), ("fr", "France"), ("gb", "Britain"), ("nl", "Netherlands"))


class Order(models.Model):
    """Its table is made here, and never by a migration."""

    id = models.BigIntegerField(primary_key=True)
    placed_at = models.DateTimeField()
    day = models.DateField()
    customer = models.CharField(max_length=100)
    email = models.CharField(max_length=200)
    country = models.CharField(max_length=2)
    items = models.IntegerField()
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    is_paid = models.BooleanField()
    note = models.TextField()

    objects: ClassVar[models.Manager[Order]] = models.Manager()

    class Meta:
        managed = False
        app_label = "reports"
        db_table = "benchmark_orders"

    def __str__(self) -> str:
        return str(self.pk)


COLUMNS = tuple(field.name for field in Order._meta.concrete_fields)


def fill(count: int) -> None:
    """Grows to so many, written by PostgreSQL itself."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS benchmark_orders (id bigint PRIMARY KEY, placed_at timestamptz NOT NULL, day date NOT NULL, "
            "customer varchar(100) NOT NULL, email varchar(200) NOT NULL, country varchar(2) NOT NULL, items integer NOT NULL, "
            "amount numeric(12,2) NOT NULL, is_paid boolean NOT NULL, note text NOT NULL)"
        )
        cursor.execute(
            "INSERT INTO benchmark_orders SELECT n, timestamptz '2020-01-01' + n * interval '17.3 seconds', "
            "date '2020-01-01' + (n / 5000)::int, 'Customer ' || n, 'customer' || n || '@example.org', "
            "(array['de', 'fr', 'gb', 'nl'])[1 + mod(n, 4)], mod(n, 20), mod(n, 100000)::numeric / 100, mod(n, 3) = 0, "
            "CASE WHEN mod(n, 10) = 0 THEN 'Left at the door, \"ring twice\"' WHEN mod(n, 50) = 1 THEN '=1+1' "
            "WHEN mod(n, 100) = 2 THEN E'Two\\nlines' ELSE 'As ordered on the telephone' END "
            "FROM generate_series(1 + (SELECT coalesce(max(id), 0) FROM benchmark_orders), %s) n",
            [count],
        )
        cursor.execute("VACUUM ANALYZE benchmark_orders")


def add_to_registry() -> None:
    """Makes it a data set that reports can list; whoever performs reports calls this."""
    kinds = {
        "DateTimeField": Kind.MOMENT, "DateField": Kind.DATE, "DecimalField": Kind.DECIMAL, "BooleanField": Kind.YES_NO,
        "IntegerField": Kind.INTEGER, "BigIntegerField": Kind.INTEGER,
    }  # fmt: skip
    columns = tuple(
        Column(
            field.name, field.name.replace("_", " ").title(), kinds.get(type(field).__name__, Kind.TEXT),
            choices=COUNTRIES if field.name == "country" else (),
        )
        for field in Order._meta.concrete_fields
    )  # fmt: skip

    def rows(window: Window) -> models.QuerySet[Any]:
        return Order.objects.all()  # whatever the days: a filter says how many

    register(DataSet("benchmark_orders", "Orders", columns, queryset=rows, order=("id",)))
