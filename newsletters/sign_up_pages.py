"""For staff: where readers subscribe, and the form to put on other websites."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from newsletters import archive, links, subscriptions
from newsletters.models import List
from runs.pages import page


@require_safe
def sign_up_form(request: HttpRequest) -> HttpResponse:
    """The addresses of the readers' pages, and the form for the lists that were chosen, ready to copy."""
    if not request.user.has_perm("newsletters.view_list"):
        raise PermissionDenied
    public = list(List.objects.filter(public=True))
    asked = set(request.GET.getlist("list"))
    chosen = [one for one in public if one.slug in asked] or public
    context = {
        "title": "Sign-up form",
        "lists": public,
        "chosen": {one.slug for one in chosen},
        "snippet": snippet(chosen) if chosen else "",
        "subscribe_url": _with_lists(chosen) if asked else links.public("subscribe"),
        "archive_url": links.public("archive") if archive.newsletters().exists() else "",
        "preferences_url": links.public("ask_for_page"),
        "feedback_url": links.public("feedback"),
    }
    return page(request, "newsletters/admin/sign_up_form.html", context)


def snippet(lists: list[List]) -> str:
    """The form as HTML without any script, style or cookie of ours; the website's own style applies."""
    context = {"lists": lists, "action": links.public("subscribe_embedded"), "consent": subscriptions.CONSENT}
    return render_to_string("newsletters/embedded_form.html", context).strip()


def _with_lists(lists: list[List]) -> str:
    return f"{links.public('subscribe')}?{'&'.join(f'list={one.slug}' for one in lists)}"
