"""The forms of a query's page: its text, the rows of its parameters, and the values to try it with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from reports import periods
from reports.models import ReportQuery
from reports.periods import Window
from reports.queries import approval
from reports.queries.drafts import MAX_DESCRIPTION, MAX_NAME, QueryDraft
from reports.queries.parameters import MAX_LABEL, MAX_PARAMETERS, Kind, Parameter
from runs import clock
from runs.row_numbers import row_number

DAYS_WORDS = "Choose a last day on or after the first, between the years 1970 and 2199."


class QueryForm(forms.Form):
    """What it is called and what it asks the database."""

    name = forms.CharField(
        label="Name", max_length=MAX_NAME, widget=UnfoldAdminTextInputWidget,
        help_text="How you and others will recognise it, such as “Readers by district”.",
    )  # fmt: skip
    description = forms.CharField(
        label="What it answers", max_length=MAX_DESCRIPTION, required=False, widget=UnfoldAdminTextInputWidget,
        help_text="In a sentence, for whoever chooses it for a report, and for whoever approves it.",
    )  # fmt: skip
    sql = forms.CharField(
        label="SQL", strip=False, widget=UnfoldAdminTextareaWidget(attrs={
            "rows": 14, "class": "rq-sql", "spellcheck": "false", "autocapitalize": "off", "autocomplete": "off", "wrap": "off",
        }),
        help_text="One SELECT. Write :name where a value belongs, and say below what it is. The order of the columns is that of "
        "the file; their names are its heads.",
    )  # fmt: skip
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: QueryDict | None, query: ReportQuery) -> None:
        kept = {"name": query.name, "description": query.description, "sql": query.sql}
        super().__init__(data, initial={**kept, "seen": approval.current(query) if query.pk else ""})

    def draft(self, declared: Sequence[Parameter]) -> QueryDraft:
        """What was typed, as the services take it."""
        typed = self.data
        sql = str(typed.get("sql", "")).replace("\r\n", "\n")
        return QueryDraft(
            str(typed.get("name", "")).strip(), sql, str(typed.get("description", "")).strip(), tuple(declared)
        )


class ParameterForm(forms.Form):
    """One row of the parameters."""

    name = forms.CharField(
        label="Name in the SQL",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"spellcheck": "false", "autocapitalize": "off"}),
    )
    kind = forms.ChoiceField(
        label="What it is", choices=[(kind.value, kind.label) for kind in Kind], widget=UnfoldAdminSelectWidget
    )
    label = forms.CharField(
        label="What people are asked", required=False, max_length=MAX_LABEL, widget=UnfoldAdminTextInputWidget
    )
    choices = forms.CharField(
        label="Values to choose from",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "north, south"}),
    )
    default = forms.CharField(label="If left empty", required=False, widget=UnfoldAdminTextInputWidget)

    def __init__(
        self, number: int, typed: Mapping[str, str], wrong: Mapping[str, str], *, is_new: bool = False
    ) -> None:
        super().__init__(prefix=f"p{number}", initial=dict(typed))
        self.number, self.wrong = number, wrong
        self.title = f"Parameter {number + 1}"
        for field in wrong:
            self.fields[field].widget.attrs |= {"aria-invalid": "true", "aria-describedby": f"p{number}-{field}-wrong"}
        if is_new:
            self.fields["name"].widget.attrs["autofocus"] = True

    def shown(self) -> list[tuple[Any, str]]:
        """(field, what is wrong with it)."""
        return [(self[name], self.wrong.get(name, "")) for name in self.fields]


_FIELDS = ("name", "kind", "label", "choices", "default")


def typed_rows(posted: QueryDict) -> list[dict[str, str]]:
    """The rows of parameters as they were typed."""
    count = min(row_number(posted.get("rows", "")) or 0, MAX_PARAMETERS + 1)
    return [{field: posted.get(f"p{number}-{field}", "") for field in _FIELDS} for number in range(count)]


def rows_of(declared: Sequence[Parameter]) -> list[dict[str, str]]:
    """The rows of stored parameters."""
    return [
        {
            "name": one.name,
            "label": one.label,
            "kind": one.kind,
            "choices": ", ".join(one.choices),
            "default": one.default,
        }
        for one in declared
    ]


def declared(rows: Sequence[Mapping[str, str]]) -> list[Parameter]:
    """The rows as parameters; one in which nothing was written is none, so these may be fewer."""
    found = []
    for row in rows:
        if not any(row[field].strip() for field in ("name", "label", "choices", "default")):
            continue
        kind = Kind(row["kind"]) if row["kind"] in set(Kind) else Kind.TEXT
        name = row["name"].strip().removeprefix(":")
        choices = [one.strip() for one in row["choices"].split(",")] if kind is Kind.CHOICE else []
        default = "" if kind.is_of_period else row["default"].strip()
        found.append(Parameter(name, row["label"].strip() or name, kind, default, tuple(one for one in choices if one)))
    return found


class TryForm(forms.Form):
    """The values to try a query with; those of the report's days are two dates."""

    def __init__(self, declared: Sequence[Parameter], *, data: QueryDict | None = None) -> None:
        super().__init__(prefix="v")
        self.zone = timezone.get_current_timezone_name()
        self._window = periods.resolve("last_week", clock.now(), self.zone)
        self._data = data
        self._declared = declared
        if any(one.kind.is_of_period for one in declared):
            self._add("first", "First day", Kind.DATE, self._window.first.isoformat())
            self._add("last", "Last day", Kind.DATE, (self._window.beyond - timedelta(days=1)).isoformat())
        for one in declared:
            if not one.kind.is_of_period:
                self._add(f"v_{one.name}", one.label, one.kind, one.default, one.choices)

    def window(self) -> Window:
        """The days as they were typed; last week's where the query has none. Raises ValidationError in words."""
        if "first" not in self.fields:
            return self._window
        try:
            first, last = (date.fromisoformat(self._typed(name) or "") for name in ("first", "last"))
        except ValueError:
            raise ValidationError("Choose the first and the last day to try it with.") from None
        if last < first or not 1970 <= first.year <= last.year <= 2199:
            raise ValidationError(DAYS_WORDS)
        return Window(first, last + timedelta(days=1), self.zone)

    def values(self) -> dict[str, str]:
        """Parameter → what was typed."""
        return {
            one.name: self._typed(f"v_{one.name}") or "" for one in self._declared if f"v_{one.name}" in self.fields
        }

    def _typed(self, name: str) -> str | None:
        typed = self._data.get(f"{self.prefix}-{name}") if self._data is not None else None
        return typed if typed is not None else self.fields[name].initial if name in self.fields else None

    def _add(self, name: str, label: str, kind: Kind, default: str, choices: Sequence[str] = ()) -> None:
        kinds = {Kind.DATE: {"type": "date"}, Kind.INTEGER: {"inputmode": "numeric"}}
        widget: forms.Widget = UnfoldAdminTextInputWidget(attrs=kinds.get(kind, {}))
        if kind is Kind.CHOICE:
            widget = UnfoldAdminSelectWidget(choices=[(choice, choice) for choice in choices])
        self.fields[name] = forms.CharField(label=label, required=False, widget=widget, initial=default)
        self.initial[name] = self._typed(name)
