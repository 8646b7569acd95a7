"""The control's one page; as many rows a page as ours, everything else as it comes."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import path
from django_celery_beat.admin import PeriodicTaskAdmin
from django_celery_beat.models import PeriodicTask

stock: Any = admin.site._registry[PeriodicTask]
assert isinstance(stock, PeriodicTaskAdmin)
stock.list_per_page = 50
urlpatterns = [path("admin/", admin.site.urls)]
