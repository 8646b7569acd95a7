"""Uploads: the page answers at once, a worker makes the sizes without metadata, and odd files are refused in words."""

from __future__ import annotations

import io
import struct
import time
import zlib

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image as Pillow
from pytest_django import Settings

from newsletters import images
from newsletters.models import Image, ImageSize
from runs.models import Notice, Run, RunEvent
from schedules.tasks import run_job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _files(settings: Settings, tmp_path: object) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def editor(client: Client) -> User:
    user = User.objects.create_user("ed", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["add_image", "view_image"]))
    client.force_login(user)
    return user


def jpeg(width: int = 1600, height: int = 1200, *, orientation: int = 1, colour: str = "teal") -> bytes:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Camera of Zoe"
    exif.get_ifd(0x8825)[1] = "N"  # where it was taken
    out = io.BytesIO()
    Pillow.new("RGB", (width, height), colour).save(out, "JPEG", exif=exif, comment=b"private note")
    return out.getvalue()


def upload(client: Client, data: bytes, name: str = "photo.jpg", alt: str = "A square") -> int:
    response = client.post("/admin/newsletters/image/add/", {"upload": SimpleUploadedFile(name, data), "alt": alt})
    return response.status_code


def perform() -> Run:
    run = Run.objects.get()
    run_job(run.pk)
    run.refresh_from_db()
    return run


def test_the_sizes_are_made_and_the_uploader_is_told(client: Client, editor: User) -> None:
    assert upload(client, jpeg()) == 302
    image = Image.objects.get()
    assert (image.state, image.original_name, image.owner) == (Image.State.WAITING, "photo.jpg", editor)
    assert not ImageSize.objects.exists()
    run = perform()
    assert run.result == "3 sizes made of 1600 × 1200 pixels."
    assert list(ImageSize.objects.values_list("width", "height")) == [(320, 240), (640, 480), (1280, 960)]
    notice = Notice.objects.get()
    assert (notice.user, notice.text) == (editor, "“A square” is ready in 3 sizes.")
    image.refresh_from_db()
    assert (image.state, image.width, image.height) == (Image.State.READY, 1600, 1200)


def test_metadata_is_gone_and_the_picture_is_upright(client: Client, editor: User) -> None:
    upload(client, jpeg(1600, 1200, orientation=6))
    perform()
    for size in ImageSize.objects.all():
        raw = size.file.read()
        picture = Pillow.open(io.BytesIO(raw))
        assert picture.height > picture.width
        assert not picture.getexif()
        assert b"Camera of Zoe" not in raw
        assert b"private note" not in raw


def test_twelve_megapixels_do_not_hold_up_the_page(client: Client, editor: User) -> None:
    noise = Pillow.effect_noise((4000, 3000), 80).convert("RGB")
    out = io.BytesIO()
    noise.save(out, "JPEG", quality=90)
    started = time.monotonic()
    assert upload(client, out.getvalue()) == 302
    assert time.monotonic() - started < 1
    assert perform().state == "succeeded"


def test_transparency_is_kept(client: Client, editor: User) -> None:
    out = io.BytesIO()
    Pillow.new("RGBA", (700, 700), (255, 0, 0, 0)).save(out, "PNG")
    upload(client, out.getvalue(), "logo.png")
    perform()
    first = ImageSize.objects.first()
    assert first is not None
    assert Pillow.open(first.file).getpixel((10, 10))[3] == 0  # type: ignore[index]


def test_a_small_picture_is_not_blown_up(client: Client, editor: User) -> None:
    upload(client, jpeg(100, 50))
    assert perform().result == "1 size made of 100 × 50 pixels."
    assert ImageSize.objects.get().width == 100


@pytest.mark.parametrize("mode", ["CMYK", "L", "P", "1", "LA", "I;16"])
def test_odd_colour_modes_become_ordinary(client: Client, editor: User, mode: str) -> None:
    out = io.BytesIO()
    Pillow.new(mode, (400, 300)).save(out, "JPEG" if mode == "CMYK" else "PNG")
    upload(client, out.getvalue())
    assert perform().state == "succeeded"


def bomb() -> bytes:
    """A PNG of a few kilobytes that says it has 400 megapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%PDF-1.7 not a picture", "not a picture we can read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "not a picture we can read"),
        (jpeg()[:3000], "damaged"),
        (bomb(), "too many"),
    ],
    ids=["pdf", "svg", "cut off", "bomb"],
)
def test_what_cannot_be_used_is_said(client: Client, editor: User, data: bytes, words: str) -> None:
    assert upload(client, data) == 302
    run = perform()
    assert run.state == "failed"
    assert words in run.error
    image = Image.objects.get()
    assert image.state == Image.State.REFUSED
    assert words in image.problem
    notice = Notice.objects.get()
    assert notice.level == RunEvent.Level.ERROR
    assert not ImageSize.objects.exists()


def test_too_large_a_file_is_refused_on_the_page(client: Client, editor: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 2 * 1024 * 1024)
    response = client.post(
        "/admin/newsletters/image/add/", {"upload": SimpleUploadedFile("a.jpg", bytes(3 * 1024 * 1024))}
    )
    assert "The file has 3 MB; at most 2 MB can be uploaded." in response.content.decode()
    assert not Image.objects.exists()
    assert not Run.objects.exists()


def test_the_job_may_run_twice_and_leaves_no_orphan(client: Client, editor: User, tmp_path: object) -> None:
    upload(client, jpeg())
    perform()
    Run.objects.update(state="planned")
    perform()
    assert ImageSize.objects.count() == 3
    stored = default_storage.listdir("images/sizes")[1]
    assert sorted(stored) == sorted(str(size.file.name).rpartition("/")[2] for size in ImageSize.objects.all())


def test_the_browsers_file_name_is_never_a_path(client: Client, editor: User) -> None:
    upload(client, jpeg(), "..\\..\\evil/../photo.jpg")
    image = Image.objects.get()
    assert image.original_name == "photo.jpg"
    assert image.file.name == f"images/originals/{image.public_id}"


def test_sizes_are_shown_only_to_those_who_may(client: Client, editor: User) -> None:
    upload(client, jpeg())
    perform()
    url = f"/admin/newsletters/image/sizes/{ImageSize.objects.all()[0].pk}/"
    response = client.get(url)
    assert response["Content-Type"] == "image/jpeg"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response.getvalue()[:2] == b"\xff\xd8"
    client.force_login(User.objects.create_user("other", is_staff=True))
    assert client.get(url).status_code == 403
    client.logout()
    assert client.get(url).status_code == 302
    assert upload(client, jpeg()) == 302
    assert Image.objects.count() == 1


def test_a_file_that_vanished_is_said(client: Client, editor: User) -> None:
    upload(client, jpeg())
    image = Image.objects.get()
    image.file.delete(save=False)
    Image.objects.update(file=f"images/originals/{image.public_id}")
    assert "gone from the disk" in perform().error
