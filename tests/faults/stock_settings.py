"""The control's settings: the same database and clock, and none of the product's apps."""

from __future__ import annotations

from scheduler_site.settings import DATABASES as DATABASES
from scheduler_site.settings import DEFAULT_AUTO_FIELD as DEFAULT_AUTO_FIELD
from scheduler_site.settings import LOGGING as LOGGING
from scheduler_site.settings import SECRET_KEY as SECRET_KEY

INSTALLED_APPS = ["django.contrib.contenttypes", "django_celery_beat"]
TIME_ZONE = "UTC"
USE_TZ = True
