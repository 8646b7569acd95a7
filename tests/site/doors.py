"""Every address of the site, and what each door that changes something asks for.

A new address fails the test until it has a line here: in READS when it changes nothing, in DOORS when it does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from reports.queries import approval as query_approval
from runs import queue_pauses
from runs.models import StaffSettings
from schedules import desk_pause
from schedules.models import Schedule

World = dict[str, Any]
Data = dict[str, Any]

# Addresses that only show something, by model and by name. What is not listed must be a door.
_SHOWN = ("changelist", "history")
_READ_ONLY = ("runs_run", "runs_alert", "runs_auditentry", "newsletters_issue", "newsletters_delivery",
    "newsletters_feedbackmessage", "reports_artefact", "cleanup_archivepart")  # fmt: skip
MODELS = (
    "auth_user", "auth_group", "schedules_holidaycalendar", "schedules_schedule", "newsletters_list",
    "newsletters_subscriber", "newsletters_segment", "newsletters_subscriberfield", "newsletters_suppression", "newsletters_image",
    "newsletters_newsletter", "newsletters_lettertemplate", "newsletters_importjob", "newsletters_bouncemailbox",
    "reports_reportdefinition", "reports_reportquery", "cleanup_cleanuppolicy", "cleanup_hold", *_READ_ONLY,
)  # fmt: skip
CLOSED = {
    *(f"admin:{model}_add" for model in _READ_ONLY if model != "newsletters_issue"),
    *(f"admin:{model}_delete" for model in _READ_ONLY),
    "admin:newsletters_subscriber_delete",
    "admin:newsletters_suppression_delete",
    "admin:newsletters_image_delete",
    "admin:newsletters_importjob_delete",
}
"""Pages of the admin that nobody may use at all, whatever their permissions."""
READS = {
    *(f"admin:{model}_{verb}" for model in MODELS for verb in _SHOWN),
    *(f"admin:{model}_change" for model in _READ_ONLY),
    "admin:newsletters_subscriber_detail",
    "admin:newsletters_suppression_change", "admin:newsletters_newsletter_feed", "admin:newsletters_newsletter_feed_link",
    "admin:newsletters_importjob_change",
    "admin:newsletters_importjob_problems",
    "admin:newsletters_image_change",
    "admin:cleanup_hold_change",
    "healthz", "readyz", "metrics",
    "admin:index", "admin:search", "admin:overview_live", "admin:mailbox", "admin:mailbox_mail", "admin:mailbox_source",
    "admin:calendar", "admin:calendar_month", "admin:calendar_this_week", "admin:calendar_week", "admin:calendar_day",
    "admin:calendar_feed", "calendar_ics", "admin:queues", "admin:queues_live",
    "admin:app_list", "admin:autocomplete", "admin:jsi18n", "admin:view_on_site", "admin:password_change_done",
    "admin:runs_run_log", "admin:schedules_schedule_detail", "admin:newsletters_image_file",
    # The editor of letters; pictures have addresses that nobody can guess.
    "admin:newsletters_newsletter_checks", "admin:newsletters_image_pick", "newsletters:image",
    "admin:newsletters_issue_recipients",
    "admin:newsletters_issue_add",  # leads to the page where an issue is begun
    "admin:reports_artefact_download", "admin:reports_reportrun_changelist", "admin:reports_reportrun_change", "admin:cleanup_cleanuppolicy_detail",
    "admin:cleanup_cleanuprun_change", "admin:cleanup_archivepart_download",
    "reports:link_file",  # a signed address that dies soon
}  # fmt: skip
QUESTIONS = {
    "admin:schedules_schedule_backfill",  # lists the due times of a stretch
    "admin:queue_pause",
    "admin:newsletters_issue_new",  # asks of which newsletter, and for when
}
"""Doors whose GET shows a page that asks and changes nothing; every other verb answers 405."""


@dataclass(frozen=True)
class Door:
    """One address that changes something by POST."""

    needs: tuple[str, ...] = ()
    """The permissions that it takes, all of them; none for what everybody may do for themselves."""
    data: Data | Callable[[World], Data] = field(default_factory=dict)
    row: str = ""
    """The row of the world that it is about."""
    prepare: Callable[[Any], object] | None = None
    """What must be so before this person can do it."""
    is_form: bool = False
    """A page of the admin: GET shows the form, and its values are sent unless ``data`` says others."""
    leaves_entry: bool = True
    """Whether doing it is an entry in the activity log; not so for what changes nothing, or only for oneself."""


def _model(name: str, row: str, *, add: Any = None, change: Any = None, delete: bool = True) -> dict[str, Door]:
    """The admin's own three forms."""
    app, _, model = name.partition("_")
    doors = {}
    if add is not None:
        doors[f"admin:{name}_add"] = Door((f"{app}.add_{model}",), add, is_form=True)
    if change is not None:
        doors[f"admin:{name}_change"] = Door((f"{app}.change_{model}",), change, row, is_form=True)
    if delete:
        doors[f"admin:{name}_delete"] = Door((f"{app}.delete_{model}",), {"post": "yes"}, row, is_form=True)
    return doors


