"""Shows each member of staff the clock and the dates that they chose under My settings."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from runs import words
from runs.models import StaffSettings
from schedules import zones


class ReaderClock:
    """Makes the reader's time zone and language of dates those of the request; pages for readers keep ours."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        chosen = _chosen(request)
        if chosen is None:
            return self._get_response(request)
        with timezone.override(_zone(chosen.time_zone)), words.dates_in(chosen.date_language):
            return self._get_response(request)


def _chosen(request: HttpRequest) -> StaffSettings | None:
    if not request.path.startswith("/admin/") or not request.user.is_authenticated:
        return None
    return StaffSettings.objects.filter(user_id=request.user.pk).only("time_zone", "date_language").first()


def _zone(name: str) -> str:
    """The zone, or the installation's where the name says nothing that these rules know."""
    try:
        zones.zone(name)
    except zones.UnknownZone:
        return timezone.get_default_timezone_name()
    return name
