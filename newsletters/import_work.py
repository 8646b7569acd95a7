"""The worker's part of an import: tries every row of a file, or takes them over, batch by batch and restartable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import transaction
from django.db.models import F
from django.urls import reverse

from newsletters import import_batches, import_files, imports
from newsletters.import_batches import Outcome, Rules
from newsletters.import_files import NotATable, Row, Table
from newsletters.import_values import RowReader, Wanted, WrongCell
from newsletters.models import ImportJob, ImportProblem
from runs import clock, failpoints, ledger, notices, words
from runs.models import RunEvent
from runs.tasks import JobFailed, RunContext

BATCH = 2000
KEPT_PROBLEMS = 100_000
"""Wrong rows of one file that are kept to look at; all of them are counted."""
State = ImportJob.State
Numbers = ("added", "updated", "unchanged", "suppressed", "wrong")


class Overtaken(Exception):
    """Somebody else settled the batch, or the import is no longer to go on."""


def perform_check(run: RunContext) -> str:
    """Tries every row and changes no subscriber; a repeated attempt begins anew. Old files go on this occasion."""
    imports.drop_old_files()
    job = ImportJob.objects.filter(pk=run.target_id or 0, state=State.CHECKING).first()
    if job is None:
        return "Nothing to do: the check was cancelled, or the file deleted."
    run.attach("The import", _address(job))
    ImportProblem.objects.filter(job=job)._raw_delete("default")
    total, kilobytes = Outcome(), job.bytes // 1024 + 1
    scratch = import_batches.Scratch()
    try:
        with _ends_in_words(job), _table(job) as table:
            rules, reader = rules_of(job), _reader(job)
            for batch in _batches(_data_rows(table, job)):
                outcome = _try(batch, reader, rules, scratch)
                _keep_problems(job, outcome, total.suppressed + total.wrong)
                for name in Numbers:
                    setattr(total, name, getattr(total, name) + getattr(outcome, name))
                run.progress(min(table.bytes_read // 1024, kilobytes - 1), kilobytes, "KB of the file")
            if not total.rows:
                raise NotATable("There is a heading and no row after it." if job.has_header else "There is no row.")
    finally:
        scratch.close()
    run.confirm()
    numbers = {name: getattr(total, name) for name in Numbers}
    ImportJob.objects.filter(pk=job.pk, state=State.CHECKING).update(state=State.CHECKED, rows=total.rows, **numbers)
    said = f"{words.counted(total.rows, 'row')} checked: {in_words(numbers, is_done=False)}."
    notices.tell(job.owner_id, f"“{job}” is checked and can be imported: {said}"[:300], url=_address(job))
    return said


def perform_import(run: RunContext) -> str:
    """Takes the rows over from where an earlier attempt stopped; each batch and its place in the file, or neither."""
    job = ImportJob.objects.filter(pk=run.target_id or 0, state=State.RUNNING).first()
    if job is None or (job.run_id != run.id and imports.is_at_work(job)):
        return "Nothing to do: the import was cancelled, or goes on in another run."
    if job.run_id != run.id:  # somebody ran the failed run again
        job.run_id = run.id
        job.save(update_fields=["run_id"])
    run.attach("The import", _address(job))
    if not job.position:
        ImportProblem.objects.filter(job=job)._raw_delete("default")
    with _ends_in_words(job), _table(job) as table:
        rules, reader = rules_of(job), _reader(job)
        for batch in _batches(_data_rows(table, job, after=job.position)):
            _settle(job, batch, reader, rules)
            failpoints.passing("after_import_batch")
            run.progress(sum(getattr(job, name) for name in Numbers), job.rows, "rows")
    run.confirm()
    ImportJob.objects.filter(pk=job.pk).update(state=State.DONE, finished_at=clock.now())
    numbers = {name: getattr(job, name) for name in Numbers}
    said = in_words(numbers, is_done=True)
    notices.tell(job.owner_id, f"“{job}” is imported: {said}."[:300], url=_address(job))
    return f"{words.counted(sum(numbers.values()), 'row')}: {said}."


def in_words(numbers: dict[str, int], *, is_done: bool) -> str:
    """ "990 added, 10 wrong": what there was."""
    labels = {
        "added": "new" if not is_done else "added",
        "updated": "to change" if not is_done else "changed",
        "unchanged": "there already",
        "suppressed": "opted out, left alone",
        "wrong": "wrong",
    }
    return ", ".join(f"{numbers[name]:,} {labels[name]}" for name in Numbers if numbers[name]) or "nothing"


def rules_of(job: ImportJob) -> Rules:
    """What the import does with people."""
    lists = {one.pk: one.name for one in job.lists.all()}
    return Rules(lists, job.update_existing, f"import of {job.original_name}"[:40], job.consent)


def _settle(job: ImportJob, batch: list[Row], reader: RowReader, rules: Rules) -> None:
    """One batch in one transaction, with the position after it and the numbers."""
    outcome = Outcome()
    wanted = _read(batch, reader, outcome)
    norms = sorted({row.email_norm for row in wanted})
    position = batch[-1].number
    with transaction.atomic():
        # First of all: whoever comes second waits here, and then sees that the batch is settled.
        is_mine = ImportJob.objects.filter(
            pk=job.pk, position=job.position, run_id=job.run_id, state=State.RUNNING
        ).update(position=position)
        if not is_mine:
            raise Overtaken
        people = import_batches.people_of(norms, rules)
        import_batches.decide(wanted, people, import_batches.suppressed_among(norms), rules, outcome)
        import_batches.write(people, rules, clock.now())
        _keep_problems(job, outcome, job.suppressed + job.wrong)
        failpoints.passing("within_import_batch")
        counts = {name: F(name) + getattr(outcome, name) for name in Numbers}
        ImportJob.objects.filter(pk=job.pk).update(**counts)
    job.position = position
    for name in Numbers:
        setattr(job, name, getattr(job, name) + getattr(outcome, name))


def _try(batch: list[Row], reader: RowReader, rules: Rules, scratch: import_batches.Scratch) -> Outcome:
    outcome = Outcome()
    wanted = _read(batch, reader, outcome)
    norms = sorted({row.email_norm for row in wanted})
    people = import_batches.people_of(norms, rules)
    scratch.overlay(people, norms)
    import_batches.decide(wanted, people, import_batches.suppressed_among(norms), rules, outcome)
    scratch.keep(people)
    return outcome


def _read(batch: Iterable[Row], reader: RowReader, outcome: Outcome) -> list[Wanted]:
    """The rows that can be taken over; the others are counted and noted."""
    wanted = []
    for row in batch:
        try:
            wanted.append(reader.read(row))
        except WrongCell as error:
            outcome.wrong += 1
            outcome.problems.append((row.number, "wrong", error.column, error.value, str(error)))
    return wanted


def _keep_problems(job: ImportJob, outcome: Outcome, kept: int) -> None:
    room = max(0, KEPT_PROBLEMS - kept)
    rows = [
        ImportProblem(
            job=job,
            row=row,
            kind=kind,
            column=column[:80],
            value=import_files.readable(value)[:200],
            message=import_files.readable(message)[:300],
        )
        for row, kind, column, value, message in sorted(outcome.problems)[:room]
    ]
    ImportProblem.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)


def _data_rows(table: Table, job: ImportJob, after: int = 0) -> Iterator[Row]:
    """The rows after the heading that are not empty and not settled yet."""
    is_heading = job.has_header
    for row in table.rows():
        if not row.problem and not any(cell and not cell.isspace() for cell in row.cells):
            continue
        if is_heading:
            is_heading = False
        elif row.number > after:
            yield row


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@contextmanager
def _table(job: ImportJob) -> Iterator[Table]:
    file = imports.open_file(job)
    try:
        with Table(file, imports.reading_of(job)) as table:
            yield table
    finally:
        job.file.close()


@contextmanager
def _ends_in_words(job: ImportJob) -> Iterator[None]:
    """Notes on the import how its run ended, where it ended early."""
    try:
        yield
    except ledger.RunCancelled:
        imports.note_cancelled(job)
        raise
    except Overtaken as error:
        raise JobFailed("Another run goes on with this import.", may_retry=False) from error
    except NotATable as error:
        ImportJob.objects.filter(pk=job.pk).update(
            state=State.FAILED, problem=str(error)[:300], finished_at=clock.now()
        )
        notices.tell(job.owner_id, f"“{job}”: {error}", url=_address(job), level=RunEvent.Level.ERROR)
        raise JobFailed(str(error), may_retry=False) from error


def _reader(job: ImportJob) -> RowReader:
    return RowReader(imports.mapping_of(job), job.columns, imports.fields_by_key())


def _address(job: ImportJob) -> str:
    return reverse("admin:newsletters_importjob_change", args=[job.pk])
