"""How the admin looks: brand, colours and the sidebar."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.functional import lazy

_static = lazy(static, str)

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Almanac",
    "SITE_HEADER": "Almanac",
    "SITE_SUBHEADER": "Scheduling desk",
    "SITE_SYMBOL": "calendar_month",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [_static("scheduler_site/site.css")],
    "DASHBOARD_CALLBACK": "scheduler_site.dashboard.context",
    "SIDEBAR": {"show_search": False, "navigation": []},
}
