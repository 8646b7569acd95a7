"""Uploaded files that hold somebody who is erased: found by reading them, deleted whole."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from functools import partial

from django.db import transaction

from newsletters import imports
from newsletters.import_files import NotATable
from newsletters.models import ImportJob
from runs import audit, clock
from runs.locking import locked

_PIECE = 1024 * 1024
_State = ImportJob.State


def holding(words: Sequence[str]) -> list[int]:
    """The imports whose uploaded file has one of the words in it. Reads every file that is still kept."""
    wanted = [word.lower() for word in words if word]
    kept = ImportJob.objects.exclude(file="").order_by("pk")
    return [job.pk for job in kept.iterator() if wanted and _has(job, wanted)]


def delete(job_ids: Sequence[int]) -> None:
    """Deletes their files; an import that was not finished ends, because its file is part of what must go."""
    for job in locked(ImportJob.objects.filter(pk__in=job_ids).exclude(file="")):
        name, storage = str(job.file.name), job.file.storage
        if job.state not in (_State.DONE, _State.FAILED):
            job.state, job.finished_at = _State.CANCELLED, clock.now()
        job.file = ""
        job.save(update_fields=["state", "finished_at", "file"])
        audit.record(None, "deleted the file of an import", job, reason="Somebody in it was erased.")
        transaction.on_commit(partial(storage.delete, name))


def _has(job: ImportJob, wanted: Sequence[str]) -> bool:
    overlap = max(map(len, wanted))
    decoder = codecs.getincrementaldecoder(job.encoding)("replace")
    before = ""
    try:
        with imports.open_file(job) as file:
            while piece := file.read(_PIECE):
                text = before + decoder.decode(piece).lower()
                if any(word in text for word in wanted):
                    return True
                before = text[-overlap:]
    except NotATable:  # it is gone already
        return False
    return False
