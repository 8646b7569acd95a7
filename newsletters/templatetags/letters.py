"""The panel beside every form in which a letter is written: preview, test mail, checks, merge tags, pictures."""

from __future__ import annotations

from typing import Any

from django import template
from django.urls import reverse

from newsletters import checklist, drafts, merge_fields, previews, test_mail
from newsletters.models import Issue, Newsletter

register = template.Library()


@register.inclusion_tag("newsletters/admin/editor_panel.html", takes_context=True)
def letter_editor(
    context: template.Context, form_id: str, newsletter: Newsletter | None = None, issue: Issue | None = None
) -> dict[str, Any]:
    """Beside the form with this id, which has the fields subject, preheader, format, template and body.

    The form of a newsletter has lists and sender as well; for one of an issue, ``issue`` says where those are.
    """
    user = context["request"].user
    stored = None
    if issue is not None and issue.pk:
        stored = drafts.of_issue(issue)
    elif newsletter is not None and newsletter.pk:
        stored = drafts.of_newsletter(newsletter)
    return {
        "form_id": form_id,
        "preview_url": reverse("admin:newsletters_newsletter_preview"),
        "views": previews.VIEWS,
        "sees_readers": user.has_perm("newsletters.view_subscriber"),
        "test_url": reverse("admin:newsletters_newsletter_test") if user.has_perm(test_mail.PERMISSION) else "",
        "own_address": user.email,
        "most_addresses": test_mail.MOST_ADDRESSES,
        "pictures_url": reverse("admin:newsletters_image_pick") if user.has_perm("newsletters.view_image") else "",
        "checks_url": checklist.address(stored) if stored is not None else "",
        "tags": merge_fields.menu(),
        "newsletter": newsletter,
        "issue": issue,
    }


@register.inclusion_tag("newsletters/admin/editor_panel.html", takes_context=True)
def layout_editor(context: template.Context, form_id: str) -> dict[str, Any]:
    """Beside the form of a layout: the preview around an example text, merge tags and pictures."""
    user = context["request"].user
    return {
        "form_id": form_id,
        "preview_url": reverse("admin:newsletters_lettertemplate_preview"),
        "views": previews.VIEWS[:4],
        "pictures_url": reverse("admin:newsletters_image_pick") if user.has_perm("newsletters.view_image") else "",
        "tags": merge_fields.menu(),
        "is_layout": True,
    }
