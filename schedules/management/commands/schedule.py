"""Schedules from the command line, through the same services as the admin."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from runs import audit, clock
from runs.audit import Actor
from schedules import backfill, facts, kinds, phrases, services, targets, wall_clock, zones
from schedules.drafts import ScheduleDraft
from schedules.management.commands import _doors
from schedules.models import HolidayCalendar, Schedule
from schedules.policies import CALENDAR_CHOICES, MISSED_CHOICES, OVERLAP_CHOICES, RESUME_CHOICES

NUMBERS = (
    "start_deadline_seconds", "time_limit_seconds", "retries", "retry_delay_seconds", "missed_cap", "jitter_seconds",
    "notify_after", "pause_after", "max_runs",
)  # fmt: skip
VIEW = "schedules.view_schedule"
PIECE = 2000
"""Schedules that are listed in one piece."""


class Command(BaseCommand):
    """``manage.py schedule list|show|add|pause|resume|run|skip-next|backfill|delete …``; every verb has ``--help``."""

    help = "Lists, shows, adds, pauses, resumes, runs, skips, backfills and deletes schedules."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--as", dest="user", default="", help="act as this user, with that user's permissions")
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("list", help="list schedules")
        _named(verbs, "show", "everything about one schedule")
        self._add_arguments_of_add(_named(verbs, "add", "add a schedule"))
        pause = _named(verbs, "pause", "stop it from running")
        pause.add_argument("--reason", required=True)
        pause.add_argument("--until", default="", help="wall-clock time in its zone, such as 2026-12-24T18:00")
        resume = _named(verbs, "resume", "let it run again")
        resume.add_argument("--run", choices=[value for value, _ in RESUME_CHOICES], default="none")
        _named(verbs, "run", "run it now")
        skip = _named(verbs, "skip-next", "leave out the next run", aliases=["skip"])
        skip.add_argument("--undo", action="store_true")
        past = _named(verbs, "backfill", "run past due times")
        past.add_argument("--from", dest="start", required=True, help="wall-clock time in its zone")
        past.add_argument("--to", dest="end", required=True, help="wall-clock time in its zone")
        past.add_argument("--dry-run", action="store_true", help="only list the due times")
        _named(verbs, "delete", "remove it; its runs stay in the ledger")
        for verb in {id(one): one for one in verbs.choices.values()}.values():
            verb.add_argument("--json", action="store_true", help="one JSON object a line")

    def _add_arguments_of_add(self, parser: ArgumentParser) -> None:
        parser.add_argument("--kind", required=True, choices=[kind.key for kind in kinds.schedulable()])
        parser.add_argument("--target", required=True, help="the name or number of what it runs")
        when = parser.add_mutually_exclusive_group(required=True)
        when.add_argument("--cron", default="", help='such as "0 9 * * mon"')
        when.add_argument("--words", default="", help='such as "every weekday at 9"')
        when.add_argument("--every", type=int, help="seconds")
        when.add_argument("--once", default="", help="wall-clock time in its zone, such as 2026-12-24T18:00")
        parser.add_argument("--zone", default="UTC")
        parser.add_argument("--ends", default="", help="wall-clock time in its zone")
        parser.add_argument("--missed", choices=[value for value, _ in MISSED_CHOICES])
        parser.add_argument("--overlap", choices=[value for value, _ in OVERLAP_CHOICES])
        parser.add_argument("--calendar", default="", help="the name of a holiday calendar")
        parser.add_argument("--calendar-rule", choices=[value for value, _ in CALENDAR_CHOICES])
        for name in NUMBERS:
            parser.add_argument(f"--{name.replace('_', '-')}", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        verbs: dict[str, Callable[[Actor, dict[str, Any]], None]] = {
            "list": self._list, "show": self._show, "add": self._add, "pause": self._pause, "resume": self._resume,
            "run": self._run, "skip-next": self._skip_next, "skip": self._skip_next, "backfill": self._backfill,
            "delete": self._delete,
        }  # fmt: skip
        with _doors.plain_errors():
            verbs[options["verb"]](_doors.actor(options["user"]), options)

    def _say(self, options: dict[str, Any], words: str, values: dict[str, Any]) -> None:
        """One line for people, or for machines."""
        self.stdout.write(json.dumps(values) if options["json"] else words)

    def _list(self, actor: Actor, options: dict[str, Any]) -> None:
        audit.require(actor, VIEW, "list the schedules")
        rows = Schedule.objects.select_related("periodic_task", "calendar").iterator(chunk_size=PIECE)
        while piece := list(islice(rows, PIECE)):
            gone = targets.without(piece)
            for schedule in piece:
                values = facts.of(schedule, has_target=schedule.pk not in gone)
                said = f"{schedule.name}: {values['when']}. {facts.next_run(schedule)}"
                self._say(options, f"{values['status'].capitalize():<7} {said}", values)

    def _show(self, actor: Actor, options: dict[str, Any]) -> None:
        schedule = _found(options)
        audit.require(actor, VIEW, "see the schedule", schedule)
        values = facts.in_full(schedule)
        values["upcoming"] = [facts.moment(facts.on_its_clock(schedule, due)) for due in facts.upcoming(schedule, 5)]
        lines = [f"{schedule.name}: {schedule.describe()}. {facts.next_run(schedule)}"]
        lines += [f"    {name}: {value}" for name, value in values.items() if value not in (None, "", [])]
        self._say(options, "\n".join(lines), values)

    def _add(self, actor: Actor, options: dict[str, Any]) -> None:
        schedule = services.create_schedule(actor, _draft(options))
        words = f"Added “{schedule}”: {schedule.describe()}. {facts.next_run(schedule)}"
        self._say(options, words, facts.of(schedule))

    def _pause(self, actor: Actor, options: dict[str, Any]) -> None:
        schedule = _found(options)
        until = _instant(options["until"], schedule.time_zone) if options["until"] else None
        paused = services.pause_schedule(actor, schedule.pk, reason=options["reason"], until=until)
        self._say(options, f"“{paused}” is paused.", facts.of(paused))

    def _resume(self, actor: Actor, options: dict[str, Any]) -> None:
        schedule = services.resume_schedule(actor, _found(options).pk, run=options["run"])
        self._say(options, f"“{schedule}” is active. {facts.next_run(schedule)}", facts.of(schedule))

    def _run(self, actor: Actor, options: dict[str, Any]) -> None:
        run = services.run_now(actor, _found(options).pk)
        self._say(options, f"Run {run.pk} was started.", {"name": options["name"], "run": run.pk, "state": run.state})

    def _skip_next(self, actor: Actor, options: dict[str, Any]) -> None:
        schedule = _found(options)
        if options["undo"]:
            services.unskip_next(actor, schedule.pk)
            words, skipped = f"The next run of “{schedule}” will take place.", None
        else:
            skipped = services.skip_next(actor, schedule.pk)
            words = f"The run of “{schedule}” at {facts.at_its_clock(schedule, skipped)} will be skipped."
        self._say(options, words, {"name": schedule.name, "skip_at": facts.moment(skipped)})

    def _backfill(self, actor: Actor, options: dict[str, Any]) -> None:
        schedule = _found(options)
        start, end = (_instant(options[name], schedule.time_zone) for name in ("start", "end"))
        if options["dry_run"]:
            audit.require(actor, VIEW, "list past due times", schedule)
            for due in backfill.due_times(schedule, start, end, clock.now()):
                local = facts.on_its_clock(schedule, due).isoformat()
                self._say(options, local, {"name": schedule.name, "due_at": local})
            return
        runs = services.backfill_schedule(actor, schedule.pk, start, end)
        values = {"name": schedule.name, "runs": [run.pk for run in runs]}
        self._say(options, f"{len(runs)} runs were started.", values)

    def _delete(self, actor: Actor, options: dict[str, Any]) -> None:
        services.delete_schedule(actor, _found(options).pk)
        words = f"“{options['name']}” was deleted. Its runs stay in the ledger."
        self._say(options, words, {"name": options["name"], "status": "deleted"})


def _named(verbs: Any, name: str, words: str, **more: Any) -> ArgumentParser:
    parser: ArgumentParser = verbs.add_parser(name, help=words, **more)
    parser.add_argument("name")
    return parser


def _found(options: dict[str, Any]) -> Schedule:
    schedule = Schedule.objects.select_related("periodic_task").filter(periodic_task__name=options["name"]).first()
    if schedule is None:
        raise CommandError(f"There is no schedule “{options['name']}”; see manage.py schedule list.")
    return schedule


def _draft(options: dict[str, Any]) -> ScheduleDraft:
    """What ``schedule add`` asks for."""
    kind, zone = options["kind"], options["zone"]
    zones.zone(zone)
    values: dict[str, Any] = {name: options[name] for name in NUMBERS if options[name] is not None}
    values |= {name: options[name] for name in ("missed", "overlap", "calendar_rule") if options[name]}
    values |= _timing(options, zone)
    if options["ends"]:
        values["ends_at"] = _instant(options["ends"], zone)
    if options["calendar"]:
        calendar = HolidayCalendar.objects.filter(name=options["calendar"]).first()
        if calendar is None:
            raise CommandError(f"There is no calendar “{options['calendar']}”.")
        values["calendar_id"] = calendar.pk
    target = _target(kind, options["target"])
    return ScheduleDraft.for_kind(kind, name=options["name"], target_id=target, time_zone=zone, **values)


def _timing(options: dict[str, Any], zone: str) -> dict[str, Any]:
    if options["cron"]:
        return {"mode": Schedule.Mode.CRON, "expression": options["cron"]}
    if options["every"] is not None:
        return {"mode": Schedule.Mode.INTERVAL, "every_seconds": options["every"]}
    if options["once"]:
        return {"mode": Schedule.Mode.ONCE, "once_at": _instant(options["once"], zone)}
    phrase = phrases.parse(options["words"], now=clock.now(), timezone=zone)
    if phrase.note:
        raise CommandError(f"Words can only say “{phrase.words}”. Say holidays with --calendar and an end with --ends.")
    if phrase.expression:
        return {"mode": Schedule.Mode.CRON, "expression": phrase.expression}
    if phrase.every is not None:
        return {"mode": Schedule.Mode.INTERVAL, "every_seconds": int(phrase.every / timedelta(seconds=1))}
    return {"mode": Schedule.Mode.ONCE, "once_at": phrase.at}


def _target(kind_key: str, text: str) -> int:
    targets = list(kinds.get(kind_key).targets())
    for target in targets:
        if text == str(target.pk) or text == str(target):
            return int(target.pk)
    names = ", ".join(f"“{target}”" for target in targets[:10]) or "none yet"
    raise CommandError(f"There is no {kind_key} “{text}”. There are: {names}.")


def _instant(text: str, zone: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"“{text}” is no date and time; write for example 2026-12-24T18:00.") from None
    if not 1970 <= moment.year < 2200:
        raise CommandError(f"“{text}” is not between 1970 and 2199.")
    return moment if moment.tzinfo else wall_clock.instant(moment, zones.zone(zone))
