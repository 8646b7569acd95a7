"""What the list of schedules can be narrowed to: how they stand, of which kind, whose."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest

from schedules import kinds, status
from schedules.models import Schedule

OWNERS_OFFERED = 200


class StatusFilter(admin.SimpleListFilter):
    """The tabs above the list."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        words = ("Active", "Paused", "Failing", "Broken", "Ended", "Mine")
        return [(word.lower(), word) for word in words]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> QuerySet[Schedule]:
        match self.value():
            case "active":
                return status.active(queryset)
            case "paused":
                return status.sound(queryset).filter(paused_at__isnull=False)
            case "failing":
                return status.failing(queryset)
            case "broken":
                return status.broken(queryset)
            case "ended":
                return status.sound(queryset).filter(paused_at=None, next_due_at=None)
            case "mine":
                return queryset.filter(owner_id=request.user.pk)
        return queryset


class KindFilter(admin.SimpleListFilter):
    """Newsletter, report or cleanup."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind.key, kind.label) for kind in kinds.schedulable()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> QuerySet[Schedule]:
        known = self.value() in {kind.key for kind in kinds.schedulable()}
        return queryset.filter(kind=self.value()) if known else queryset


class OwnerFilter(admin.SimpleListFilter):
    """Whoever looks after a schedule. All who work here are offered: to ask who owns one reads every schedule."""

    title = "owner"
    parameter_name = "owner"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        owners = User.objects.filter(is_staff=True, is_active=True).order_by("username")
        return [(str(owner.pk), str(owner)) for owner in owners.only("username")[:OWNERS_OFFERED]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> QuerySet[Schedule]:
        known = self.value() in {value for value, _ in self.lookup_choices}
        return queryset.filter(owner_id=int(self.value() or 0)) if known else queryset
