"""The way from a newsletter's page to its feed."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from unfold.admin import ModelAdmin
from unfold.decorators import action

from newsletters import feed_views


class FeedPages(ModelAdmin):  # type: ignore[misc]
    """Adds the feed's page to the admin of newsletters, with a link on each newsletter's page."""

    actions_detail = ("feed_link",)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [path("<int:newsletter_id>/feed/", wrap(feed_views.show), name="newsletters_newsletter_feed")]
        urls: list[URLPattern] = own + super().get_urls()
        return urls

    @action(description="Feed", url_path="feed", permissions=["view"], icon="rss_feed")  # type: ignore[untyped-decorator]
    def feed_link(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Only its address is used: that of the page above."""
        return feed_views.show(request, int(object_id) if object_id.isdigit() else 0)
