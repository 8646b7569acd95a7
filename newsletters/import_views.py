"""The pages of an import: upload, columns, check, result; one page that shows the step the file is at."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from newsletters import import_columns, import_files, import_work, imports
from newsletters.import_forms import ColumnsForm, UploadForm
from newsletters.models import ImportJob, ImportProblem
from runs import audit, clock, csv_lines, form_errors
from runs.models import Run
from runs.pace import Mark, Pace, pace
from runs.pages import page, verb

State = ImportJob.State
TONES = {
    State.UPLOADED: "quiet", State.CHECKING: "live", State.CHECKED: "warn", State.RUNNING: "live", State.DONE: "good",
    State.FAILED: "bad", State.CANCELLED: "quiet",
}  # fmt: skip
STEPS = ("File", "Columns", "Check", "Result")
_STEP_OF = {State.UPLOADED: 1, State.CHECKING: 2, State.CHECKED: 2}
DETAIL = "admin:newsletters_importjob_change"
PROBLEMS_SHOWN = 10
PROBLEM_COLUMNS = ("Row", "What", "Column", "Value", "Message")


@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """Takes the file; what is no table is said, and not kept."""
    if not request.user.has_perm("newsletters.add_importjob"):
        audit.require(request.user, "newsletters.add_importjob", "upload a file of subscribers")
    form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
    if form.is_bound and form.is_valid():
        try:
            job = imports.upload_file(request.user, form.cleaned_data["file"])
        except ValidationError as error:
            form.add_error("file", error)
        else:
            return _to(job)
    context = {"form": form, "title": "Import subscribers", "steps": _steps(0)}
    return page(request, "newsletters/admin/import_upload.html", context)


@require_GET
def show(request: HttpRequest, job_id: int) -> HttpResponse:
    """The step that the file is at; with ``?part=live`` only the part that changes while a worker is at it."""
    if not request.user.has_perm("newsletters.view_importjob"):
        raise PermissionDenied
    job = get_object_or_404(ImportJob.objects.select_related("owner"), pk=job_id)
    if request.GET.get("part") == "live":
        return render(request, "newsletters/admin/_import_refreshed.html", _live(request, job))
    is_open = job.state in (State.UPLOADED, State.CHECKED, State.FAILED) and not job.position and bool(job.file)
    may = request.user.has_perm(imports.CHANGE)
    if is_open and may and (job.state == State.UPLOADED or request.GET.get("step") == "columns"):
        return _columns_page(request, job, ColumnsForm(job=job))
    return page(request, "newsletters/admin/import.html", {"title": f"Import of {job}", **_live(request, job)})


@require_POST
def columns(request: HttpRequest, job_id: int) -> HttpResponse:
    """Has the file checked with these columns, or (``reread``) reads it in another way and shows the columns again."""
    job = get_object_or_404(ImportJob, pk=job_id)
    form = ColumnsForm(request.POST, job=job)
    is_asked_to_read = "reread" in request.POST or form.reading != imports.reading_of(job)
    if is_asked_to_read:
        return _reread(request, job, form)
    if form.is_valid():
        chosen = form.cleaned_data
        try:
            imports.check_file(
                request.user, job.pk, mapping=form.mapping, lists=chosen["lists"],
                update_existing=chosen["update_existing"], consent=chosen["consent"],
            )  # fmt: skip
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            return _to(job)
    else:
        audit.require(request.user, imports.CHANGE, "check the file", job)
    return _columns_page(request, job, form)


def _reread(request: HttpRequest, job: ImportJob, form: ColumnsForm) -> HttpResponse:
    """The columns as they are now; the lists and the rest of what was typed stay."""
    try:
        job = imports.set_reading(request.user, job.pk, form.reading)
    except ValidationError as error:
        form.is_valid()
        form_errors.show(form, error)
        return _columns_page(request, job, form)
    guessed = imports.mapping_of(job)
    data = request.POST.copy()
    for position in range(len(job.columns)):
        data[f"column_{position}"] = guessed.get(position, "")
    return _columns_page(request, job, ColumnsForm(data, job=job))


def _columns_page(request: HttpRequest, job: ImportJob, form: ColumnsForm) -> HttpResponse:
    try:
        with imports.open_file(job) as file:
            rows = import_files.first_rows(file, imports.reading_of(job))
    except import_files.NotATable as error:
        messages.error(request, str(error))
        rows = []
    context = {
        "job": job, "form": form, "title": f"Import of {job}", "steps": _steps(1), "sample": _sample(job, rows),
        "column_rows": form.column_rows(rows[1:] if job.has_header else rows),
    }  # fmt: skip
    return page(request, "newsletters/admin/import_columns.html", context)


_verb = verb(ImportJob, DETAIL)
"""A button of the import's page."""


@_verb
def start(request: HttpRequest, job_id: int) -> str:
    """Takes the checked rows over."""
    imports.start_import(request.user, job_id)
    return "The import has started. You can leave this page; you are told when it is done."


