"""The image library and the readers' feedback."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminFileFieldWidget

from newsletters import editor_views, images, views
from newsletters.forms import ImageForm
from newsletters.models import FeedbackMessage, Image
from runs import words
from runs.admin import ReadOnlyAdmin
from runs.pages import moment_column, when

TONES = {Image.State.READY: "good", Image.State.REFUSED: "bad", Image.State.WAITING: "live"}


@admin.register(Image)
class ImageAdmin(ModelAdmin):  # type: ignore[misc]
    """Uploads and the sizes that a worker made of them. The files themselves are only handed out by a view."""

    when_empty = "No picture yet. What you upload here is made small enough for mails and can be put into every letter."
    form = ImageForm
    list_display = ("shown", "state_chip", "dimensions", "uploaded")
    list_display_links = None
    search_fields = ("alt", "original_name")
    actions = None
    list_per_page = 50
    list_fullwidth = True
    change_form_show_cancel_button = True

    class Media:
        css = {"all": ("newsletters/admin.css",)}

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("pick/", self.admin_site.admin_view(editor_views.pick_image), name="newsletters_image_pick"),
            path("sizes/<int:size_id>/", self.admin_site.admin_view(views.image_file), name="newsletters_image_file"),
        ]
        urls: list[URLPattern] = own + super().get_urls()
        return urls

    def get_queryset(self, request: HttpRequest) -> QuerySet[Image]:
        rows: QuerySet[Image] = super().get_queryset(request)
        return rows.prefetch_related("sizes")

    def get_fields(self, request: HttpRequest, obj: Image | None = None) -> list[str]:
        return (
            ["upload", "alt"]
            if obj is None
            else ["state_chip", "made_sizes", "original_name", "dimensions", "uploaded", "alt"]
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Image | None = None) -> list[str]:
        return [] if obj is None else ["state_chip", "made_sizes", "original_name", "dimensions", "uploaded", "alt"]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        if "upload" in form.base_fields:
            form.base_fields["upload"].widget = UnfoldAdminFileFieldWidget(
                attrs={"accept": "image/jpeg,image/png,image/gif,image/webp"}
            )
        return form

    def has_change_permission(self, request: HttpRequest, obj: Image | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Image | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Image, form: ImageForm, change: bool) -> None:
        images.upload_image(request.user, obj, form.cleaned_data["upload"])

    @admin.display(description="Image")
    def shown(self, obj: Image) -> SafeString:
        sizes = list(obj.sizes.all())
        link = reverse("admin:newsletters_image_change", args=[obj.pk])
        if not sizes:
            return format_html('<a class="al-name" href="{}">{}</a>', link, obj)
        return format_html(
            '<span class="nl-sizes"><img src="{}" alt="" loading="lazy"><a class="al-name" href="{}">{}</a></span>',
            reverse("admin:newsletters_image_file", args=[sizes[0].pk]), link, obj,
        )  # fmt: skip

    @admin.display(description="State", ordering="state")
    def state_chip(self, obj: Image) -> SafeString:
        return format_html(
            '<span class="al-chip al-chip-{}">{}</span><span class="al-sub">{}</span>',
            TONES[Image.State(obj.state)], obj.get_state_display(), obj.problem,
        )  # fmt: skip

    @admin.display(description="Size")
    def dimensions(self, obj: Image) -> str:
        pixels = f"{obj.width} × {obj.height} pixels, " if obj.width else ""
        return f"{pixels}{filesizeformat(obj.bytes)}"

    @admin.display(description="Uploaded", ordering="id")
    def uploaded(self, obj: Image) -> str:
        return words.relative(obj.created_at)

    @admin.display(description="Sizes")
    def made_sizes(self, obj: Image) -> SafeString | str:
        rows = [
            (reverse("admin:newsletters_image_file", args=[size.pk]), obj.alt, str(size), filesizeformat(size.bytes))
            for size in obj.sizes.all()
        ]
        if not rows:
            return "None yet. The page shows them when it is loaded again."
        pictures = format_html_join(
            "",
            '<figure><a href="{0}"><img src="{0}" alt="{1}"></a><figcaption>{2}<span class="al-sub">{3}</span></figcaption></figure>',
            rows,
        )
        return format_html('<div class="nl-sizes">{}</div>', pictures)


_MAILED = moment_column("mailed_at", "Mailed to staff")


@admin.register(FeedbackMessage)
class FeedbackAdmin(ReadOnlyAdmin):
    """What readers wrote."""

    when_empty = "Nobody has written yet. What readers send by the form “Write to us” stands here."
    list_display = ("text_start", "writer", "received", _MAILED)
    list_display_links = ("text_start",)
    search_fields = ("text", "email", "name")
    fields = readonly_fields = ("text", "name", "answer_to", "received", _MAILED)

    @admin.display(description="Message")
    def text_start(self, obj: FeedbackMessage) -> str:
        return obj.text if len(obj.text) <= 120 else f"{obj.text[:117]}…"

    @admin.display(description="From")
    def writer(self, obj: FeedbackMessage) -> str:
        return obj.name or obj.email or "A reader"

    @admin.display(description="Answer to")
    def answer_to(self, obj: FeedbackMessage) -> SafeString | str:
        if not obj.email:
            return "No address was left."
        return format_html('<a href="mailto:{0}?subject=Your%20message%20to%20us">{0}</a>', obj.email)

    @admin.display(description="Received", ordering="id")
    def received(self, obj: FeedbackMessage) -> SafeString:
        return when(obj.created_at)