def _schedule(world: World) -> Data:
    return {"what": f"cleanup:{world['policy'].pk}", "name": "Another", "expression": "0 4 * * *"}


def _later(world: World) -> Data:
    return {"until": (date.today() + timedelta(days=100)).isoformat()}


def _newsletter(world: World) -> Data:
    return {"name": "Another letter", "subject": "News", "body": "Hello", "lists": [world["list"].pk]}


_RULE = {"r.0.about": "subscribed", "r.0.op": "last", "r.0.value": "30"}
SEND = "newsletters.send_newsletter"
IMPORT = "newsletters.change_importjob"
APPROVE_QUERY = "reports.approve_reportquery"
VIEW, PAUSE, RUN = "schedules.view_schedule", "schedules.pause_schedule", "schedules.run_schedule"
PASSWORDS = {"password1": "a-long-secret-1", "password2": "a-long-secret-1", "usable_password": "true"}

DOORS: dict[str, Door] = {
    # For everybody who is signed in.
    "admin:my_settings": Door(data={"time_zone": "Europe/Rome", "date_language": "it", "mail": "all"}),
    "admin:notices_read": Door(leaves_entry=False),
    "admin:password_change": Door(
        data={"old_password": "old-secret", "new_password1": "a-long-secret-1", "new_password2": "a-long-secret-1"}
    ),
    "admin:logout": Door(leaves_entry=False),
    # Users and roles.
    **_model("auth_user", "person", add={"username": "newcomer", **PASSWORDS}, change={"first_name": "Ada", "date_joined_0": "2026-01-01", "date_joined_1": "09:00"}),
    "admin:auth_user_password_change": Door(("auth.change_user",), PASSWORDS, "person", is_form=True),
    **_model("auth_group", "role", add={"name": "Archivist"}, change={"name": "Spare role"}),
    # Runs.
    "admin:runs_run_cancel": Door(("runs.cancel_run",), row="open_run"),
    "admin:runs_run_retry": Door(("runs.retry_run", "cleanup.run_cleanup"), row="ended_run"),
    "admin:runs_run_acknowledge": Door(("runs.retry_run",), row="failed_run"),
    "admin:runs_run_acknowledge_many": Door(("runs.retry_run",), lambda world: {"run": [world["failed_run"].pk]}),
    "admin:runs_auditentry_export": Door(
        ("runs.view_auditentry",), {"since": "2026-01-01", "until": "2099-01-01"}
    ),
    # Schedules.
    **_model("schedules_schedule", "schedule", add=_schedule, change={"name": "Renamed"}),
    "admin:schedules_schedule_preview": Door(("schedules.add_schedule",), {"mode": "cron"}, leaves_entry=False),
    "admin:schedules_schedule_pause": Door((PAUSE,), {"reason": "x"}, "schedule"),
    "admin:schedules_schedule_resume": Door((PAUSE,), {"confirmed": "1"}, "paused"),
    "admin:schedules_schedule_run_now": Door((RUN, "cleanup.run_cleanup"), {"form_key": "a" * 32}, "schedule"),
    "admin:schedules_schedule_run_once": Door((RUN, "cleanup.run_cleanup"), {"form_key": "b" * 32}, "startable"),
    "admin:schedules_schedule_pause_everything": Door(("schedules.pause_everything",), {"reason": "x"}),
    "admin:schedules_schedule_resume_everything": Door(
        ("schedules.pause_everything",), prepare=lambda person: desk_pause.pause_everything(None, reason="x")
    ),
    # Queues.
    "admin:queue_pause": Door(("runs.pause_queue",), {"reason": "x"}, "queue"),
    "admin:queue_resume": Door(
        ("runs.pause_queue",), row="queue",
        prepare=lambda person: queue_pauses.pause_queue(None, "reports", reason="x"),
    ),
    # One's own calendar address.
    "admin:calendar_feed_new": Door((VIEW,)),
    "admin:calendar_feed_remove": Door(
        prepare=lambda person: StaffSettings.objects.update_or_create(user=person, calendar_token_hash="x")
    ),
    "admin:schedules_schedule_backfill": Door(
        (RUN, "cleanup.run_cleanup"), {"start": "2026-11-01T00:00", "end": "2026-11-03T00:00"}, "schedule"
    ),
    "admin:schedules_schedule_skip_next": Door((PAUSE,), {}, "schedule"),
    "admin:schedules_schedule_changelist": Door(
        (PAUSE,), lambda world: {"action": "resume_selected", "_selected_action": [world["paused"].pk]}
    ),
    **_model("schedules_holidaycalendar", "calendar", add={"name": "Italy", "country": "IT"}, change={"name": "Here"}),
    # Newsletters.
    **_model("newsletters_newsletter", "newsletter", add=_newsletter, change={"name": "Renamed"}),
    "admin:newsletters_newsletter_preview": Door(("newsletters.view_newsletter",), {"body": "x"}, leaves_entry=False),
    **_model("newsletters_lettertemplate", "layout", add={"name": "Plain", "format": "html", "source": "<p>{{ content }}</p>"}, change={"name": "X"}),
    "admin:newsletters_lettertemplate_preview": Door(
        ("newsletters.view_lettertemplate",), {"format": "html", "source": "<p>{{ content }}</p>"}, leaves_entry=False
    ),
    "admin:newsletters_newsletter_test": Door(
        ("newsletters.change_newsletter",), {"subject": "News", "body": "Hello", "test_to": "door@example.org"},
        prepare=lambda person: type(person).objects.filter(pk=person.pk).update(email="door@example.org"),
    ),
    **_model("newsletters_list", "spare_list", add={"name": "More", "slug": "more", "opt_in": "double"}, change={"name": "X"}),
    **_model(
        "newsletters_subscriber", "subscriber", add={"email": "new@example.org"},
        change={"name": "Ada"}, delete=False,
    ),
    **_model("newsletters_suppression", "", add={"email": "no@example.org"}, delete=False),
    **_model("newsletters_image", "", add=lambda world: {"upload": world["upload"](), "alt": "Dot"}, delete=False),
    # Issues.
    "admin:newsletters_issue_new": Door(
        ("newsletters.add_issue",), lambda world: {"newsletter": world["newsletter"].pk, "when": "none"}
    ),
    "admin:newsletters_issue_edit": Door(("newsletters.change_issue",), {"subject": "Other", "format": "markdown", "body": "Text"}, "draft_issue"),
    "admin:newsletters_issue_submit": Door(("newsletters.change_issue",), row="draft_issue"),
    "admin:newsletters_issue_duplicate": Door(("newsletters.add_issue",), row="draft_issue"),
    "admin:newsletters_issue_move": Door(("newsletters.change_issue",), {"answer": "1", "when": "none"}, "draft_issue"),
    "admin:newsletters_issue_delete_draft": Door(("newsletters.delete_issue",), {"confirmed": "1"}, "draft_issue"),
    "admin:newsletters_issue_send_now": Door((SEND,), {"form_key": "a" * 32}, "draft_issue"),
    "admin:newsletters_issue_approve": Door(("newsletters.approve_issue",), {"confirmed": "1"}, "submitted_issue"),
    "admin:newsletters_issue_refuse": Door(("newsletters.approve_issue",), {"answer": "1", "reason": "x"}, "submitted_issue"),
    "admin:newsletters_issue_withdraw": Door(("newsletters.change_issue",), row="submitted_issue"),
    "admin:newsletters_issue_pause": Door((SEND,), row="running_issue"),
    "admin:newsletters_issue_resume": Door((SEND,), row="paused_issue"),
    "admin:newsletters_issue_cancel": Door((SEND,), {"answer": "1", "reason": "x"}, "paused_issue"),
    "admin:newsletters_issue_change_rate": Door((SEND,), {"rate": "5", "rate_per": "hour"}, "running_issue"),
    "admin:newsletters_issue_retry_failed": Door((SEND,), row="failed_issue"),
    "admin:newsletters_issue_decide_uncertain": Door((SEND,), row="failed_issue"),
    # What comes back.
    **_model("newsletters_bouncemailbox", "mailbox", add={"name": "Returns"}, change={"name": "Renamed"}),
    # The audience.
    **_model(
        "newsletters_segment", "segment", add={"name": "More", "r.match": "all", **_RULE},
        change={"name": "More", "r.match": "all", **_RULE},
    ),
    "admin:newsletters_segment_rules": Door(("newsletters.view_segment",), {"do": "add:r"}, leaves_entry=False),
    "admin:newsletters_segment_preview": Door(("newsletters.view_segment",), {"r.match": "all"}, leaves_entry=False),
    **_model(
        "newsletters_subscriberfield", "field", add={"label": "More", "key": "more", "kind": "text", "position": 0},
        change={"label": "X", "key": "district", "kind": "text", "position": 0},
    ),
    "admin:newsletters_subscriber_unsubscribe": Door(
        ("newsletters.change_subscriber",), {"reason": ""}, "subscription"
    ),
    "admin:newsletters_subscriber_suppress": Door(
        ("newsletters.add_suppression",), {"note": "x"}, "subscriber"
    ),
    "admin:newsletters_subscriber_erase": Door(
        ("newsletters.delete_subscriber",), {"address": "s@example.org"}, "subscriber"
    ),
    "admin:newsletters_subscriber_personal_data": Door(("newsletters.change_subscriber",), row="subscriber"),
    "admin:newsletters_subscriber_export": Door(("newsletters.view_subscriber", "newsletters.export_subscriber")),
    "admin:newsletters_suppression_lift": Door(("newsletters.delete_suppression",), {"reason": "x"}, "suppression"),
    "admin:newsletters_issue_recipients_download": Door(
        ("newsletters.view_delivery", "newsletters.view_subscriber", "newsletters.export_subscriber"),
        row="failed_issue",
    ),
    # Feeds.
    "admin:newsletters_newsletter_feed_anew": Door(("newsletters.change_newsletter",), row="newsletter"),
    # Imports of subscribers.
    "admin:newsletters_importjob_add": Door(
        ("newsletters.add_importjob",), lambda world: {"file": world["table"]()}, is_form=True
    ),
    "admin:newsletters_importjob_columns": Door(
        (IMPORT,), {"encoding": "utf-8", "delimiter": ",", "has_header": "on", "column_0": "email"}, "new_import"
    ),
    "admin:newsletters_importjob_start": Door((IMPORT,), row="checked_import"),
    "admin:newsletters_importjob_continue": Door((IMPORT,), row="stopped_import"),
    "admin:newsletters_importjob_cancel": Door((IMPORT,), row="stopped_import"),
    "admin:newsletters_importjob_delete_file": Door((IMPORT,), row="new_import"),
    # Reports and cleanup.
    "admin:reports_sharelink_revoke": Door(("reports.change_reportdefinition",), row="share_link"),
    "admin:reports_reportrun_mail_again": Door(("reports.run_report",), row="missed_report"),
    **_model("reports_reportdefinition", "report", add={"name": "More", "data_set": "deliveries_per_day"}, change={"name": "X"}),
    "admin:reports_reportdefinition_panel": Door(("reports.add_reportdefinition",), {"do": "add-filter"}, leaves_entry=False),
    "admin:reports_reportdefinition_preview": Door(
        ("reports.view_reportdefinition", "reports.add_reportdefinition"), {"data_set": "deliveries_per_day"}, leaves_entry=False,
    ),
    **_model("reports_reportquery", "spare_query", add={"name": "More", "sql": "SELECT 1"}, change={"name": "X", "sql": "SELECT 2"}),
    "admin:reports_reportquery_approve": Door(
        (APPROVE_QUERY,), lambda world: {"note": "", "seen": query_approval.current(world["waiting_query"])}, "waiting_query"
    ),
    "admin:reports_reportquery_refuse": Door(
        (APPROVE_QUERY,), lambda world: {"note": "x", "seen": query_approval.current(world["waiting_query"])}, "waiting_query"
    ),
    "admin:reports_reportrun_cancel": Door(("runs.cancel_run",), row="waiting_report"),
    "admin:reports_reportrun_again": Door(("reports.run_report",), {"form_key": "b" * 32}, "made_report"),
    "admin:reports_reportrun_extend": Door(("reports.change_artefact",), _later, "made_report"),
    "admin:reports_reportrun_delete_files": Door(("reports.delete_artefact",), {"reason": "x"}, "made_report"),
    **_model("cleanup_cleanuppolicy", "policy", add={"name": "More", "targets": ["sessions"], "days": 60}, change={"name": "X"}),
    "admin:cleanup_cleanuppolicy_delete": Door(
        ("cleanup.delete_cleanuppolicy",), {"post": "yes"}, "policy", is_form=True,
        prepare=lambda person: Schedule.objects.all().delete(),  # while one runs it, nobody may
    ),
    "admin:cleanup_cleanuppolicy_preview": Door(("cleanup.view_cleanuppolicy",), row="policy"),
    "admin:cleanup_cleanuppolicy_enable": Door(("cleanup.run_cleanup",), row="policy"),
    "admin:cleanup_cleanuppolicy_disable": Door(("cleanup.run_cleanup",), row="policy"),
    "admin:cleanup_cleanuppolicy_live": Door(("cleanup.add_cleanuppolicy",), {"targets": ["sessions"], "days": 30}, leaves_entry=False),
    "admin:cleanup_cleanuppolicy_ask": Door(("cleanup.run_cleanup",), row="large_policy"),
    "admin:cleanup_cleanuppolicy_approve": Door(
        ("cleanup.approve_cleanup",), lambda world: {"note": "", "seen": world["seen"]()}, "asked_policy"
    ),
    "admin:cleanup_cleanuppolicy_refuse": Door(
        ("cleanup.approve_cleanup",), lambda world: {"note": "Too much", "seen": world["seen"]()}, "asked_policy"
    ),
    "admin:cleanup_archivepart_delete_file": Door(("cleanup.delete_archivepart",), {"confirmed": "1"}, "archive"),
    **_model("cleanup_hold", "hold", add={"what": "sessions:all", "reason": "A court asks"}),
}  # fmt: skip