@_verb
def go_on(request: HttpRequest, job_id: int) -> str:
    """Goes on where it stopped."""
    imports.continue_import(request.user, job_id)
    return "The import goes on where it stopped. Nobody is added twice."


@_verb
def cancel(request: HttpRequest, job_id: int) -> str:
    """Stops the check or the import."""
    was = ImportJob.objects.values_list("state", flat=True).get(pk=job_id)
    imports.cancel(request.user, job_id)
    if was == State.CHECKING:
        return "The check stops. Nothing was imported."
    return "The import stops within seconds. Who was taken over by then stays."


@_verb
def delete_file(request: HttpRequest, job_id: int) -> str:
    """Removes the uploaded file."""
    imports.delete_file(request.user, job_id)
    return "The uploaded file is deleted. The numbers and the list of problems stay."


@require_GET
def problems(request: HttpRequest, job_id: int) -> StreamingHttpResponse:
    """Every row that was not taken over, as a file for a spreadsheet program."""
    job = get_object_or_404(ImportJob, pk=job_id)
    rows = imports.problems_of(request.user, job)
    audit.record(request.user, "downloaded the problems of an import", job, after={"rows": job.wrong + job.suppressed})
    lines = csv_lines.lines(PROBLEM_COLUMNS, map(_cells, rows.iterator(chunk_size=2000)))
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    name = f"{job.original_name.rpartition('.')[0] or job.original_name}-problems.csv"
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _cells(row: ImportProblem) -> tuple[object, ...]:
    kind = "opted out" if row.kind == "suppressed" else row.kind
    return row.row, kind, row.column, row.value, row.message


def _live(request: HttpRequest, job: ImportJob) -> dict[str, Any]:
    run = Run.objects.filter(pk=job.run_id or 0).first()
    is_at_work = job.state in imports.UNDER_WAY and run is not None and run.is_open
    may_see_problems = request.user.has_perm("newsletters.view_importproblem")
    start = _start(request, run) if is_at_work else None
    return {
        "job": job,
        "run": run,
        "tone": TONES[State(job.state)],
        "steps": _steps(_STEP_OF.get(State(job.state), 3)),
        "is_at_work": is_at_work,
        "has_stopped": job.state in imports.UNDER_WAY and not is_at_work,
        "can_continue": imports.can_continue(job),
        "is_new_state": job.state != request.GET.get("state", job.state),
        "pace": _pace(run, start) if run is not None and is_at_work else None,
        "pace_start": start,
        "counts": _counts(job) if job.rows is not None and job.state != State.CHECKING else [],
        "kept_problems": import_work.KEPT_PROBLEMS,
        "problem_count": job.wrong + job.suppressed,
        "problems": list(job.problems.order_by("row")[:PROBLEMS_SHOWN]) if may_see_problems and not is_at_work else [],
        "mapped": _mapped(job),
        "lists": list(job.lists.all()),
        "encoding": import_files.ENCODINGS.get(job.encoding, job.encoding),
        "delimiter": import_files.DELIMITERS.get(job.delimiter, job.delimiter),
    }


def _counts(job: ImportJob) -> list[tuple[str, int]]:
    is_foretold = job.state == State.CHECKED
    return [
        ("Would be added" if is_foretold else "Added", job.added),
        ("Would be changed" if is_foretold else "Changed", job.updated),
        ("There already", job.unchanged),
        ("Opted out, left alone", job.suppressed),
        ("Wrong", job.wrong),
    ]


def _mapped(job: ImportJob) -> list[tuple[str, str]]:
    fields = imports.fields_by_key()
    return [
        (job.columns[position], import_columns.label(target, fields))
        for position, target in sorted(imports.mapping_of(job).items())
        if position < len(job.columns)
    ]


def _start(request: HttpRequest, run: Run | None) -> Mark | None:
    """From where the rate counts: the run's start, or for a later attempt the first look at this page."""
    if run is None or run.started_at is None:
        return None
    if run.attempt == 1:
        return Mark(run.started_at, int(run.parameters.get("settled", 0)))
    seen = Mark.read(request.GET.get("start", ""))
    is_usable = seen is not None and seen.done <= run.progress_done
    return seen if is_usable else Mark(clock.now(), run.progress_done)


def _pace(run: Run, start: Mark | None) -> Pace | None:
    if not run.progress_total:
        return None
    return pace(run.progress_done, run.progress_total, run.progress_unit, start=start, now=clock.now())


def _sample(job: ImportJob, rows: list[import_files.Row]) -> list[list[str]]:
    """The first rows, as wide as the table."""
    shown = rows[1:] if job.has_header else rows
    width = min(len(job.columns), 8)
    return [
        [import_files.readable(cell)[:60] for cell in [*row.cells, *[""] * width][:width]] for row in shown if row.cells
    ]


def _steps(current: int) -> list[tuple[str, str]]:
    """Each step's name, and whether it is done, current or to come."""
    return [
        (name, "done" if position < current else "current" if position == current else "next")
        for position, name in enumerate(STEPS)
    ]


def _to(job: ImportJob) -> HttpResponse:
    return HttpResponseRedirect(reverse(DETAIL, args=[job.pk]))
