"""The mailbox of bounces in the admin: a name to put on a schedule; its address and password stay in the environment."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from newsletters import bounce_mailboxes
from newsletters.models import BounceMailbox
from runs.models import AuditEntry
from schedules import services
from schedules.drafts import ScheduleDraft

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailbox(settings: Settings) -> BounceMailbox:
    settings.BOUNCE_MAILBOX_URL = "imaps://returns:hunter2@mail.example.org/INBOX"
    return bounce_mailboxes.save_mailbox(None, BounceMailbox(name="Returns"))


def scheduled(mailbox: BounceMailbox) -> None:
    services.create_schedule(
        None,
        ScheduleDraft.for_kind("bounce_mailbox", name="Read returns", target_id=mailbox.pk, expression="*/10 * * * *"),
    )


def test_its_page_names_the_mailbox_and_never_the_password(admin_client: Client, mailbox: BounceMailbox) -> None:
    for url in (
        reverse("admin:newsletters_bouncemailbox_changelist"),
        reverse("admin:newsletters_bouncemailbox_change", args=[mailbox.pk]),
    ):
        page = admin_client.get(url).content.decode()
        assert "returns at mail.example.org" in page
        assert "hunter2" not in page


def test_the_way_to_a_schedule_chooses_it_already(admin_client: Client, mailbox: BounceMailbox) -> None:
    url = f"{reverse('admin:schedules_schedule_add')}?what=bounce_mailbox:{mailbox.pk}"
    assert f'href="{url}"' in admin_client.get(reverse("admin:newsletters_bouncemailbox_changelist")).content.decode()
    form = admin_client.get(url).context["adminform"].form
    assert str(form["what"].value()) == f"bounce_mailbox:{mailbox.pk}"


def test_a_problem_is_shown_in_words(admin_client: Client, mailbox: BounceMailbox) -> None:
    BounceMailbox.objects.update(problem="The mailbox at mail.example.org cannot be reached (Connection refused).")
    page = admin_client.get(reverse("admin:newsletters_bouncemailbox_changelist")).content.decode()
    assert "cannot be reached" in page
    assert "Problem" in page


def test_it_says_when_no_mailbox_is_set(admin_client: Client, mailbox: BounceMailbox, settings: Settings) -> None:
    settings.BOUNCE_MAILBOX_URL = ""
    page = admin_client.get(reverse("admin:newsletters_bouncemailbox_changelist")).content.decode()
    assert "An administrator sets BOUNCE_MAILBOX_URL" in page


def test_what_a_schedule_reads_cannot_be_deleted(mailbox: BounceMailbox) -> None:
    scheduled(mailbox)
    with pytest.raises(ValidationError, match="Read returns"):
        bounce_mailboxes.delete_mailbox(None, mailbox)
    assert BounceMailbox.objects.exists()


def test_each_change_is_in_the_activity_log_and_needs_its_permission(mailbox: BounceMailbox) -> None:
    person = User.objects.create_user("ines", is_staff=True)
    for act in (bounce_mailboxes.save_mailbox, bounce_mailboxes.delete_mailbox):
        with pytest.raises(PermissionDenied):
            act(person, mailbox)
    person.user_permissions.set(Permission.objects.filter(content_type__model="bouncemailbox"))
    person = User.objects.get(pk=person.pk)
    mailbox.name = "Bounces"
    bounce_mailboxes.save_mailbox(person, mailbox)
    bounce_mailboxes.delete_mailbox(person, mailbox)
    done = AuditEntry.objects.filter(was_refused=False).order_by("pk").values_list("action", flat=True)
    assert list(done) == [f"{verb} the mailbox of bounces" for verb in ("added", "changed", "deleted")]
