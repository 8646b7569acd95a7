"""How the admin looks: brand, colours and the sidebar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.functional import lazy

_static = lazy(static, str)


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    return lambda request: request.user.has_perm(permission)


def _item(title: str, icon: str, page: str, permission: str, **more: Any) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{page}"), "permission": _may(permission), **more}


def _list(title: str, icon: str, app: str, model: str) -> dict[str, Any]:
    return _item(title, icon, f"{app}_{model}_changelist", f"{app}.view_{model}")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Almanac",
    "SITE_HEADER": "Almanac",
    "SITE_SUBHEADER": "Scheduling desk",
    "SITE_SYMBOL": "calendar_month",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": _static("scheduler_site/favicon.svg")},
    ],
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "LOGIN": {"form": "scheduler_site.sign_in_form.SignInForm"},
    "ACCOUNT": {
        "navigation": [
            {"title": "My settings", "link": reverse_lazy("admin:my_settings")},
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
        ]
    },
    "STYLES": [
        _static(f"{path}.css")
        for path in (
            "scheduler_site/desk", "scheduler_site/site", "scheduler_site/overview", "scheduler_site/calendar",
            "schedules/list", "schedules/form", "schedules/detail", "runs/runs", "reports/charts",
        )
    ],
    "SCRIPTS": [
        _static(f"scheduler_site/{name}.js") for name in ("dark_from_the_start", "typing_kept", "refresh", "dialog")
    ],
    "DASHBOARD_CALLBACK": "scheduler_site.dashboard.context",
    "COLORS": {
        # A quiet ink for text and lines, a deep teal for what can be done.
        "base": {
            "50": "oklch(98.3% .003 220)", "100": "oklch(96.4% .005 220)", "200": "oklch(92.2% .008 220)",
            "300": "oklch(86.4% .012 220)", "400": "oklch(70.6% .018 220)", "500": "oklch(53.5% .022 220)",
            "600": "oklch(44.2% .024 222)", "700": "oklch(36.6% .026 224)", "800": "oklch(27.4% .025 226)",
            "900": "oklch(20.8% .024 228)", "950": "oklch(13.4% .02 230)",
        },
        "primary": {
            "50": "oklch(97.6% .018 195)", "100": "oklch(94.2% .04 195)", "200": "oklch(89.2% .07 195)",
            "300": "oklch(82.6% .1 195)", "400": "oklch(73.6% .115 196)", "500": "oklch(61.5% .105 198)",
            "600": "oklch(50.8% .09 200)", "700": "oklch(44.6% .08 202)", "800": "oklch(38.8% .068 204)",
            "900": "oklch(33.6% .056 206)", "950": "oklch(25.4% .044 208)",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "navigation": [
            {
                "items": [
                    {"title": "Overview", "icon": "space_dashboard", "link": reverse_lazy("admin:index")},
                    _item("Calendar", "calendar_month", "calendar", "schedules.view_schedule"),
                ]
            },
            {
                "title": "Jobs",
                "items": [
                    _list("Schedules", "event_repeat", "schedules", "schedule"),
                    _list("Holidays", "beach_access", "schedules", "holidaycalendar"),
                    _list("Runs", "history", "runs", "run"),
                    _list("Alerts", "notifications", "runs", "alert"),
                ],
            },
            {
                "title": "Newsletters",
                "items": [
                    _list("Newsletters", "mail", "newsletters", "newsletter"),
                    _list("Issues", "outgoing_mail", "newsletters", "issue"),
                    _list("Lists", "groups", "newsletters", "list"),
                    _list("Subscribers", "person", "newsletters", "subscriber"),
                    _list("Segments", "filter_alt", "newsletters", "segment"),
                    _list("Subscriber fields", "list_alt", "newsletters", "subscriberfield"),
                    _list("Imports", "upload_file", "newsletters", "importjob"),
                    _list("Suppressions", "block", "newsletters", "suppression"),
                    _list("Bounce mailbox", "mark_email_unread", "newsletters", "bouncemailbox"),
                    _item("Sign-up form", "how_to_reg", "sign_up_form", "newsletters.view_list"),
                    _list("Layouts", "dashboard_customize", "newsletters", "lettertemplate"),
                    _list("Images", "image", "newsletters", "image"),
                    _list("Feedback", "forum", "newsletters", "feedbackmessage"),
                ],
            },
            {
                "title": "Reports",
                "items": [
                    _list("Reports", "table_chart", "reports", "reportdefinition"),
                    _list("Report library", "folder_open", "reports", "artefact"),
                    _list("SQL queries", "database", "reports", "reportquery"),
                ],
            },
            {
                "title": "Cleanup",
                "items": [
                    _list("Policies", "mop", "cleanup", "cleanuppolicy"),
                    _list("Holds", "lock", "cleanup", "hold"),
                    _list("Archives", "inventory_2", "cleanup", "archivepart"),
                ],
            },
            {
                "title": "System",
                "items": [
                    _item("Workers and queues", "lan", "queues", "runs.view_run"),
                    _item("Local mailbox", "inbox", "mailbox", "newsletters.view_issue"),
                    _list("Activity log", "receipt_long", "runs", "auditentry"),
                    _list("Users", "manage_accounts", "auth", "user"),
                    _list("Roles", "badge", "auth", "group"),
                ],
            },
        ],
    },
}  # fmt: skip
