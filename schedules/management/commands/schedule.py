"""Schedules from the command line, through the same services as the admin."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import BaseCommand, CommandError

from runs import clock
from runs.audit import Actor
from schedules import backfill, cron, kinds, phrases, services, wall_clock, zones
from schedules.drafts import ScheduleDraft
from schedules.models import HolidayCalendar, Schedule
from schedules.policies import CALENDAR_CHOICES, MISSED_CHOICES, OVERLAP_CHOICES, RESUME_CHOICES
from schedules.status import status_of

NUMBERS = (
    "start_deadline_seconds", "time_limit_seconds", "retries", "retry_delay_seconds", "missed_cap", "jitter_seconds",
    "notify_after", "pause_after", "max_runs",
)  # fmt: skip


class Command(BaseCommand):
    """``manage.py schedule add|list|pause|resume|skip|run|backfill|delete …``; every verb has its own ``--help``."""

    help = "Adds, lists, pauses, resumes, skips, runs, backfills and deletes schedules."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--as", dest="user", default="", help="act as this user, with that user's permissions")
        verbs = parser.add_subparsers(dest="verb", required=True)
        self._add_arguments_of_add(verbs.add_parser("add", help="add a schedule"))
        listing = verbs.add_parser("list", help="list schedules")
        listing.add_argument("--json", action="store_true", help="one JSON object a line")
        pause = _named(verbs, "pause", "stop it from running")
        pause.add_argument("--reason", required=True)
        pause.add_argument("--until", default="", help="wall-clock time in its zone, such as 2026-12-24T18:00")
        resume = _named(verbs, "resume", "let it run again")
        resume.add_argument("--run", choices=[value for value, _ in RESUME_CHOICES], default="none")
        skip = _named(verbs, "skip", "leave out the next run")
        skip.add_argument("--undo", action="store_true")
        _named(verbs, "run", "run it now")
        past = _named(verbs, "backfill", "run past due times")
        past.add_argument("--from", dest="start", required=True, help="wall-clock time in its zone")
        past.add_argument("--to", dest="end", required=True, help="wall-clock time in its zone")
        past.add_argument("--dry-run", action="store_true", help="only list the due times")
        _named(verbs, "delete", "remove it; its runs stay in the ledger")

    def _add_arguments_of_add(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
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
            "add": self._add, "list": self._list, "pause": self._pause, "resume": self._resume, "skip": self._skip,
            "run": self._run, "backfill": self._backfill, "delete": self._delete,
        }  # fmt: skip
        try:
            verbs[options["verb"]](_actor(options["user"]), options)
        except ValidationError as error:
            raise CommandError(_in_words(error)) from None
        except (PermissionDenied, cron.CronError, phrases.PhraseError, zones.UnknownZone) as error:
            raise CommandError(str(error)) from None

    def _add(self, actor: Actor, options: dict[str, Any]) -> None:
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
        draft = ScheduleDraft.for_kind(
            kind, name=options["name"], target_id=_target(kind, options["target"]), time_zone=zone, **values
        )
        schedule = services.create_schedule(actor, draft)
        self.stdout.write(f"Added “{schedule}”: {schedule.describe()}. {_next(schedule)}")

    def _list(self, actor: Actor, options: dict[str, Any]) -> None:
        for schedule in Schedule.objects.select_related("periodic_task", "calendar").iterator(chunk_size=2000):
            status = status_of(schedule)
            if options["json"]:
                facts = {
                    "name": schedule.name, "status": status.word.lower(), "detail": status.detail, "kind": schedule.kind,
                    "target_id": schedule.target_id, "when": schedule.describe(), "expression": schedule.expression,
                    "time_zone": schedule.time_zone,
                    "next_due_at": schedule.next_due_at and schedule.next_due_at.isoformat(),
                }  # fmt: skip
                self.stdout.write(json.dumps(facts))
            else:
                self.stdout.write(f"{status.word:<7} {schedule.name}: {schedule.describe()}. {_next(schedule)}")

    def _pause(self, actor: Actor, options: dict[str, Any]) -> None:
        schedule = _found(options)
        until = _instant(options["until"], schedule.time_zone) if options["until"] else None
        services.pause_schedule(actor, schedule.pk, reason=options["reason"], until=until)
        self.stdout.write(f"“{schedule}” is paused.")

    def _resume(self, actor: Actor, options: dict[str, Any]) -> None:
        schedule = services.resume_schedule(actor, _found(options).pk, run=options["run"])
        self.stdout.write(f"“{schedule}” is active. {_next(schedule)}")

    def _skip(self, actor: Actor, options: dict[str, Any]) -> None:
        schedule = _found(options)
        if options["undo"]:
            services.unskip_next(actor, schedule.pk)
            self.stdout.write(f"The next run of “{schedule}” will take place.")
        else:
            self.stdout.write(f"The run of “{schedule}” at {services.skip_next(actor, schedule.pk)} will be skipped.")

    def _run(self, actor: Actor, options: dict[str, Any]) -> None:
        self.stdout.write(f"Run {services.run_now(actor, _found(options).pk).pk} was started.")

    def _backfill(self, actor: Actor, options: dict[str, Any]) -> None:
        schedule = _found(options)
        start, end = (_instant(options[name], schedule.time_zone) for name in ("start", "end"))
        if options["dry_run"]:
            for due in backfill.due_times(schedule, start, end, clock.now()):
                self.stdout.write(due.astimezone(zones.zone(schedule.time_zone)).isoformat())
            return
        runs = services.backfill_schedule(actor, schedule.pk, start, end)
        self.stdout.write(f"{len(runs)} runs were started.")

    def _delete(self, actor: Actor, options: dict[str, Any]) -> None:
        schedule = _found(options)
        services.delete_schedule(actor, schedule.pk)
        self.stdout.write(f"“{options['name']}” was deleted. Its runs stay in the ledger.")


def _named(verbs: Any, name: str, words: str) -> ArgumentParser:
    parser: ArgumentParser = verbs.add_parser(name, help=words)
    parser.add_argument("name")
    return parser


def _actor(username: str) -> Actor:
    if not username:
        return None
    user = get_user_model().objects.filter(username=username, is_active=True).first()
    if user is None:
        raise CommandError(f"There is no active user “{username}”.")
    return user


def _found(options: dict[str, Any]) -> Schedule:
    schedule = Schedule.objects.select_related("periodic_task").filter(periodic_task__name=options["name"]).first()
    if schedule is None:
        raise CommandError(f"There is no schedule “{options['name']}”; see manage.py schedule list.")
    return schedule


def _timing(options: dict[str, Any], zone: str) -> dict[str, Any]:
    if options["cron"]:
        return {"mode": Schedule.Mode.CRON, "expression": options["cron"]}
    if options["every"] is not None:
        return {"mode": Schedule.Mode.INTERVAL, "every_seconds": options["every"]}
    if options["once"]:
        return {"mode": Schedule.Mode.ONCE, "once_at": _instant(options["once"], zone)}
    phrase = phrases.parse(options["words"], now=clock.now(), timezone=zone)
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


def _next(schedule: Schedule) -> str:
    if schedule.next_due_at is None:
        return "It has no further run."
    local = schedule.next_due_at.astimezone(zones.zone(schedule.time_zone))
    return f"Next: {local:%Y-%m-%d %H:%M} {schedule.time_zone}."


def _in_words(error: ValidationError) -> str:
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return "\n".join(f"{name}: {' '.join(messages)}" for name, messages in error.message_dict.items())
