"""The addresses of the library and of each report's page; the pages themselves are in library_views.py and report_views.py."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, path

from reports import delivery_views, library_views, report_views, views
from reports.models import Artefact, ReportRun
from runs.admin import ReadOnlyAdmin


@admin.register(Artefact)
class ArtefactAdmin(ReadOnlyAdmin):
    """The report library."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own: list[URLPattern] = [
            path("", wrap(library_views.index), name="reports_artefact_changelist"),
            path("<int:artefact_id>/change/", wrap(library_views.file), name="reports_artefact_change"),
            # Cacheable as far as the admin is concerned: the view sets its own, stricter, header.
            path("<uuid:key>/download/", wrap(views.download, cacheable=True), name="reports_artefact_download"),
        ]
        return [*own, *super().get_urls()]


@admin.register(ReportRun)
class ReportRunAdmin(ReadOnlyAdmin):
    """One report that was made."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own: list[URLPattern] = [
            path("", wrap(library_views.index), name="reports_reportrun_changelist"),
            path("<int:report_run_id>/", wrap(report_views.detail), name="reports_reportrun_change"),
            path("<int:report_run_id>/change/", wrap(report_views.to_page)),
            path("<int:object_id>/cancel/", wrap(report_views.cancel), name="reports_reportrun_cancel"),
            path("<int:report_run_id>/again/", wrap(report_views.make_again), name="reports_reportrun_again"),
            path("<int:report_run_id>/extend/", wrap(report_views.extend), name="reports_reportrun_extend"),
            path("<int:report_run_id>/delete-files/", wrap(report_views.delete), name="reports_reportrun_delete_files"),
        ]
        own += delivery_views.addresses(self.admin_site)
        return own  # nothing of a report is edited, so the admin's own pages stay away
