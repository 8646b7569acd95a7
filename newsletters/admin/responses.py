"""The mailbox that bounces go to."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from newsletters import bounce_mailboxes
from newsletters.models import BounceMailbox
from runs import words
from schedules.target_admin import KeptWhileScheduled


@admin.register(BounceMailbox)
class BounceMailboxAdmin(KeptWhileScheduled):
    """What a schedule reads; where the mailbox is and its password are in the environment alone."""

    when_empty = (
        "No mailbox yet. Mails that could not be delivered come back to one; Almanac reads it and learns "
        "which addresses are dead."
    )
    list_display = ("name", "address", "last_read", "state")
    fields = ("name", "address", "last_read", "state")
    readonly_fields = ("address", "last_read", "state")
    actions = None
    list_fullwidth = True
    change_form_show_cancel_button = True
    deletion_keeps = "The mails in it stay where they are."

    def save_model(self, request: HttpRequest, obj: BounceMailbox, form: Any, change: bool) -> None:
        bounce_mailboxes.save_mailbox(request.user, obj)

    def delete_model(self, request: HttpRequest, obj: BounceMailbox) -> None:
        bounce_mailboxes.delete_mailbox(request.user, obj)

    @admin.display(description="Mailbox")
    def address(self, obj: BounceMailbox) -> str:
        return bounce_mailboxes.address() or "Not set. An administrator sets BOUNCE_MAILBOX_URL."

    @admin.display(description="Last read", ordering="read_at")
    def last_read(self, obj: BounceMailbox) -> SafeString | str:
        if obj.read_at:
            return words.relative(obj.read_at)
        if obj.pk is None or obj.problem:
            return "Not yet"
        add = reverse("admin:schedules_schedule_add")
        return format_html('Not yet. <a href="{}?what=bounce_mailbox:{}">Put it on a schedule</a>', add, obj.pk)

    @admin.display(description="State")
    def state(self, obj: BounceMailbox) -> SafeString:
        if obj.problem:
            tone, word = "bad", "Problem"
        elif not bounce_mailboxes.address() or obj.read_at is None:
            tone, word = "warn", "Not read yet"
        else:
            tone, word = "good", "Read"
        return format_html(
            '<span class="al-chip al-chip-{}">{}</span><span class="al-sub">{}</span>', tone, word, obj.problem
        )
