"""The editor's addresses: previews as any reader, pictures to choose from, and what the form refuses."""

from __future__ import annotations

from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.test import Client
from pytest_django import Settings

from newsletters import images
from newsletters.models import Image, ImageSize, Issue, LetterTemplate, List, Newsletter, Segment, SubscriberField
from tests.newsletters.conftest import add_readers
from tests.newsletters.test_admin import newsletter_form

pytestmark = pytest.mark.django_db
ADMIN = "/admin/newsletters"
PART = {"Almanac-Part": "1"}


@pytest.fixture
def admin(client: Client) -> User:
    user = User.objects.create_superuser("ada", "ada@example.org", "pw")
    client.force_login(user)
    return user


@pytest.fixture
def preview(client: Client, admin: User, city_news: List) -> Callable[..., str]:
    def post(**data: object) -> str:
        response = client.post(f"{ADMIN}/newsletter/preview/", newsletter_form(city_news, **data), headers=PART)
        assert response.status_code == 200
        return unescape(unescape(response.content.decode()))

    return post


def test_it_shows_the_letter_of_any_reader(preview: Callable[..., str], city_news: List) -> None:
    add_readers(city_news, 1, prefix="first", name="First")
    add_readers(city_news, 2, prefix="zoe", name="Zoë", attributes={"district": "Harbour"})
    body = "Dear {{ name|nobody }} of {{ district|nowhere }}"
    assert "Dear First of nowhere" in preview(body=body, preview_as="first")
    assert "Dear nobody of nowhere" in preview(body=body, preview_as="empty")
    shown = preview(body=body, preview_as="address", preview_address="ZOE1")
    assert "Dear Zoë of Harbour" in shown
    assert "zoe1@example.org" in shown
    offered = preview(body=body, preview_as="address", preview_address="zoe")
    assert '<option value="zoe0@example.org">' in offered
    assert '<option value="zoe1@example.org">' in offered
    assert "Anna Example" in preview(body=body, preview_as="address", preview_address="none-of-these")


def test_typed_fields_are_said_in_words(preview: Callable[..., str], city_news: List) -> None:
    SubscriberField.objects.create(key="joined", label="Joined", kind="date")
    SubscriberField.objects.create(key="member", label="Member", kind="yes_no")
    add_readers(city_news, 1, attributes={"joined": "2026-03-02", "member": True})
    assert "since 2 March 2026, yes" in preview(body="since {{ joined }}, {{ member }}")


def test_the_ways_to_look_at_it(preview: Callable[..., str]) -> None:
    assert "@media not all" in preview(preview_view="desktop")
    assert "@media all" in preview(preview_view="dark")
    assert "nl-letter-phone" in preview(preview_view="phone")
    text = preview(preview_view="text", body="**x**")
    assert "<iframe" not in text
    assert "Unsubscribe: " in text
    headers = preview(preview_view="headers", subject="Grüße")
    for name in ("From", "Subject", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Message-ID"):
        assert f"<dt>{name}</dt>" in headers
    assert "<dd>Grüße</dd>" in headers
    assert "nl-letter-desktop" in preview(preview_view="nonsense")


def test_the_dark_is_mentioned_where_a_letter_forgets_it(preview: Callable[..., str]) -> None:
    assert "says nothing about the dark" in preview(
        format="html", body="<html><body>x</body></html>", preview_view="dark"
    )
    assert "says nothing about the dark" not in preview(preview_view="dark")


def test_pictures_from_elsewhere_are_not_fetched(preview: Callable[..., str], settings: Settings) -> None:
    settings.PUBLIC_URL = "https://desk.example"
    shown = preview(body="![a](https://spy.example/a.png?x=1&y=2) ![b](https://desk.example/images/b.png)")
    assert 'src="https://spy.example' not in shown
    assert "Picture from spy.example" in shown
    assert 'src="https://desk.example/images/b.png"' in shown
    assert "not fetched here" in shown


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"body": "a\nb {{ oops"}, "Line 2: A merge tag is not complete"),
        ({"body": "{{ nmae }}"}, "There is no merge tag {{ nmae }}"),
        ({"subject": "{{ nmae }}"}, "Subject: There is no merge tag"),
        ({"preheader": "{{ nmae }}"}, "Preview line: There is no merge tag"),
        ({"format": "mjml", "body": "<mj-section>\n<mj-x/></mj-section>"}, "Line 2: There is no MJML tag <mj-x>"),
        ({"format": "html", "body": "<div>"}, "Line 1: <div> is never closed"),
    ],
)
def test_what_is_wrong_is_said_in_the_preview_and_at_the_field(
    preview: Callable[..., str], client: Client, city_news: List, data: dict[str, str], words: str
) -> None:
    assert words in preview(**data)
    response = client.post(f"{ADMIN}/newsletter/add/", newsletter_form(city_news, **data))
    assert response.status_code == 200
    errors = response.context["adminform"].form.errors
    field = next(iter(set(data) - {"format"}))
    assert words.removeprefix("Subject: ").removeprefix("Preview line: ") in errors[field][0]
    assert data.get("body", "Text").splitlines()[0] in unescape(response.content.decode())
    assert not Newsletter.objects.exists()


