"""Every page of the reports in the admin, where Django looks for them."""

from __future__ import annotations

from reports import definition_admin as definition_admin
from reports import library_admin as library_admin
from reports.queries import admin as queries_admin

__all__ = ["definition_admin", "library_admin", "queries_admin"]
