"""A report definition in words, for those who may look at it and not change it."""

from __future__ import annotations

from reports import chosen_source, filters, selectable, selection_checks
from reports.datasets.registry import DataSet
from reports.models import Condition, Format, Period, ReportDefinition
from reports.selection import Filter, Selection
from runs import words


def facts(definition: ReportDefinition) -> list[tuple[str, str]]:
    """(label, value), in the order of the form; only what applies."""
    key = chosen_source.key_of(definition.data_set, definition.query_id)
    found = [("What it lists", chosen_source.label(key))]
    data_set = chosen_source.data_set_of(key)
    if data_set is not None:
        found += selection(Selection.read(definition.selection), data_set)
    found += [
        ("Days", f"{days(definition)}, {definition.time_zone}"),
        ("Formats", formats(definition)),
    ]
    if definition.row_cap is not None:
        found.append(("At most", words.counted(definition.row_cap, "row")))
    found.append(("Files are kept for", words.counted(definition.retention_days, "day")))
    if definition.condition != Condition.ALWAYS:
        found.append(("Sent", condition(definition)))
    if definition.compares:
        found.append(("Compared with", "the period before"))
    if definition.owner is not None:
        found.append(("Who answers for it", str(definition.owner)))
    return found


def formats(definition: ReportDefinition) -> str:
    """ "CSV, PDF"."""
    return ", ".join(Format(one).label for one in definition.formats if one in Format.values) or Format.CSV.label


def selection(chosen: Selection, data_set: DataSet) -> list[tuple[str, str]]:
    """What was chosen of a data set; nothing where that is everything."""
    if problems := selection_checks.check(chosen, data_set):
        return [("Cannot be made", " ".join(dict.fromkeys(problems.values())))]
    found = []
    if chosen.columns and not chosen.groups:
        found.append(("Columns", ", ".join(column.label for column in selectable.columns_of(chosen, data_set))))
    if chosen.filters:
        found.append(("Only rows where", ", and ".join(_filter(one, data_set) for one in chosen.filters)))
    if chosen.groups:
        groups = (selectable.group_label(data_set.column(one.column), one.by) for one in chosen.groups)
        found.append(("One row for each", ", ".join(groups)))
    if totals := selectable.totals_of(chosen):
        labels = (selectable.total_label(data_set.column(one.column), one.how) for one in totals)
        found.append(("Totals", "; ".join(labels)))
    if chosen.order:
        ways = dict(selectable.orders(chosen, data_set))
        found.append(("Order", "; ".join(ways[name] for name in chosen.order)))
    return found


def days(definition: ReportDefinition) -> str:
    """ "Last month", "The last 30 days", "1 to 31 October 2026"."""
    if definition.period == Period.LAST_N_DAYS and definition.last_n:
        return f"The last {words.counted(definition.last_n, 'day')}"
    if definition.period == Period.FIXED and definition.fixed_first and definition.fixed_last:
        if definition.fixed_first == definition.fixed_last:
            return words.plain_date(definition.fixed_first)
        return words.days(definition.fixed_first, definition.fixed_last)
    return str(definition.get_period_display())


def condition(definition: ReportDefinition) -> str:
    """ "Only when it has rows", "When Sent, sum is above 100"."""
    if definition.condition != Condition.THRESHOLD or definition.threshold is None:
        return str(definition.get_condition_display())
    return f"When {definition.threshold_of} is {definition.threshold_is} {definition.threshold.normalize():f}"


def _filter(one: Filter, data_set: DataSet) -> str:
    column = data_set.column(one.column)
    question = filters.questions(column)[one.op]
    labels = dict(column.choices)
    values = [labels.get(value, value) for value in one.values if value.strip()]
    said = (" and " if one.op == "between" else " or ").join(f"“{value}”" for value in values) if question.takes else ""
    return f"{column.label} {question.label} {said}".strip()