def test_a_text_that_does_not_fit_its_layout_is_refused_at_the_layout(
    client: Client, admin: User, city_news: List
) -> None:
    layout = LetterTemplate.objects.create(name="L", format="html", source="<p>{{ content }}</p>")
    form = newsletter_form(city_news, format="mjml", body="<mj-section></mj-section>", template=layout.pk)
    response = client.post(f"{ADMIN}/newsletter/add/", form)
    assert "needs an MJML layout" in response.context["adminform"].form.errors["template"][0]


def test_a_newsletter_keeps_its_format_layout_and_address_on_record(
    client: Client, admin: User, city_news: List
) -> None:
    layout = LetterTemplate.objects.create(name="L", format="html", source="<p>{{ content }}</p>")
    form = newsletter_form(
        city_news, format="html", body="<b>x</b>", template=layout.pk, preheader="Soon", postal_address="Market 1"
    )
    assert client.post(f"{ADMIN}/newsletter/add/", form).status_code == 302
    saved = Newsletter.objects.get()
    assert (saved.format, saved.template, saved.preheader, saved.postal_address) == ("html", layout, "Soon", "Market 1")


def test_an_issue_is_previewed_with_what_it_shares_with_its_newsletter(
    client: Client, admin: User, letter: Newsletter, city_news: List
) -> None:
    add_readers(city_news, 2)
    Newsletter.objects.update(postal_address="Market 1")
    issue = Issue.objects.create(newsletter=letter, subject="Old", body="Old")
    data = {"draft_issue": issue.pk, "subject": "New", "body": "*New*", "format": "markdown"}
    shown = unescape(client.post(f"{ADMIN}/newsletter/preview/", data, headers=PART).content.decode())
    assert "Would go to 2 readers now." in shown
    assert "<em>New</em>" in shown
    assert "Market 1" in shown
    assert "on the list City news" in shown


def test_who_may_not_see_readers_sees_an_invented_one(client: Client, city_news: List) -> None:
    add_readers(city_news, 1, prefix="secret", name="Secret")
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_newsletter"))
    client.force_login(viewer)
    for how in ("first", "address"):
        data = newsletter_form(city_news, body="{{ name }}", preview_as=how, preview_address="secret")
        shown = client.post(f"{ADMIN}/newsletter/preview/", data, headers=PART).content.decode()
        assert "Anna Example" in shown
        assert "ecret" not in shown.replace('name="secret', "")


def test_without_scripts_the_same_buttons_open_whole_pages(client: Client, admin: User, city_news: List) -> None:
    shown = client.post(f"{ADMIN}/newsletter/preview/", newsletter_form(city_news)).content.decode()
    assert "<html" in shown
    assert " sandbox srcdoc=" in shown
    form = client.get(f"{ADMIN}/newsletter/add/").content.decode()
    assert f'formaction="{ADMIN}/newsletter/preview/" formtarget="_blank"' in form
    assert f'formaction="{ADMIN}/newsletter/test/" formtarget="_blank"' in form


