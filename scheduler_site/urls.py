"""Addresses: the admin, the public pages, and the checks for machines."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from scheduler_site import dashboard, health, mailbox, views

handler403 = "scheduler_site.views.forbidden"
handler404 = "scheduler_site.views.not_found"
handler500 = "scheduler_site.views.server_error"

_wrap = admin.site.admin_view

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path(
        "admin/",
        include(
            (
                [
                    path("mailbox/", _wrap(mailbox.index), name="mailbox"),
                    path("mailbox/<str:key>/", _wrap(mailbox.detail), name="mailbox_mail"),
                    path("mailbox/<str:key>/source/", _wrap(mailbox.source), name="mailbox_source"),
                    path("overview/", _wrap(dashboard.live), name="overview_live"),
                    path("notices/read/", _wrap(views.read_notices), name="notices_read"),
                    *admin.site.urls[0],
                ],
                "admin",
            ),
            namespace="admin",
        ),
    ),
    path("", include("newsletters.public_urls")),
]
