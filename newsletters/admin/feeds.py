"""The way from a newsletter's page to its feed."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from unfold.admin import ModelAdmin
from unfold.decorators import action

from newsletters import feed_views
from newsletters.models import Newsletter
from runs.row_numbers import row_number


class FeedPages(ModelAdmin):  # type: ignore[misc]
    """Adds the feed's page to the admin of newsletters, with a link on each newsletter's page."""

    actions_detail = ("feed_link",)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("<int:newsletter_id>/feed/", wrap(feed_views.show), name="newsletters_newsletter_feed"),
            path("<int:object_id>/feed/anew/", wrap(feed_views.count_anew), name="newsletters_newsletter_feed_anew"),
        ]
        urls: list[URLPattern] = own + super().get_urls()
        return urls

    def has_feed_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        """The way there is shown where there is a feed to look at."""
        number = row_number(str(object_id or ""))
        has_feed = Newsletter.objects.filter(pk=number or 0, source=Newsletter.Source.FEED).exists()
        return has_feed and bool(self.has_view_permission(request))

    @action(description="Feed", url_path="feed", permissions=["feed"], icon="rss_feed")  # type: ignore[untyped-decorator]
    def feed_link(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Only its address is used: that of the page above."""
        return feed_views.show(request, row_number(object_id) or 0)
