"""What a segment is called; its rules are read by rule_forms.py."""

from __future__ import annotations

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

from newsletters.models import Segment


class SegmentForm(forms.ModelForm):  # type: ignore[type-arg]
    """Name and description."""

    class Meta:
        model = Segment
        fields = ("name", "description")
        widgets = {"name": UnfoldAdminTextInputWidget, "description": UnfoldAdminTextInputWidget}
        help_texts = {"name": "Such as “Harbour people who read us”.", "description": "For colleagues; may stay empty."}
        error_messages = {"name": {"unique": "Another segment has this name already."}}
