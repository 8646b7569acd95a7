"""A field in which one of very many is chosen by its name: the first of them are offered while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.html import format_html, format_html_join
from unfold.widgets import UnfoldAdminTextInputWidget


class NameInput(UnfoldAdminTextInputWidget):  # type: ignore[misc]
    """A line of text with names to choose from."""

    def __init__(self) -> None:
        super().__init__(attrs={"autocomplete": "off", "spellcheck": "false"})
        self.offered: Sequence[str] = ()

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        listed = f"{name}-offered"
        field = super().render(name, value, {**(attrs or {}), "list": listed}, renderer)
        options = format_html_join("", '<option value="{}"></option>', ((one,) for one in self.offered))
        return format_html('{}<datalist id="{}">{}</datalist>', field, listed, options)
