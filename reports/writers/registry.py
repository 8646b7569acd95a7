"""Which writer makes the files of which format."""

from __future__ import annotations

import os
from collections.abc import Sequence

from reports.models import Format
from reports.sources import Head
from reports.writers.csv_file import CsvWriter
from reports.writers.writer import About, Sink, Writer


def open_writer(file_format: str, sink: Sink, heads: Sequence[Head], about: About) -> Writer:
    """Begins a file; the head of it may be in the sink at once. Raises ValueError for a format that there is none for.

    The large libraries are imported here, when a file of theirs is made: a worker that makes none stays small.
    """
    match file_format:
        case Format.CSV:
            return CsvWriter(sink, heads, about)
        case Format.XLSX:
            from reports.writers.xlsx_file import XlsxWriter

            return XlsxWriter(sink, heads, about)
        case Format.JSONL:
            from reports.writers.jsonl_file import JsonlWriter

            return JsonlWriter(sink, heads, about)
        case Format.PARQUET:
            # Arrow's own allocator, chosen when it is imported, keeps what it once had: 20 MB more in every worker.
            os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
            from reports.writers.parquet_file import ParquetWriter

            return ParquetWriter(sink, heads, about)
        case Format.PDF:
            from reports.writers.pdf_file import PdfWriter

            return PdfWriter(sink, heads, about)
    raise ValueError(f"There is no writer for {file_format!r}.")
