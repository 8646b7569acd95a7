"""``manage.py restore_archive RUN`` puts back what the cleanup of this run archived; with an archive's key, that one alone."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from cleanup import restoring
from cleanup.models import ArchivePart
from runs import words


class Command(BaseCommand):
    """Says for each part what came back, what was there already, and what could not be put back."""

    help = "Puts archived rows back, children included; rows that are there already are left alone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("which", help="the number of the run, or the key of one archive")
        parser.add_argument("--dry-run", action="store_true", help="say what would come back, and change nothing")

    def handle(self, *args: Any, which: str, dry_run: bool, **options: Any) -> None:
        parts = _parts(which)
        if not parts:
            raise CommandError(f"There is no archive of {which}, or its files are gone.")
        failed = came = 0
        for restored in restoring.restore(None, parts, dry_run=dry_run):
            failed += bool(restored.problem)
            came += sum(restored.added.values())
            self.stdout.write("\n".join(_lines(restored, dry_run=dry_run)))
        if came:
            self.stdout.write(_goes_again(parts, dry_run=dry_run))
        if failed:
            raise CommandError(f"{words.counted(failed, 'archive')} of {len(parts)} could not be put back.")


def _parts(which: str) -> list[ArchivePart]:
    if which.isascii() and which.isdigit():
        return restoring.parts_of(int(which))
    try:
        return list(ArchivePart.objects.filter(key=UUID(which), deleted_at=None).select_related("cleanup_run"))
    except ValueError as error:
        raise CommandError("Write the number of a run, or the key of an archive.") from error


def _lines(restored: restoring.Restored, *, dry_run: bool) -> list[str]:
    """What became of one part, and below it what could not come back as it was."""
    if restored.problem:
        return [f"{restored.part}: nothing {'would be' if dry_run else 'was'} put back. {restored.problem}"]
    would = "would come back" if dry_run else "back"
    said = [f"{count:,} of {label} {would}" for label, count in restored.added.items() if count]
    said += [f"{count:,} of {label} there already, left alone" for label, count in restored.already_there.items()]
    if restored.linked:
        said.append(f"{words.counted(restored.linked, 'link')} set again")
    if restored.unlinked:
        said.append(
            f"{words.counted(restored.unlinked, 'link')} left as {'it is' if restored.unlinked == 1 else 'they are'}"
        )
    return [
        f"{restored.part}: {', '.join(said) or 'nothing to put back'}.",
        *(f"  {one}" for one in _lacking(restored)),
    ]


def _lacking(restored: restoring.Restored) -> list[str]:
    lacking = restored.lacking
    said = [
        f"{', '.join(columns)} of {label}: no longer there, so what it held is left out."
        for label, columns in restored.columns_gone.items()
    ]
    said += [
        f"{count:,} of {label} left out: there is no such table any more."
        for label, count in restored.tables_gone.items()
    ]
    said += [
        f"{words.counted(count, 'link')} of {name} left empty: what it led to has gone."
        for name, count in lacking.emptied.items()
    ]
    said += [
        f"{count:,} of {label} left out: what it belongs to has gone." for label, count in lacking.left_out.items()
    ]
    if lacking.named:
        more = sum(lacking.left_out.values()) - len(lacking.named)
        said.append(f"Left out: {'; '.join(lacking.named)}{f'; and {more:,} more' if more > 0 else ''}.")
    return said


def _goes_again(parts: list[ArchivePart], *, dry_run: bool) -> str:
    names = ", ".join(f"“{name}”" for name in sorted({part.cleanup_run.policy_name for part in parts}))
    when = "Before you put them back" if dry_run else "Now"
    return (
        f"These rows are as old as they were: the next run of {names} deletes them again. {when}, switch it off, or set a hold "
        "on what is to stay."
    )
