"""What staff do with layouts: save and delete. Each service checks the permission and leaves an audit entry."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from newsletters import letter_page, merge_fields
from newsletters.models import Issue, LetterTemplate
from runs import audit, words
from runs.audit import Actor

_FIELDS = ("name", "description", "format", "source")


def check(source: str, format: str) -> None:
    """Checks a layout before it is saved or shown. Raises SourceError with the line."""
    letter_page.check_layout(letter_page.Layout(source, format))
    merge_fields.check_layout(source)


def save_layout(actor: Actor, layout: LetterTemplate) -> LetterTemplate:
    """Creates or changes a layout. Letters that were sent keep what they were frozen with."""
    verb = "change" if layout.pk else "add"
    audit.require(actor, f"newsletters.{verb}_lettertemplate", f"{verb} this layout", layout if layout.pk else None)
    with transaction.atomic():
        before = dict(LetterTemplate.objects.filter(pk=layout.pk).values(*_FIELDS).first() or {}) if layout.pk else {}
        layout.save()
        after = {name: getattr(layout, name) for name in _FIELDS}
        changed = [name for name in _FIELDS if before.get(name) != after[name]]
        if changed:
            audit.record(
                actor, "changed the layout" if before else "added the layout", layout,
                before={name: before[name] for name in changed if name in before},
                after={name: after[name] for name in changed},
            )  # fmt: skip
    return layout


def delete_layout(actor: Actor, layout: LetterTemplate) -> None:
    """Removes a layout that nothing uses.

    Raises:
        ValidationError: a newsletter, or an issue that is still to be sent, uses it.
    """
    audit.require(actor, "newsletters.delete_lettertemplate", "delete this layout", layout)
    with transaction.atomic():
        users = used_by(layout)
        if users:
            raise ValidationError(f"It is used by {', '.join(users)}. Choose another layout there first.")
        audit.record(actor, "deleted the layout", layout, before={name: getattr(layout, name) for name in _FIELDS})
        layout.delete()


def used_by(layout: LetterTemplate) -> list[str]:
    """What would look different without it, in words; at most a few of them."""
    newsletters = [str(name) for name in layout.newsletters.order_by("name").values_list("name", flat=True)[:5]]
    waiting = Issue.objects.filter(template=layout, state__in=Issue.CHANGEABLE).count()
    return newsletters + (
        [words.counted(waiting, "issue that is not sent yet", "issues that are not sent yet")] if waiting else []
    )
