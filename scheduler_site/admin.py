"""Users and roles in the house's own face; each change is an entry in the activity log."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.forms.models import model_to_dict
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from runs import audit
from runs.pages import moment_column

admin.site.unregister(User)
admin.site.unregister(Group)


class Recorded(ModelAdmin):  # type: ignore[misc]
    """Writes what the admin's own forms do into the activity log, with the values before and after."""

    hidden_values = ("password", "last_login", "date_joined", "id")
    actions = None

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Model | None:
        found: Model | None = super().get_object(request, object_id, from_field)
        if found is not None and request.method == "POST":
            request.values_before = self._values(found)  # type: ignore[attr-defined]
        return found

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        audit.record(request.user, f"added the {self._noun}", obj, after=self._values(obj))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        before, after = getattr(request, "values_before", {}), self._values(obj)
        changed = [name for name in after if before.get(name) != after[name]]
        about_password = any("password" in str(part).lower() for part in message) if not changed else False
        audit.record(
            request.user, f"set a new password of the {self._noun}" if about_password else f"changed the {self._noun}",
            obj, before={name: before.get(name) for name in changed}, after={name: after[name] for name in changed},
        )  # fmt: skip
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for obj in queryset:
            audit.record(request.user, f"deleted the {self._noun}", obj, before=self._values(obj))
        return super().log_deletions(request, queryset)

    @property
    def _noun(self) -> str:
        return "user" if self.model is User else "role"

    def _values(self, obj: Model) -> dict[str, Any]:
        """What people see of it: names instead of numbers, never the password."""
        values = model_to_dict(obj, exclude=self.hidden_values)
        return {
            name: sorted(str(row) for row in value) if isinstance(value, list) else value
            for name, value in values.items()
        }


_LAST_SEEN = moment_column("last_login", "Last signed in", none="Never")


@admin.register(User)
class UserAdmin(DjangoUserAdmin, Recorded):  # type: ignore[type-arg,misc]
    """People who may sign in; what they may do comes from their roles."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "first_name", "last_name", "email", "is_active", _LAST_SEEN)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, Recorded):  # type: ignore[misc]
    """Roles: named sets of permissions."""
