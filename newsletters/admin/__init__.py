"""The newsletters in the admin, one module per noun; what happens there goes through services."""

from __future__ import annotations

from newsletters.admin import audience, layouts, library, sending

__all__ = ["audience", "layouts", "library", "sending"]
