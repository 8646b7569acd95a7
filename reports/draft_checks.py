"""The one validation of a report that every door goes through, in plain words at the field."""

from __future__ import annotations

from decimal import Decimal

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from reports import chosen_source, outside_addresses, selectable, selection_checks
from reports.drafts import ReportDraft
from reports.models import MAX_ATTACHED_MB, MAX_RETENTION_DAYS, Condition, Format, OnCap, Period, ReportDefinition
from reports.periods import MAX_DAYS
from reports.queries import parameters
from reports.selection import Selection
from runs import names
from runs.audit import Actor
from schedules import zones

MAX_NAME_LENGTH = 120
MAX_ROW_CAP = 100_000_000
MAX_KEPT = 1000
_BIGGEST = Decimal(10) ** 15
Errors = dict[str, str]


def validate(draft: ReportDraft, existing: ReportDefinition | None = None, *, actor: Actor = None) -> None:
    """Raises ValidationError with a message per field, in plain words."""
    errors: Errors = {}
    _check_name(draft, existing, errors)
    _check_source(draft, existing, actor, errors)
    _check_days(draft, errors)
    _check_files(draft, errors)
    _check_condition(draft, errors)
    _check_recipients(draft, existing, errors)
    if errors:
        raise ValidationError(errors)


def selection_problems(draft: ReportDraft) -> Errors:
    """What was chosen and does not fit, by its place in the builder: "filters.0", "parameters.region"."""
    key = chosen_source.key_of(draft.data_set, draft.query_id)
    data_set, query = chosen_source.data_set_of(key), chosen_source.query_of(key)
    if data_set is not None:
        return selection_checks.check(Selection.read(draft.selection), data_set)
    if query is None:
        return {}
    try:
        parameters.clean(parameters.read(query.approved_parameters), draft.parameters)
    except ValidationError as error:
        return {f"parameters.{name}": " ".join(messages) for name, messages in error.message_dict.items()}
    return {}


def _check_name(draft: ReportDraft, existing: ReportDefinition | None, errors: Errors) -> None:
    others = ReportDefinition.objects.all() if existing is None else ReportDefinition.objects.exclude(pk=existing.pk)
    found = names.problem(draft.name, "report", "Deliveries, last week", max_length=MAX_NAME_LENGTH, others=others)
    if found:
        errors["name"] = found


def _check_source(draft: ReportDraft, existing: ReportDefinition | None, actor: Actor, errors: Errors) -> None:
    key = chosen_source.key_of(draft.data_set, draft.query_id)
    was = chosen_source.key_of(existing.data_set, existing.query_id) if existing is not None else key
    if draft.query_id is None and chosen_source.data_set_of(key) is None:
        errors["data_set"] = "Choose what the report lists."
        return
    if draft.query_id is not None and chosen_source.query_of(key) is None:
        errors["data_set"] = "Nobody has approved this SQL query yet, or it is gone. Choose what the report lists."
        return
    # Also of what it has listed so far: who may not see the rows may not have them sent to somebody either.
    why = chosen_source.why_not(actor, key) or chosen_source.why_not(actor, was)
    if why:
        errors["data_set"] = why
    owner_id = draft.owner_id or (existing.owner_id if existing is not None else None)
    owner = get_user_model()._default_manager.filter(pk=owner_id).first() if owner_id is not None else None
    if draft.owner_id is not None and (owner is None or not owner.is_active):
        errors["owner"] = "Choose somebody whose account is in use."
    elif owner is not None and (why := chosen_source.why_not(owner, key, is_owner=True)):
        errors["owner"] = why
    if problems := selection_problems(draft):
        errors["selection"] = " ".join(dict.fromkeys(problems.values()))


def _check_days(draft: ReportDraft, errors: Errors) -> None:
    if draft.period not in Period.values:
        errors["period"] = "Choose which days the report covers."
    elif draft.period == Period.LAST_N_DAYS and (draft.last_n is None or not 1 <= draft.last_n <= MAX_DAYS):
        errors["last_n"] = f"Write how many days, from 1 to {MAX_DAYS:,}."
    elif draft.period == Period.FIXED:
        _check_fixed(draft, errors)
    try:
        zones.zone(draft.time_zone)
    except zones.UnknownZone as error:
        errors["time_zone"] = str(error)


