"""Layouts in the admin: written, checked, previewed, used, and deleted only when nothing needs them."""

from __future__ import annotations

from html import unescape

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from newsletters import layouts
from newsletters.models import Issue, LetterTemplate, Newsletter
from runs.models import AuditEntry

pytestmark = pytest.mark.django_db
PAGES = "/admin/newsletters/lettertemplate"
GOOD = {"name": "Plain", "description": "For all", "format": "html", "source": "<p>{{ content }}</p>"}


@pytest.fixture
def admin(client: Client) -> User:
    user = User.objects.create_superuser("ada", "ada@example.org", "pw")
    client.force_login(user)
    return user


def test_a_layout_is_written_and_on_record(client: Client, admin: User) -> None:
    assert client.post(f"{PAGES}/add/", GOOD).status_code == 302
    layout = LetterTemplate.objects.get()
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.after["source"]) == (admin, "added the layout", GOOD["source"])
    assert client.post(f"{PAGES}/{layout.pk}/change/", {**GOOD, "name": "Plainer"}).status_code == 302
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.before, entry.after) == (
        "changed the layout", {"name": "Plain"}, {"name": "Plainer"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "<p>no place</p>"}, "Write {{ content }} where the text of the letter goes."),
        ({"source": "{{ content }}{{ content }}"}, "{{ content }} is there 2 times"),
        ({"source": "<p>\n{{ content }}</p></div>"}, "Line 2: </div> closes nothing"),
        ({"source": "<p>{{ content }}\n{{ nmae }}</p>"}, "Line 2: There is no merge tag {{ nmae }}"),
        ({"source": "{{ content }}\n{{ footer"}, "Line 2: A merge tag is not complete"),
        ({"source": "<mjml>\n<mj-body>{{ content }}", "format": "mjml"}, "Line 2: <mj-body> is never closed"),
        ({"source": "<mjml><mj-body>\n<mj-foo/>{{ content }}</mj-body></mjml>", "format": "mjml"}, "no MJML tag <mj-foo>"),
        ({"source": "<mjml><mj-head><mj-title>{{ content }}</mj-title></mj-head><mj-body></mj-body></mjml>", "format": "mjml"}, "in a place where mail programs never do"),
    ],
)  # fmt: skip
def test_a_broken_layout_is_refused_with_its_line(
    client: Client, admin: User, changes: dict[str, str], words: str
) -> None:
    response = client.post(f"{PAGES}/add/", {**GOOD, **changes})
    shown = unescape(response.content.decode())
    assert response.status_code == 200
    assert words in shown
    assert changes["source"].splitlines()[0] in shown  # nothing typed is lost
    assert not LetterTemplate.objects.exists()
    preview = client.post(f"{PAGES}/preview/", {**GOOD, **changes})
    assert words in unescape(preview.content.decode())


def test_the_preview_shows_the_layout_around_an_example(client: Client, admin: User) -> None:
    shown = client.post(f"{PAGES}/preview/", {**GOOD, "source": "<h1>Band</h1>{{ content }}<i>{{ footer }}</i>"})
    letter = unescape(shown.content.decode())
    assert "Band</h1>" in letter
    assert "The first heading</h1>" in letter
    assert "<i><!--footer-->You get this mail because" in letter


def test_a_new_layout_begins_with_one_that_works(client: Client, admin: User) -> None:
    form = client.get(f"{PAGES}/add/").context["adminform"].form
    source = form["source"].value()
    assert client.post(f"{PAGES}/add/", {**GOOD, "source": source}).status_code == 302


def test_a_layout_in_use_is_not_deleted(client: Client, admin: User) -> None:
    layout = LetterTemplate.objects.create(**GOOD)
    newsletter = Newsletter.objects.create(name="Letter", subject="S", body="B", template=layout)
    with pytest.raises(ValidationError, match="used by Letter"):
        layouts.delete_layout(admin, layout)
    assert client.post(f"{PAGES}/{layout.pk}/delete/", {"post": "yes"}).status_code == 403
    Newsletter.objects.update(template=None)
    issue = Issue.objects.create(newsletter=newsletter, subject="S", template=layout)
    with pytest.raises(ValidationError, match="1 issue that is not sent yet"):
        layouts.delete_layout(admin, layout)
    Issue.objects.filter(pk=issue.pk).update(state=Issue.State.SENT)
    assert client.post(f"{PAGES}/{layout.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not LetterTemplate.objects.exists()
    assert AuditEntry.objects.filter(action="deleted the layout", before__name="Plain").exists()


def test_who_may_not_write_layouts_cannot(client: Client) -> None:
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_lettertemplate"))
    layout = LetterTemplate.objects.create(**GOOD)
    with pytest.raises(PermissionDenied):
        layouts.save_layout(viewer, layout)
    client.force_login(viewer)
    assert client.post(f"{PAGES}/add/", GOOD).status_code == 403
    assert client.get(f"{PAGES}/{layout.pk}/change/").status_code == 200


def test_the_list_asks_no_more_for_more_layouts(client: Client, admin: User) -> None:
    LetterTemplate.objects.create(**GOOD)
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get(f"{PAGES}/")
    LetterTemplate.objects.bulk_create(LetterTemplate(**{**GOOD, "name": f"L{number}"}) for number in range(20))
    with CaptureQueriesContext(connection) as many:
        client.get(f"{PAGES}/")
    assert len(many) == len(few)
