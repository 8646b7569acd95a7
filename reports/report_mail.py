"""The mail that brings a report: its numbers, and its files or the way to them. One mail for each recipient.

The rows themselves are never in the text: who may have them is asked when the files are fetched.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from email import encoders
from email.mime.base import MIMEBase
from email.utils import parseaddr
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.exceptions import TemplateDoesNotExist
from django.template.loader import render_to_string, select_template
from django.utils.safestring import SafeString

from reports import content_types, figures, links, storage, unsubscribing
from reports.models import MAX_ATTACHED_MB, Artefact, ReportDelivery, ReportRun
from runs import clock, public_pages, words

MEGABYTE = 1024 * 1024
_CHARTS = ("reports/_charts_for_mail.html", "reports/charts_for_mail.html")


@dataclass(frozen=True)
class Parcel:
    """What is the same in every mail of one report; its files are read once."""

    report_run: ReportRun
    artefacts: list[Artefact]
    attached: dict[str, bytes] = field(default_factory=dict)
    """Key of the artefact → its content; empty where the mail brings a link."""
    why_not: str = ""
    """Why nobody can be sent it any more."""

    @property
    def expires_at(self) -> datetime:
        """Until when the last of the files is kept."""
        return max(artefact.expires_at for artefact in self.artefacts)

    @property
    def until(self) -> str:
        """The last day of that, where the report's days are counted: "19 February 2027"."""
        return words.plain_date(self.expires_at.astimezone(ZoneInfo(self.report_run.time_zone)).date())


class _Mail(EmailMultiAlternatives):
    """Its headers are on one line each: mail programs that read List-Unsubscribe by themselves do not unfold it."""

    def message(self) -> Any:  # type: ignore[override]
        built = super().message()
        built.policy = built.policy.clone(max_line_length=998)
        return built


def pack(report_run: ReportRun) -> Parcel:
    """The files of the report: attached when all together are small enough, as staff set it for the report."""
    kept = report_run.artefacts.filter(deleted_at=None, expires_at__gt=clock.now())
    artefacts = list(kept.order_by("format", "part", "pk"))
    if not artefacts:
        return Parcel(report_run, [], why_not="The files are no longer kept.")
    if not is_attached(report_run, artefacts):
        return Parcel(report_run, artefacts)
    content = {}
    for artefact in artefacts:
        try:
            data = storage.path_of(artefact.key, artefact.format).read_bytes()
        except OSError:
            data = b""
        if hashlib.sha256(data).hexdigest() != artefact.sha256:
            return Parcel(
                report_run, artefacts, why_not=f"The file {artefact} is missing or was damaged. Run it again."
            )
        content[str(artefact.key)] = data
    return Parcel(report_run, artefacts, content)


def is_attached(report_run: ReportRun, artefacts: list[Artefact]) -> bool:
    """Whether all files together fit into what staff allowed; at exactly that many bytes they do."""
    allowed = report_run.definition.attach_up_to_mb if report_run.definition is not None else 0
    size = sum(artefact.byte_count for artefact in artefacts)
    return 0 < size <= min(allowed, MAX_ATTACHED_MB) * MEGABYTE


def subject(report_run: ReportRun) -> str:
    """ "Numbers, 1 to 31 October 2026", and loudly so where rows are missing."""
    days = report_run.period.removesuffix(f", {report_run.time_zone}")
    loud = " INCOMPLETE" if report_run.state == ReportRun.State.INCOMPLETE else ""
    return " ".join(f"{report_run.name}, {days}{loud}".split())


def compose(delivery: ReportDelivery, parcel: Parcel, url: str, connection: Any = None) -> EmailMultiAlternatives:
    """The mail for one recipient; ``url`` leads to the library, or for somebody outside to the page of the link."""
    report_run = parcel.report_run
    is_outside = delivery.user_id is None
    headers = {"Auto-Submitted": "auto-generated", "Message-ID": message_id(delivery)}
    leave = ""
    if is_outside and delivery.recipient_id is not None:
        leave = links.public("leave", unsubscribing.token_of(delivery.recipient_id))
        headers |= {"List-Unsubscribe": f"<{leave}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    context = {
        "report_run": report_run, "organisation": public_pages.organisation(), "url": url, "leave": leave,
        "parcel": parcel, "is_outside": is_outside, "is_incomplete": report_run.state == ReportRun.State.INCOMPLETE,
        "figures": figures.of(report_run.summary or {}), "subject": subject(report_run),
        "until": parcel.until,
    }  # fmt: skip
    charts = _charts(report_run)
    html = _inliner().inline(render_to_string("reports/mail.html", {**context, "charts": charts}))
    mail = _Mail(
        subject(report_run), render_to_string("reports/mail.txt", context), settings.DEFAULT_FROM_EMAIL,
        [delivery.address], headers=headers, connection=connection,
    )  # fmt: skip
    mail.attach_alternative(html, "text/html")
    for artefact in parcel.artefacts:
        if str(artefact.key) in parcel.attached:
            mail.attach(_part(artefact, parcel.attached[str(artefact.key)]))
    return mail


def message_id(delivery: ReportDelivery) -> str:
    """The same for each attempt, so that mail programs show a mail once that arrived twice after a broken connection."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    digest = hashlib.sha256(f"{delivery.report_run_id}:{delivery.pk}:{delivery.created_at}".encode()).hexdigest()
    return f"<report.{delivery.pk}.{digest[:20]}@{domain}>"


def _part(artefact: Artefact, data: bytes) -> MIMEBase:
    """Always in base64: on their way, mail servers may change the line ends of text."""
    part = MIMEBase(*content_types.of(artefact.format).split("/", 1))
    part.set_payload(data)
    encoders.encode_base64(part)
    name = artefact.file_name
    part.add_header("Content-Disposition", "attachment", filename=name if name.isascii() else ("utf-8", "", name))
    return part


def _charts(report_run: ReportRun) -> str | SafeString:
    """The charts as tables that every mail program can show; nothing where there are none."""
    charts = report_run.summary.get("charts") if isinstance(report_run.summary, dict) else None
    if not charts:
        return ""
    try:
        drawn: SafeString = select_template(_CHARTS).render({"charts": charts, "report_run": report_run})
    except TemplateDoesNotExist:
        return ""
    return drawn


@functools.lru_cache
def _inliner() -> Any:
    import css_inline  # beats and web processes know this module, and write no mails

    return css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=False, keep_at_rules=True)
