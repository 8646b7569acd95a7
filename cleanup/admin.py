"""The pages of cleanup in the admin."""

from __future__ import annotations

from cleanup import archive_admin, hold_admin, policy_admin

__all__ = ["archive_admin", "hold_admin", "policy_admin"]
