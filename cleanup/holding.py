"""Holds: set, released, and said in words. A hold that is committed before a batch wins over it (held_rows.py)."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, transaction

from cleanup import table_sql, targets
from cleanup.models import ANY_TARGET, Hold
from cleanup.targets import FileTarget, Scope
from runs import audit, clock, words
from runs.audit import Actor
from schedules.cron_words import joined

WAITS = "10s"
"""So long a hold waits for the batches under way; each takes well under a second."""
LONGEST = timedelta(days=36525)
"""A hold that ends ends within a hundred years; further away calendars come to their own end."""
TOO_LATE = "That is more than a hundred years away. Leave it empty to keep it until somebody releases it."


def add_hold(
    actor: Actor, *, target: str, object_id: str = "", scope: str = "", value: str = "", reason: str,
    until: datetime | None = None,
) -> Hold:  # fmt: skip
    """Keeps one row (or file), all of a scope, or all rows of a target from being cleaned; ``target`` "*" with a scope for
    every target that knows it. Waits for batches under way (under a second each), so that it knows what is still there.

    Raises:
        ValidationError: at its field, in words; also when the row to hold is not (or no longer) there.
    """
    audit.require(actor, "cleanup.add_hold", "add a hold")
    hold = Hold(
        target=target, object_id=object_id.strip(), scope=scope, value=value.strip(), reason=reason.strip(), until=until,
        created_by_id=actor.pk if actor is not None else None,
    )  # fmt: skip
    _check(hold)
    with transaction.atomic():
        _wait_for_batches()
        if hold.object_id:
            _require_row(hold)
        hold.save()
        audit.record(actor, "added a hold", hold, reason=reason, after=_facts(hold))
    return hold


def check_hold(
    *, target: str, object_id: str = "", scope: str = "", value: str = "", reason: str, until: datetime | None = None
) -> None:
    """Raises the ValidationError that :func:`add_hold` would; writes nothing and waits for nobody."""
    hold = Hold(
        target=target, object_id=object_id.strip(), scope=scope, value=value.strip(), reason=reason.strip(), until=until
    )
    _check(hold)
    if hold.object_id:
        _require_row(hold)


def release_hold(actor: Actor, hold_id: int) -> None:
    """Lets what was held be cleaned again."""
    hold = Hold.objects.get(pk=hold_id)
    audit.require(actor, "cleanup.delete_hold", "release the hold", hold)
    with transaction.atomic():
        audit.record(actor, "released the hold", hold, before=_facts(hold))
        hold.delete()


def in_words(hold: Hold) -> str:
    """ "Sessions, number 31: asked for by the auditor (Ann, until 3 August 2027)"."""
    if hold.scope:
        scope = next((one for target in targets.all_targets() for one in target.scopes if one.name == hold.scope), None)
        which = f"{scope.label if scope else hold.scope}: {hold.value_label or hold.value}"
        what = which if hold.target == ANY_TARGET else f"{targets.label(hold.target)}, {which}"
    else:
        is_file = targets.is_known(hold.target) and isinstance(targets.get(hold.target), FileTarget)
        which = f", {hold.object_id}" if is_file else f", number {hold.object_id}"
        what = targets.label(hold.target) + (which if hold.object_id else ", all of them")
    who = str(hold.created_by) if hold.created_by_id else "the system"
    until = f"until {words.plain_date(hold.until)}" if hold.until else "until it is released"
    return f"{what}: {hold.reason} ({who}, {until})"


def scopes() -> list[tuple[str, str, str]]:
    """(target key, scope name, label) of everything that can be held together, for the form; "*" for what is known to
    several targets."""
    found = [(target.key, scope.name, scope.label) for target in targets.all_targets() for scope in target.scopes]
    names = [name for _, name, _ in found]
    shared = {name: label for _, name, label in found if names.count(name) > 1}
    return [*((ANY_TARGET, name, label) for name, label in shared.items()), *found]


def find_scope(target: str, name: str) -> Scope | None:
    """The scope of this name that the target knows, or, for "*", any target."""
    keys = [one.key for one in targets.all_targets()] if target == ANY_TARGET else [target]
    known = [scope for key in keys if targets.is_known(key) for scope in targets.get(key).scopes]
    return next((scope for scope in known if scope.name == name), None)


def _check(hold: Hold) -> None:
    errors: dict[str, str] = {}
    scope = find_scope(hold.target, hold.scope) if hold.scope else None
    if hold.target != ANY_TARGET and not targets.is_known(hold.target):
        errors["target"] = "Choose what to hold from the list."
    elif hold.target == ANY_TARGET and not hold.scope:
        errors["scope"] = "Say whose, or which. To hold everything of one kind, choose that kind."
    elif hold.scope and scope is None:
        errors["scope"] = "This kind of data cannot be held by that. Choose from the list."
    elif hold.scope and hold.object_id:
        errors["object_id"] = "Name one row, or all that belong to something, not both."
    elif scope is not None:
        try:
            hold.value = scope.normalise(hold.value)
        except ValueError as error:
            errors["value"] = str(error)
        else:
            hold.value_label = scope.name_of(hold.value)[:200]
            hold.meant_id = scope.whose(hold.value) if scope.whose and hold.value else None
            if not hold.value or (scope.choices and not hold.value_label):
                errors["value"] = "Choose which."
    if not hold.reason:
        errors["reason"] = "Say why it must be kept."
    if hold.until is not None and hold.until <= clock.now():
        errors["until"] = "That time has passed. Choose a later one, or leave it empty."
    elif hold.until is not None and hold.until > clock.now() + LONGEST:
        errors["until"] = TOO_LATE
    if errors:
        raise ValidationError(errors)


def _wait_for_batches() -> None:
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        (before,) = cursor.fetchone()
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [WAITS])
        try:
            cursor.execute(f"LOCK TABLE {table_sql.name_of(Hold)} IN ROW EXCLUSIVE MODE")
        except OperationalError as error:
            raise ValidationError("A cleanup is busy just now. Nothing was held yet: try again in a minute.") from error
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])


def _require_row(hold: Hold) -> None:
    """Asked once batches wait for this hold: what is there now stays."""
    target = targets.get(hold.target)
    if isinstance(target, FileTarget):
        hold.object_id = _path_of(target, hold.object_id)
        return
    try:
        is_there = target.table._default_manager.filter(pk=target.table._meta.pk.to_python(hold.object_id)).exists()
    except ValidationError:
        is_there = False
    if not is_there:
        raise ValidationError(
            {"object_id": "There is no such row. It may have been deleted a moment ago; an archive may still have it."}
        )


def _path_of(target: FileTarget, said: str) -> str:
    """Where the file lies that is meant, by its path or by its name alone."""
    inside = [folder for folder in target.folders if PurePosixPath(folder) in PurePosixPath(said).parents]
    paths = [str(PurePosixPath(said))] if inside else [f"{folder}/{said}" for folder in target.folders]
    found = [path for path in paths if _is_file(path)]
    if not found:
        raise ValidationError(
            {"object_id": "There is no such file. Write its name, or where it lies, such as imports/readers.csv."}
        )
    if len(found) > 1:
        raise ValidationError({"object_id": f"Several files are called so. Write which: {joined(found, 'or')}."})
    return found[0]


def _is_file(path: str) -> bool:
    try:
        return ".." not in PurePosixPath(path).parts and (Path(settings.FILES_DIR) / path).is_file()
    except (OSError, ValueError):  # no file can be called so
        return False


def _facts(hold: Hold) -> dict[str, Any]:
    named = {name: getattr(hold, name) for name in ("target", "object_id", "scope", "value") if getattr(hold, name)}
    return {**named, "until": hold.until}
