"""What staff do with a file of subscribers: upload it, say what its columns are, have it checked, take it over, delete it.

Each service checks the permission, changes in one transaction and leaves an audit entry. The rows themselves are read
by a worker, in import_work.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import models, transaction
from django.db.models import QuerySet

from newsletters import import_columns, import_files
from newsletters.import_files import NotATable, Reading
from newsletters.models import ImportJob, ImportProblem, List, SubscriberField
from runs import audit, clock, ledger
from runs.audit import Actor
from runs.locking import locked
from runs.models import Run
from runs.states import OPEN
from schedules import events

MAX_BYTES = 300 * 1024 * 1024
KEPT = timedelta(days=30)
"""How long an uploaded file lies here when nobody deletes it sooner."""
MOST_DROPPED = 20
CHANGE = "newsletters.change_importjob"
State = ImportJob.State
UNDER_WAY = (State.CHECKING, State.RUNNING)


def upload_file(actor: Actor, upload: UploadedFile[Any]) -> ImportJob:
    """Keeps the file and finds out how it is to be read. Nothing is imported yet.

    Raises:
        ValidationError: too large, empty, or no table in text form; nothing is kept then.
    """
    audit.require(actor, "newsletters.add_importjob", "upload a file of subscribers")
    size = upload.size or 0
    if size > MAX_BYTES:
        raise ValidationError(
            f"The file has {size // 1024**2} MB; at most {MAX_BYTES // 1024**2} MB can be uploaded. Split it."
        )
    job = ImportJob(bytes=size, owner=actor if isinstance(actor, models.Model) else None)  # type: ignore[misc]
    job.original_name = PurePosixPath((upload.name or "file").replace("\\", "/")).name[:200]
    try:
        reading = import_files.detect(upload)
        rows = import_files.first_rows(_bytes_of(upload), reading)
        reading = Reading(reading.encoding, reading.delimiter, import_files.looks_like_header(rows))
        _take_reading(job, reading, rows)
    except NotATable as error:
        raise ValidationError(str(error)) from error
    upload.seek(0)
    with transaction.atomic():
        job.file = upload
        job.save()
        audit.record(actor, "uploaded a file of subscribers", job, after={"file": job.original_name, "bytes": size})
    return job


def set_reading(actor: Actor, job_id: int, reading: Reading) -> ImportJob:
    """Reads the file in another way from now on; what its columns are is guessed anew.

    Raises:
        ValidationError: an encoding or delimiter that is not offered, or nothing readable that way.
    """
    job = _job(actor, job_id, "read the file in another way")
    if reading.encoding not in import_files.ENCODINGS or reading.delimiter not in import_files.DELIMITERS:
        raise ValidationError("Choose the encoding and the delimiter from the lists.")
    with transaction.atomic():
        job = locked(ImportJob.objects.filter(pk=job.pk)).get()
        _require_open_for_changes(job)
        try:
            with open_file(job) as file:
                _take_reading(job, reading, import_files.first_rows(file, reading))
        except NotATable as error:
            raise ValidationError(str(error)) from error
        job.state = State.UPLOADED
        job.save()
        facts = {"encoding": reading.encoding, "delimiter": reading.delimiter, "heading": reading.has_header}
        audit.record(actor, "read a file of subscribers anew", job, after=facts)
    return job


def check_file(
    actor: Actor, job_id: int, *, mapping: Mapping[int, str], lists: Iterable[List], update_existing: bool, consent: str
) -> Run:
    """Notes what the columns are and who goes where, and has a worker try every row without importing any.

    Raises:
        ValidationError: by form field: columns, lists, consent.
    """
    job = _job(actor, job_id, "check the file")
    chosen = list(lists)
    consent = " ".join(consent.split())
    _check_choices(job, mapping, chosen, consent)
    with transaction.atomic():
        job = locked(ImportJob.objects.filter(pk=job.pk)).get()
        _require_open_for_changes(job)
        job.mapping = {str(position): target for position, target in mapping.items() if target}
        job.update_existing, job.consent = update_existing, consent[:300]
        job.state, job.problem, job.finished_at = State.CHECKING, "", None
        job.lists.set(chosen)
        run = events.start("import_check", job, requested_by=actor)
        job.run_id = run.pk
        job.save()
        facts = {
            "columns": sorted(target for target in mapping.values() if target),
            "lists": sorted(one.name for one in chosen),
            "change those we have": update_existing,
        }
        audit.record(actor, "checked a file of subscribers", job, after=facts)
    return run


def start_import(actor: Actor, job_id: int) -> Run:
    """Takes the checked rows over, in a worker."""
    job = _job(actor, job_id, "import the file")
    with transaction.atomic():
        job = locked(ImportJob.objects.filter(pk=job.pk)).get()
        if job.state != State.CHECKED:
            raise ValidationError("Only a file that was checked can be imported.")
        _require_file(job)
        if not job.rows:
            raise ValidationError("There is no row in the file to import.")
        counts = {"rows": job.rows, "to add": job.added, "to change": job.updated, "wrong": job.wrong}
        job.added = job.updated = job.unchanged = job.suppressed = job.wrong = job.position = 0
        return _run(actor, job, "imported a file of subscribers", counts)


def continue_import(actor: Actor, job_id: int) -> Run:
    """Goes on with an import that stopped, where it stopped: no row twice, none left out."""
    job = _job(actor, job_id, "go on with the import")
    with transaction.atomic():
        job = locked(ImportJob.objects.filter(pk=job.pk)).get()
        if not can_continue(job):
            raise ValidationError("This import is not waiting to be continued.")
        _require_file(job)
        return _run(actor, job, "went on with an import", {"rows settled": job.position})


def cancel(actor: Actor, job_id: int) -> ImportJob:
    """Stops a check or an import after the batch in hand; what was taken over by then stays."""
    job = _job(actor, job_id, "cancel the import")
    with transaction.atomic():
        job = locked(ImportJob.objects.filter(pk=job.pk)).get()
        if job.state not in UNDER_WAY:
            raise ValidationError("Nothing is under way that could be cancelled.")
        run = Run.objects.filter(pk=job.run_id or 0).first()
        if run is None or ledger.request_cancel(run) not in OPEN:
            note_cancelled(job)  # no worker is at it that could
        audit.record(actor, "cancelled an import", job, before={"state": job.state, "rows settled": job.position})
    job.refresh_from_db()
    return job


def note_cancelled(job: ImportJob) -> None:
    """A cancelled check leaves the columns as they were; a cancelled import says how far it came."""
    if job.state == State.CHECKING:
        ImportJob.objects.filter(pk=job.pk).update(state=State.UPLOADED)
    else:
        ImportJob.objects.filter(pk=job.pk).update(state=State.CANCELLED, finished_at=clock.now())


def delete_file(actor: Actor, job_id: int) -> ImportJob:
    """Removes the uploaded file at once. The counts and the list of problems stay."""
    job = _job(actor, job_id, "delete the uploaded file")
    with transaction.atomic():
        job = locked(ImportJob.objects.filter(pk=job.pk)).get()
        if job.state in UNDER_WAY and is_at_work(job):
            raise ValidationError("The file is being read just now. Cancel that first.")
        _require_file(job)
        name, storage = str(job.file.name), job.file.storage
        if job.state not in (State.DONE, State.FAILED):
            job.state, job.finished_at = State.CANCELLED, clock.now()
        job.file = ""
        job.save()
        audit.record(actor, "deleted the file of an import", job)
        transaction.on_commit(lambda: storage.delete(name))
    return job


def drop_old_files() -> int:
    """Removes uploaded files that nobody needs any more after :data:`KEPT`; returns how many. Their counts stay."""
    old = list(files_uploaded_before(clock.now() - KEPT).values_list("pk", flat=True)[:MOST_DROPPED])
    for job_id in old:
        delete_file(None, job_id)
    return len(old)


def files_uploaded_before(moment: datetime) -> QuerySet[ImportJob]:
    """Imports whose uploaded file is still kept although it is that old, for whoever cleans up."""
    return ImportJob.objects.exclude(file="").filter(created_at__lt=moment).exclude(state__in=UNDER_WAY)


def is_at_work(job: ImportJob) -> bool:
    """Whether a run of it waits or goes on."""
    return Run.objects.filter(pk=job.run_id or 0, state__in=OPEN).exists()


def can_continue(job: ImportJob) -> bool:
    """Whether an import stopped in the middle."""
    if not job.file or job.rows is None:
        return False
    if job.state == State.RUNNING:
        return not is_at_work(job)
    return job.state in (State.CANCELLED, State.FAILED) and job.position > 0 and _settled(job) < job.rows


def problems_of(actor: Actor, job: ImportJob) -> QuerySet[ImportProblem]:
    """What was wrong with which row. They hold what was in the file, so looking takes a permission of its own."""
    audit.require(actor, "newsletters.view_importproblem", "see what was wrong in the file", job)
    return ImportProblem.objects.filter(job=job).order_by("row")


def open_file(job: ImportJob) -> Any:
    """The uploaded file, to be read from its beginning.

    Raises:
        NotATable: it is gone.
    """
    try:
        return job.file.open("rb").file
    except (FileNotFoundError, ValueError) as error:
        raise NotATable("The uploaded file is gone. Upload it again.") from error


def mapping_of(job: ImportJob) -> dict[int, str]:
    """What each column is."""
    return {int(position): str(target) for position, target in job.mapping.items()}


def reading_of(job: ImportJob) -> Reading:
    """How the file is read."""
    return Reading(job.encoding, job.delimiter, job.has_header)


def fields_by_key() -> dict[str, SubscriberField]:
    """The typed fields that a column can go to."""
    return {field.key: field for field in SubscriberField.objects.all()}


def _job(actor: Actor, job_id: int, action: str) -> ImportJob:
    job = ImportJob.objects.get(pk=job_id)
    audit.require(actor, CHANGE, action, job)
    return job


def _take_reading(job: ImportJob, reading: Reading, rows: list[import_files.Row]) -> None:
    job.encoding, job.delimiter, job.has_header = reading.encoding, reading.delimiter, reading.has_header
    job.columns = import_files.headings(rows, has_header=reading.has_header)
    sample = rows[1].cells if reading.has_header and len(rows) > 1 else rows[0].cells
    guessed = import_columns.guess(job.columns, sample)
    job.mapping = {str(position): target for position, target in guessed.items()}


def _check_choices(job: ImportJob, mapping: Mapping[int, str], lists: list[List], consent: str) -> None:
    problems: dict[str, Any] = {}
    try:
        import_columns.check(mapping, job.columns, fields_by_key())
    except ValidationError as error:
        problems["columns"] = error
    if lists and not consent:
        problems["consent"] = "Say how these people agreed, such as “Paper form at the fair of May 2026”."
    if problems:
        raise ValidationError(problems)


def _require_open_for_changes(job: ImportJob) -> None:
    _require_file(job)
    if job.state in UNDER_WAY and is_at_work(job):
        raise ValidationError("The file is being read just now. Wait, or cancel that first.")
    if job.state == State.DONE or job.position:
        raise ValidationError("This file is imported already, at least in part. Upload it again to begin anew.")


def _require_file(job: ImportJob) -> None:
    if not job.file:
        raise ValidationError("The uploaded file was deleted. Upload it again.")


def _run(actor: Actor, job: ImportJob, action: str, facts: dict[str, Any]) -> Run:
    job.state, job.problem, job.finished_at = State.RUNNING, "", None
    run = events.start("import_subscribers", job, requested_by=actor, parameters={"settled": _settled(job)})
    job.run_id = run.pk
    job.save()
    audit.record(actor, action, job, after=facts)
    return run


def _settled(job: ImportJob) -> int:
    return job.added + job.updated + job.unchanged + job.suppressed + job.wrong


def _bytes_of(upload: UploadedFile[Any]) -> Any:
    """The file below Django's wrapper, which a text layer can be put on."""
    return upload.file