def _check_fixed(draft: ReportDraft, errors: Errors) -> None:
    first, last = draft.fixed_first, draft.fixed_last
    if first is None:
        errors["fixed_first"] = "Choose the first day."
    if last is None:
        errors["fixed_last"] = "Choose the last day."
    if first is None or last is None:
        return
    if last < first:
        errors["fixed_last"] = "The last day lies before the first one. Choose a later day."
    elif (last - first).days >= MAX_DAYS:
        errors["fixed_last"] = f"These are more than {MAX_DAYS:,} days. Choose fewer."
    elif not 1970 <= first.year <= last.year <= 2199:
        errors["fixed_first"] = "Choose days between the years 1970 and 2199."


def _check_files(draft: ReportDraft, errors: Errors) -> None:
    if unknown := [one for one in draft.formats if one not in Format.values]:
        errors["formats"] = f"“{unknown[0][:20]}” is no format. Choose again."
    if draft.row_cap is not None and not 1 <= draft.row_cap <= MAX_ROW_CAP:
        errors["row_cap"] = f"Write a number from 1 to {MAX_ROW_CAP:,}, or leave it empty for no limit."
    if draft.on_cap not in OnCap.values:
        errors["on_cap"] = "Choose what happens if there are more rows."
    if not 1 <= draft.retention_days <= MAX_RETENTION_DAYS:
        errors["retention_days"] = f"Write how many days files are kept, from 1 to {MAX_RETENTION_DAYS:,}."
    if not 0 <= draft.keep_last <= MAX_KEPT:
        errors["keep_last"] = f"Write how many of the latest are always kept, from 0 to {MAX_KEPT:,}."


def _check_condition(draft: ReportDraft, errors: Errors) -> None:
    if draft.compares and draft.query_id is not None:
        errors["compares"] = "An SQL query cannot be compared: nobody but itself knows what the period before was."
    if draft.condition not in Condition.values:
        errors["condition"] = "Choose when it is worth sending."
    if draft.condition != Condition.THRESHOLD:
        return
    if draft.threshold_of not in _totals_of(draft):
        errors["threshold_of"] = "Choose which total decides."
    if draft.threshold_is not in ("above", "below"):
        errors["threshold_is"] = "Choose above or below."
    if draft.threshold is None:
        errors["threshold"] = "Write the limit as a number."
    for name, value in (("threshold", draft.threshold), ("rearm", draft.rearm)):
        if value is not None and not (value.is_finite() and abs(value) < _BIGGEST):
            errors[name] = "Write a smaller number."
    if errors.keys() & {"threshold", "rearm"} or draft.threshold is None or draft.rearm is None:
        return
    if draft.threshold_is == "above" and draft.rearm > draft.threshold:
        errors["rearm"] = "Write a number that is not above the limit, or leave it empty."
    if draft.threshold_is == "below" and draft.rearm < draft.threshold:
        errors["rearm"] = "Write a number that is not below the limit, or leave it empty."


def _totals_of(draft: ReportDraft) -> set[str]:
    """The labels of the totals that it counts; the number of rows is always known."""
    data_set = chosen_source.data_set_of(chosen_source.key_of(draft.data_set, draft.query_id))
    if data_set is None:
        return {selectable.ROWS_LABEL}
    counted = set(selectable.totals_of(Selection.read(draft.selection)))
    labels = selectable.total_labels(data_set)
    return {selectable.ROWS_LABEL, *(label for label, one in labels.items() if one in counted)}


def _check_recipients(draft: ReportDraft, existing: ReportDefinition | None, errors: Errors) -> None:
    problems = outside_addresses.problems(draft.recipient_addresses)
    left = {address.lower() for address in outside_addresses.who_left(existing)}
    problems += [
        f"{address} asked for no more mails of this report. Only they can take that back, by the link in each of its mails."
        for address in draft.recipient_addresses
        if address.lower() in left
    ]
    if problems:
        errors["recipient_addresses"] = " ".join(problems)
    if not 0 <= draft.attach_up_to_mb <= MAX_ATTACHED_MB:
        errors["attach_up_to_mb"] = f"Write a number of megabytes from 0 to {MAX_ATTACHED_MB}."
