"""What a query is to become, and the one validation that every door goes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError

from reports.models import ReportQuery
from reports.queries import parameters
from reports.queries.parameters import Parameter
from runs import names

MAX_NAME = 120
MAX_DESCRIPTION = 300
MAX_SQL = 20_000


@dataclass(frozen=True)
class QueryDraft:
    """Everything that staff write."""

    name: str
    sql: str
    description: str = ""
    parameters: tuple[Parameter, ...] = ()

    @classmethod
    def of(cls, query: ReportQuery) -> QueryDraft:
        """As it is stored."""
        return cls(query.name, query.sql, query.description, tuple(parameters.read(query.parameters)))

    def column_values(self) -> dict[str, Any]:
        """For the query's row."""
        return {
            "name": self.name,
            "description": self.description,
            "sql": self.sql,
            "parameters": [one.to_json() for one in self.parameters],
        }


def validate(draft: QueryDraft, existing: ReportQuery | None = None) -> None:
    """Raises ValidationError with a message per field, in plain words."""
    errors: dict[str, list[str]] = {}
    others = ReportQuery.objects.exclude(pk=existing.pk) if existing is not None else ReportQuery.objects.all()
    if wrong := names.problem(draft.name, "SQL query", "Readers by district", max_length=MAX_NAME, others=others):
        errors["name"] = [wrong]
    if len(draft.description) > MAX_DESCRIPTION:
        errors["description"] = [f"Write at most {MAX_DESCRIPTION} characters."]
    if wrong := problem_with_sql(draft.sql, draft.parameters):
        errors["sql"] = [wrong]
    if len(draft.parameters) > parameters.MAX_PARAMETERS:
        errors["parameters"] = [f"A query may have at most {parameters.MAX_PARAMETERS} parameters."]
    elif found := parameters.problems(draft.parameters):
        errors["parameters"] = [message for fields in found.values() for message in fields.values()]
    if errors:
        raise ValidationError(errors)


def problem_with_sql(sql: str, declared: Sequence[Parameter]) -> str:
    """What is wrong with a text before any database is asked, in words; empty when nothing is."""
    if not sql.strip():
        return "Write the SELECT."
    if len(sql) > MAX_SQL:
        return f"Write at most {MAX_SQL:,} characters."
    if "\0" in sql:
        return "It holds a character (NUL) that no database can read. Take it out."
    return parameters.problem_with_text(sql, declared)
