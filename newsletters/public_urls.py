"""The readers' pages; included at the root of the site."""

from __future__ import annotations

from django.conf import settings
from django.urls import path, register_converter

from newsletters import archive_views, image_views, preference_views, provider_events, public_views

app_name = "newsletters"


class FeedFormat:
    """atom or rss."""

    regex = "atom|rss"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(FeedFormat, "feed_format")

urlpatterns = [
    path("unsubscribe/<str:token>/", public_views.unsubscribe, name="unsubscribe"),
    path("subscribe/", public_views.subscribe, name="subscribe"),
    path("subscribe/embedded/", public_views.subscribe_embedded, name="subscribe_embedded"),
    path("confirm/<str:token>/", public_views.confirm, name="confirm"),
    path("images/<uuid:public_id>/<int:width>.<str:extension>", image_views.public, name="image"),
    path("feedback/", public_views.feedback, name="feedback"),
    path("preferences/", preference_views.ask_for_page, name="ask_for_page"),
    path("preferences/<str:token>/", preference_views.own_page, name="preferences"),
    path("new-address/<str:token>/", preference_views.new_address, name="new_address"),
    path("my-data/<str:token>/", preference_views.my_data, name="my_data"),
    path("erase/<str:token>/", preference_views.erase, name="erase"),
    path("archive/", archive_views.index, name="archive"),
    path("archive/<feed_format:format>.xml", archive_views.feed, name="archive_feed"),
    path("archive/<int:newsletter_id>/", archive_views.newsletter, name="archive_newsletter"),
    path("archive/<int:newsletter_id>/<feed_format:format>.xml", archive_views.feed, name="archive_newsletter_feed"),
    path("archive/<uuid:public_id>/", archive_views.issue, name="archive_issue"),
    path("view/<str:token>/", archive_views.view, name="view"),
    path("go/<str:token>/", archive_views.click, name="click"),
    *provider_events.addresses_of(settings.MAIL_PROVIDER),
]
