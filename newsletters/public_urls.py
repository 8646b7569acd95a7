"""The readers' pages; included at the root of the site."""

from __future__ import annotations

from django.urls import path

from newsletters import public_views

app_name = "newsletters"

urlpatterns = [
    path("unsubscribe/<str:token>/", public_views.unsubscribe, name="unsubscribe"),
    path("subscribe/", public_views.subscribe, name="subscribe"),
    path("confirm/<str:token>/", public_views.confirm, name="confirm"),
    path("feedback/", public_views.feedback, name="feedback"),
]
