"""Settings of the tests: the product's own, with cheap passwords and files in a throw-away folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_data_dir = os.environ.setdefault("DATA_DIR", tempfile.mkdtemp(prefix="almanac-tests-"))
os.environ.setdefault("SECRET_KEY", "tests-only-tests-only-tests-only-tests-only")
os.environ.setdefault("PUBLIC_URL", "http://testserver")
os.environ.setdefault("BROKER_URL", "memory://")
# Each process of the tests has a database with an issue 1 of its own; their journals must not meet.
os.environ["SENDING_JOURNALS"] = str(Path(_data_dir) / f"journals-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}")

from scheduler_site.settings import *  # noqa: E402, F403
from scheduler_site.settings import DATABASES, STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
WHITENOISE_AUTOREFRESH = True

if "sqlite" in DATABASES["default"]["ENGINE"]:
    # A file, not memory: the integration tests share it with real workers and beats.
    _worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    DATABASES["default"]["TEST"] = {"NAME": str(Path(_data_dir) / f"test-{_worker}.sqlite3")}