PUBLIC = {
    "admin:login": "takes a name and a password",
    # The readers' own pages: no session, so no cookie's token either.
    "newsletters:unsubscribe": "a signed token is the authority; mail programs post without cookies (RFC 8058)",
    "newsletters:confirm": "a signed token is the authority",
    "newsletters:preferences": "a signed token is the authority",
    "newsletters:new_address": "a signed token, mailed to the new address",
    "newsletters:my_data": "a signed token, mailed on request",
    "newsletters:erase": "a signed token, mailed on request",
    "newsletters:subscribe": "anybody, from our own form",
    "newsletters:subscribe_embedded": "anybody; it can only ask for one mail to an address",
    "newsletters:ask_for_page": "anybody, from our own form",
    "newsletters:feedback": "anybody, from our own form",
    # People outside who get reports.
    "reports:link": "a random token, mailed; it can be taken back",
    "reports:leave": "a signed token is the authority; mail programs post without cookies (RFC 8058)",
}
"""Doors for people without an account, and what lets them in."""
WITHOUT_TOKEN = {
    "newsletters:unsubscribe", "newsletters:confirm", "newsletters:preferences", "newsletters:new_address",
    "newsletters:my_data", "newsletters:erase", "reports:link", "reports:leave",
}  # fmt: skip
"""Doors whose address holds the token."""
FROM_ELSEWHERE = {"newsletters:subscribe_embedded"}
"""Doors that other websites' forms lead to: an empty form is refused as such."""
READS |= {
    "newsletters:archive", "newsletters:archive_feed", "newsletters:archive_newsletter",
    "newsletters:archive_newsletter_feed", "newsletters:archive_issue", "newsletters:view", "newsletters:click",
    "admin:sign_up_form",
}  # fmt: skip
