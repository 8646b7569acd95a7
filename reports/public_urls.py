"""The addresses for people outside who get reports; included under reports/."""

from __future__ import annotations

from django.urls import path

from reports import public_views

app_name = "reports"

urlpatterns = [
    path("get/<str:token>/", public_views.link, name="link"),
    path("file/<str:token>/", public_views.file, name="link_file"),
    path("leave/<str:token>/", public_views.leave, name="leave"),
]
