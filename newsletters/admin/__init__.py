"""The newsletters in the admin, one module per noun; what happens there goes through services."""

from __future__ import annotations

from newsletters.admin import imports, issues, layouts, library, lists, responses, segments, sending, subscribers

__all__ = ["imports", "issues", "layouts", "library", "lists", "responses", "segments", "sending", "subscribers"]
