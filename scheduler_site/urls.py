"""Addresses: the admin, the public pages, and the checks for machines."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from newsletters import sign_up_pages
from scheduler_site import (
    calendar_views,
    dashboard,
    feed,
    health,
    ical,
    mailbox,
    my_settings,
    queue_pages,
    search,
    views,
)

handler400 = "scheduler_site.views.bad_request"
handler403 = "scheduler_site.views.forbidden"
handler404 = "scheduler_site.views.not_found"
handler500 = "scheduler_site.views.server_error"

admin.autodiscover()
_wrap = admin.site.admin_view

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("calendar/<str:token>.ics", ical.calendar, name="calendar_ics"),
    path(
        "admin/",
        include(
            (
                [
                    path("mailbox/", _wrap(mailbox.index), name="mailbox"),
                    path("mailbox/<str:key>/", _wrap(mailbox.detail), name="mailbox_mail"),
                    path("mailbox/<str:key>/source/", _wrap(mailbox.source), name="mailbox_source"),
                    path("calendar/", _wrap(calendar_views.month), name="calendar"),
                    path("calendar/<int:year>/<int:number>/", _wrap(calendar_views.month), name="calendar_month"),
                    path("calendar/week/", _wrap(calendar_views.week), name="calendar_this_week"),
                    path(
                        "calendar/week/<int:year>/<int:number>/<int:day>/",
                        _wrap(calendar_views.week),
                        name="calendar_week",
                    ),
                    path(
                        "calendar/<int:year>/<int:number>/<int:day>/", _wrap(calendar_views.agenda), name="calendar_day"
                    ),
                    path("calendar/feed/", _wrap(feed.show), name="calendar_feed"),
                    path("calendar/feed/new/", _wrap(feed.make), name="calendar_feed_new"),
                    path("calendar/feed/remove/", _wrap(feed.remove), name="calendar_feed_remove"),
                    path("search/", _wrap(search.view)),  # before Unfold's own at the same address
                    path("overview/", _wrap(dashboard.live), name="overview_live"),
                    path("queues/", _wrap(queue_pages.index), name="queues"),
                    path("queues/live/", _wrap(queue_pages.live), name="queues_live"),
                    path("queues/<str:queue>/pause/", _wrap(queue_pages.pause), name="queue_pause"),
                    path("queues/<str:queue>/resume/", _wrap(queue_pages.resume), name="queue_resume"),
                    path("sign-up-form/", _wrap(sign_up_pages.sign_up_form), name="sign_up_form"),
                    path("my-settings/", _wrap(my_settings.my_settings), name="my_settings"),
                    path("password_change/", _wrap(views.change_password), name="password_change"),
                    path("notices/read/", _wrap(views.read_notices), name="notices_read"),
                    *admin.site.urls[0],
                ],
                "admin",
            ),
            namespace="admin",
        ),
    ),
    path("reports/", include("reports.public_urls")),
    path("", include("newsletters.public_urls")),
]
