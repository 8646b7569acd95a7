"""What a newsletter or an issue has to say, as the source of one letter."""

from __future__ import annotations

from dataclasses import replace

from newsletters import content
from newsletters.models import Issue, LetterTemplate, List, Newsletter


def of_newsletter(newsletter: Newsletter) -> content.Source:
    """The recurring text, as it stands."""
    names = newsletter.lists.order_by("name").values_list("name", flat=True) if newsletter.pk else ()
    return content.Source(
        subject=newsletter.subject,
        body=newsletter.body,
        title=newsletter.name,
        list_names=[str(name) for name in names],
        format=newsletter.format,
        template=layout_of(newsletter.template),
        preheader=newsletter.preheader,
        postal_address=newsletter.postal_address,
    )


def of_issue(issue: Issue) -> content.Source:
    """The issue's own text, with what it shares with its newsletter."""
    return replace(
        of_newsletter(issue.newsletter),
        subject=issue.subject,
        body=issue.body,
        format=issue.format,
        template=layout_of(issue.template),
        preheader=issue.preheader,
    )


def layout_of(template: LetterTemplate | None) -> content.Layout | None:
    """What a stored layout says; none for our own."""
    return None if template is None else content.Layout(template.source, template.format)


def list_names(list_ids: list[int]) -> list[str]:
    """The names of these lists, for a letter that is not saved yet."""
    return [str(name) for name in List.objects.filter(pk__in=list_ids).order_by("name").values_list("name", flat=True)]