def test_the_menu_names_the_fields_and_the_attributes(client: Client, admin: User, city_news: List) -> None:
    SubscriberField.objects.create(key="district", label="Part of town")
    add_readers(city_news, 1, attributes={"shoe_size": 43})
    shown = client.get(f"{ADMIN}/newsletter/add/").content.decode()
    assert '<option value="district" data-example="">Part of town</option>' in shown
    assert '<option value="shoe_size" data-example="">Shoe size</option>' in shown
    assert '<option value="name" data-example="there">Name</option>' in shown
    assert '<option value="unsubscribe_url" data-plain>' in shown


@pytest.fixture
def pictures(settings: Settings, tmp_path: Path) -> dict[str, Image]:
    settings.MEDIA_ROOT = tmp_path
    settings.PUBLIC_URL = "https://news.example.org"
    made = {}
    for alt, state in (("Library", "ready"), ("Harbour", "ready"), ("Broken", "refused"), ("New", "waiting")):
        image = Image.objects.create(alt=alt, original_name=f"{alt}.jpg", state=state, file=f"images/originals/{alt}")
        for width in (320, 640):
            size = ImageSize(image=image, width=width, height=200, bytes=4)
            size.file.save(f"{width}.jpg", ContentFile(b"jpeg"), save=True)
        made[alt] = image
    return made


def test_only_pictures_that_are_ready_can_be_chosen(client: Client, admin: User, pictures: dict[str, Image]) -> None:
    shown = client.get(f"{ADMIN}/image/pick/").content.decode()
    url = images.public_url(pictures["Library"].sizes.get(width=640))
    assert f'value="{url}" data-alt="Library"' in shown
    assert "Harbour" in shown
    assert "Broken" not in shown
    assert "New" not in shown
    found = client.get(f"{ADMIN}/image/pick/?q=LIBR").content.decode()
    assert "Library" in found
    assert "Harbour" not in found
    assert "No picture is called “x&lt;y”" in client.get(f"{ADMIN}/image/pick/?q=x<y").content.decode()


def test_readers_get_a_picture_by_an_address_nobody_can_guess(client: Client, pictures: dict[str, Image]) -> None:
    url = images.public_url(pictures["Library"].sizes.get(width=640))
    assert url == f"https://news.example.org/images/{pictures['Library'].public_id}/640.jpg"
    path = url.removeprefix("https://news.example.org")
    response = client.get(path)
    assert response.status_code == 200
    assert response.getvalue() == b"jpeg"
    assert response.headers["Content-Type"] == "image/jpeg"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert not response.cookies
    assert "Cookie" not in response.headers.get("Vary", "")
    assert client.head(path).status_code == 200
    assert client.post(path).status_code == 405
    for wrong in ("641.jpg", "640.png", "640.html"):
        assert client.get(path.replace("640.jpg", wrong)).status_code == 404
    for name in ("Broken", "New"):
        assert (
            client.get(path.replace(str(pictures["Library"].public_id), str(pictures[name].public_id))).status_code
            == 404
        )


def test_a_segment_narrows_the_count_and_the_reader_that_are_shown(
    preview: Callable[..., str], city_news: List, admin: User
) -> None:
    SubscriberField.objects.create(key="district", label="District", kind="text")
    add_readers(city_news, 3, prefix="inland", name="Inland")
    add_readers(city_news, 2, prefix="harbour", name="Harbour", attributes={"district": "Harbour"})
    rule = {"all": [{"about": "attribute:district", "op": "is", "value": "Harbour"}]}
    segment = Segment.objects.create(name="Harbour district", rule=rule)
    shown = preview(segment=segment.pk, body="Dear {{ name|you }}")
    assert "Would go to 2 readers now." in shown
    assert "3 not in the segment" in shown
    assert "Dear Harbour" in shown and "Dear Inland" not in shown
    assert "Would go to 5 readers now." in preview(segment="")


def test_a_segment_that_cannot_be_used_is_said_instead_of_counting_everybody(
    preview: Callable[..., str], city_news: List
) -> None:
    add_readers(city_news, 3)
    segment = Segment.objects.create(name="Broken", rule={"all": [{"about": "nonsense"}]})
    shown = preview(segment=segment.pk)
    assert "the segment Broken cannot be used" in shown
    assert "Would go to" not in shown
