"""The forms of an import: the upload, and what its columns are and who goes where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from newsletters import import_columns, import_files, imports
from newsletters.import_files import Reading
from newsletters.models import ImportJob, List

_SHOWN_CELLS = 3


class UploadForm(forms.Form):
    """The file."""

    file = forms.FileField(
        label="File",
        help_text="A table saved as CSV or tab-separated text, with at most 300 MB. Nothing is imported yet.",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.tsv,.txt,text/csv,text/plain"}),
        error_messages={"required": "Choose a file first.", "empty": "The file is empty."},
    )


class ColumnsForm(forms.Form):
    """How the file is read, what each column becomes, and what happens to the people in it."""

    encoding = forms.ChoiceField(
        label="Encoding", choices=list(import_files.ENCODINGS.items()), widget=UnfoldAdminSelectWidget,
        help_text="If letters such as ü or é look wrong, choose another encoding; if everything is in one column, another separator.",
    )  # fmt: skip
    delimiter = forms.ChoiceField(
        label="Columns are separated by", choices=list(import_files.DELIMITERS.items()), widget=UnfoldAdminSelectWidget
    )
    has_header = forms.BooleanField(label="The first row names the columns", required=False, widget=UnfoldBooleanWidget)
    lists = forms.ModelMultipleChoiceField(
        label="Put them on these lists", queryset=List.objects.all(), required=False,
        help_text="Whoever left a list before stays off it.",
    )  # fmt: skip
    consent = forms.CharField(
        label="How did these people agree?", max_length=300, required=False, widget=UnfoldAdminTextInputWidget,
        help_text="Kept with each subscription as proof, such as “Paper form at the fair of May 2026”.",
    )  # fmt: skip
    update_existing = forms.BooleanField(
        label="Change the names and fields of people we have already", required=False, widget=UnfoldBooleanWidget,
        help_text="An empty cell changes nothing. An address that comes twice in the file is one person: the first row "
        "counts, or with this the last one.",
    )  # fmt: skip

    def __init__(self, data: Any = None, *, job: ImportJob, mapping: dict[int, str] | None = None) -> None:
        initial = {
            "encoding": job.encoding, "delimiter": job.delimiter, "has_header": job.has_header,
            "consent": job.consent, "update_existing": job.update_existing,
            "lists": [one.pk for one in job.lists.all()],
        }  # fmt: skip
        super().__init__(data, initial=initial)
        self.job = job
        lists = cast("forms.ModelMultipleChoiceField[List]", self.fields["lists"])
        lists.widget = UnfoldAdminCheckboxSelectMultipleWidget(
            choices=[(one.pk, one.name) for one in List.objects.all()]
        )
        chosen = imports.mapping_of(job) if mapping is None else mapping
        typed = imports.fields_by_key()
        for position, heading in enumerate(job.columns):
            groups = import_columns.targets(heading, typed)
            offered = [*groups[0][1], *((name, options) for name, options in groups[1:])]
            self.fields[f"column_{position}"] = forms.ChoiceField(
                label=f"“{heading}” becomes", choices=offered, required=False, initial=chosen.get(position, ""),
                widget=UnfoldAdminSelectWidget,
                error_messages={"invalid_choice": "This does not exist any more. Choose again."},
            )  # fmt: skip

    @property
    def mapping(self) -> dict[int, str]:
        """What was chosen for each column."""
        return {position: self.cleaned_data.get(f"column_{position}", "") for position in range(len(self.job.columns))}

    @property
    def reading(self) -> Reading:
        """How the file should be read, as far as that was chosen; whatever is not offered is refused by the service."""
        return Reading(
            str(self.data.get("encoding", "")), str(self.data.get("delimiter", "")), bool(self.data.get("has_header"))
        )

    def column_rows(self, rows: Sequence[import_files.Row]) -> list[tuple[str, list[str], Any]]:
        """Each column's heading, some of its values, and its field."""
        return [
            (
                heading,
                [
                    import_files.readable(row.cells[position])[:60]
                    for row in rows
                    if position < len(row.cells) and row.cells[position].strip()
                ][:_SHOWN_CELLS],
                self[f"column_{position}"],
            )
            for position, heading in enumerate(self.job.columns)
        ]
