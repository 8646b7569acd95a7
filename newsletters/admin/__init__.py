"""The newsletters in the admin, one module per noun; what happens there goes through services."""

from __future__ import annotations

from newsletters.admin import layouts, library, lists, segments, sending, subscribers

__all__ = ["layouts", "library", "lists", "segments", "sending", "subscribers"]
