"""Which action of a list somebody sent although the list does not offer it to them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

WORDS = "You may not do this with the rows of this list. An administrator can give you the permission."


def refused(request: HttpRequest) -> str | None:
    """The action in words, such as "resume selected schedules"; None for everything else that is asked of the site.

    Whoever may not even see the list is refused by the list itself.
    """
    match = request.resolver_match
    if request.method != "POST" or match is None or not (match.url_name or "").endswith("_changelist"):
        return None
    name = request.POST.get("action", "")
    pages = next((one for one in admin.site._registry.values() if _is_of(one, match.url_name)), None)
    if not name or pages is None or not request.user.is_authenticated or not request.user.is_staff:
        return None
    if not pages.has_view_or_change_permission(request) or name in pages.get_actions(request):
        return None
    return f"{name.replace('_', ' ')} {pages.opts.verbose_name_plural}"[:60]


def _is_of(pages: admin.ModelAdmin[Any], url_name: str | None) -> bool:
    return url_name == f"{pages.opts.app_label}_{pages.opts.model_name}_changelist"
