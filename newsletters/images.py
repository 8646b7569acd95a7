"""The image library: keeps the upload at once; a worker makes the sizes, without metadata, and tells the uploader."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.db import models, transaction
from django.urls import reverse
from PIL import Image as Pillow
from PIL import ImageCms, ImageOps, UnidentifiedImageError

from newsletters.models import Image, ImageSize
from runs import audit, notices, words
from runs.audit import Actor
from runs.models import RunEvent
from runs.tasks import JobFailed, RunContext
from schedules import events

WIDTHS = (320, 640, 1280)
FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
MAX_BYTES = 30 * 1024 * 1024
MAX_PIXELS = 60_000_000
"""More than a phone's 48 megapixels; above it a small file could fill the memory when it is opened."""
JPEG_QUALITY = 82


class NotUsable(Exception):
    """The file cannot become a picture in a mail; the message says why and what to do."""


@dataclass(frozen=True)
class MadeSize:
    """One size, encoded."""

    width: int
    height: int
    extension: str
    data: bytes


def upload_image(actor: Actor, image: Image, upload: UploadedFile[Any]) -> Image:
    """Keeps the file as it came and plans the sizes, both or neither. The picture is not opened here.

    Raises:
        PermissionDenied: the actor may not add images.
        ValidationError: the file is empty or too large.
    """
    audit.require(actor, "newsletters.add_image", "upload an image")
    size = check_upload(upload)
    image.original_name = PurePosixPath((upload.name or "image").replace("\\", "/")).name[:200]
    image.bytes = size
    image.owner_id = actor.pk if actor is not None else None
    image.state = Image.State.WAITING
    with transaction.atomic():
        image.file = upload
        image.save()
        events.start("image_sizes", image, requested_by=actor if isinstance(actor, models.Model) else None)
        audit.record(actor, "uploaded an image", image, after={"file": image.original_name, "bytes": size})
    return image


def check_upload(upload: UploadedFile[Any]) -> int:
    """The size in bytes. Raises ValidationError when it is nothing or too much."""
    size = upload.size or 0
    if not size:
        raise ValidationError("The file is empty.")
    if size > MAX_BYTES:
        raise ValidationError(f"The file has {size // 1024**2} MB; at most {MAX_BYTES // 1024**2} MB can be uploaded.")
    return size


def perform_sizes(run: RunContext) -> str:
    """Makes the sizes of one image; a repeated run makes the same files again."""
    image = Image.objects.filter(pk=run.target_id or 0).first()
    if image is None:
        return "Nothing to do: the image was removed."
    url = reverse("admin:newsletters_image_change", args=[image.pk])
    run.attach("The image", url)
    try:
        with image.file.open("rb") as file:
            picture = open_picture(io.BytesIO(file.read()))
        made = []
        widths = [width for width in WIDTHS if width < picture.width] or [picture.width]
        for done, width in enumerate(widths):
            run.progress(done, len(widths), "sizes")
            made.append(make_size(picture, width))
    except FileNotFoundError as error:
        _refuse(image, "The uploaded file is gone from the disk. Upload it again.", url)
        raise JobFailed("The uploaded file is gone from the disk. Upload it again.", may_retry=False) from error
    except NotUsable as error:
        _refuse(image, str(error), url)
        raise JobFailed(str(error), may_retry=False) from error
    run.confirm()
    try:
        _publish(image, picture.size, made)
    except OSError as error:
        raise JobFailed(f"The sizes could not be written to the disk ({error.strerror or error}).") from error
    sizes = words.counted(len(made), "size")
    notices.tell(image.owner_id, f"“{image}” is ready in {sizes}.", url=url)
    return f"{sizes} made of {picture.width} × {picture.height} pixels."


def open_picture(file: io.BytesIO) -> Pillow.Image:
    """The picture upright, in sRGB, without any metadata.

    Raises:
        NotUsable: not a picture, damaged, or with too many pixels to open safely.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # we have our own limit, below
            picture = Pillow.open(file, formats=FORMATS)
            if picture.width * picture.height > MAX_PIXELS:
                raise NotUsable(
                    f"The picture has {picture.width} × {picture.height} pixels, too many to open safely. "
                    "Save it smaller, for example 4000 pixels wide."
                )
            picture.load()
            upright = ImageOps.exif_transpose(picture)
    except UnidentifiedImageError as error:
        raise NotUsable("This file is not a picture we can read. Upload a JPEG, PNG, GIF or WebP file.") from error
    except Pillow.DecompressionBombError as error:
        raise NotUsable(
            "The picture has too many pixels to open safely. Save it smaller and upload it again."
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise NotUsable("The picture is damaged and cannot be read. Save it again and upload the new file.") from error
    return _plain(upright)


def ready(words: str = "", *, limit: int) -> list[Image]:
    """The newest images that can be used, whose description or name holds these words."""
    found = Image.objects.filter(state=Image.State.READY).prefetch_related("sizes")
    if words.strip():
        found = found.filter(models.Q(alt__icontains=words.strip()) | models.Q(original_name__icontains=words.strip()))
    return list(found.order_by("-pk")[:limit])


def public_url(size: ImageSize) -> str:
    """Where readers' mail programs find this size; nobody can guess it, and it is never another picture."""
    extension = PurePosixPath(str(size.file.name)).suffix.lstrip(".")
    path = reverse("newsletters:image", args=[size.image.public_id, size.width, extension])
    return f"{settings.PUBLIC_URL}{path}"


def _plain(picture: Pillow.Image) -> Pillow.Image:
    has_alpha = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
    mode = "RGBA" if has_alpha else "RGB"
    profile = picture.info.get("icc_profile")
    if profile and picture.mode in ("RGB", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            picture = converted if converted is not None else picture
        except ImageCms.PyCMSError:
            pass  # a broken profile: the colours may be off a little, the picture is still good
    plain = picture.convert(mode)
    plain.info = {}
    return plain


def make_size(picture: Pillow.Image, width: int) -> MadeSize:
    """The picture at this width, as JPEG, or PNG where it has transparency (mail programs know both)."""
    height = max(1, round(picture.height * width / picture.width))
    small = (
        picture.resize((width, height), Pillow.Resampling.LANCZOS, reducing_gap=3.0)
        if width != picture.width
        else picture
    )
    out = io.BytesIO()
    if small.mode == "RGBA":
        small.save(out, "PNG", optimize=True)
        return MadeSize(width, height, ".png", out.getvalue())
    small.save(out, "JPEG", quality=JPEG_QUALITY, optimize=True, progressive=True)
    return MadeSize(width, height, ".jpg", out.getvalue())


def _publish(image: Image, size: tuple[int, int], made: list[MadeSize]) -> None:
    old = list(ImageSize.objects.filter(image=image))
    for former in old:
        default_storage.delete(str(former.file.name))
    with transaction.atomic():
        ImageSize.objects.filter(image=image).delete()
        for part in made:
            row = ImageSize(image=image, width=part.width, height=part.height, bytes=len(part.data))
            row.file.save(f"{part.width}{part.extension}", ContentFile(part.data), save=True)
        Image.objects.filter(pk=image.pk).update(state=Image.State.READY, problem="", width=size[0], height=size[1])


def _refuse(image: Image, words: str, url: str) -> None:
    Image.objects.filter(pk=image.pk).update(state=Image.State.REFUSED, problem=words)
    notices.tell(image.owner_id, f"“{image}” cannot be used: {words}", url=url, level=RunEvent.Level.ERROR)
