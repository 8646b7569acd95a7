"""What staff do about who got a report: take a link back, mail those again whom it did not reach. By POST."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from reports import links, mailing_again, share_links
from reports.models import ReportRun, ShareLink
from runs import audit
from runs.words import counted


def addresses(site: AdminSite) -> list[URLPattern]:
    """The addresses of this module, for the admin of report runs."""
    wrap = site.admin_view
    return [
        path("link/<int:link_id>/take-back/", wrap(revoke_link), name="reports_sharelink_revoke"),
        path("<int:report_run_id>/mail-again/", wrap(mail_again), name="reports_reportrun_mail_again"),
    ]


@require_POST
def revoke_link(request: HttpRequest, link_id: int) -> HttpResponse:
    """Takes the link back, and returns to the report's page."""
    audit.require(request.user, share_links.PERMISSION, "take the link back")
    link = get_object_or_404(ShareLink.objects.select_related("report_run"), pk=link_id)

    def act() -> str:
        share_links.revoke_link(request.user, link_id)
        return f"The link of {link.address} opens nothing any more."

    return _done(request, link.report_run, act)


@require_POST
def mail_again(request: HttpRequest, report_run_id: int) -> HttpResponse:
    """Mails the report again to those whom it did not reach, and to nobody else."""
    audit.require(request.user, mailing_again.PERMISSION, "mail the report again")
    report_run = get_object_or_404(ReportRun, pk=report_run_id)

    def act() -> str:
        number = mailing_again.mail_failed_again(request.user, report_run_id)
        return f"It is mailed again to {counted(number, 'recipient')} whom it did not reach."

    return _done(request, report_run, act)


def _done(request: HttpRequest, report_run: ReportRun, act: Callable[[], str]) -> HttpResponse:
    try:
        messages.success(request, act())
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return HttpResponseRedirect(links.page_of(report_run))
