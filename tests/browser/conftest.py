"""The product as ``make run`` starts it, and a Chromium in front of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, expect, sync_playwright

from tests.integration.stack import ROOT, free_port

PASSWORD = "walk-the-house"
# On a computer that has little time for us a page may take long; what never comes is still found.
expect.set_options(timeout=20_000)


@dataclass
class House:
    """A running Almanac."""

    url: str
    data_dir: Path
    signed_in: list[StorageState] = field(default_factory=list)
    """The administrator's cookies, once somebody signed in."""


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with started(tmp_path_factory.mktemp("house")) as house:
        yield house


@contextmanager
def started(data_dir: Path, *options: str) -> Iterator[House]:
    """A house of its own, with more options of ``manage.py up``."""
    port = free_port()
    dropped = ("BROKER_URL", "EMAIL_URL", "PUBLIC_URL", "DATABASE_URL", "SECRET_KEY", "DJANGO_SETTINGS_MODULE")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    environment |= {"DATA_DIR": str(data_dir), "ADMIN_PASSWORD": PASSWORD, "REPORT_DOMAINS": "partner.example"}
    log = data_dir / "up.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(port), *options],
            cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(url, process, log)
        yield House(url, data_dir)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"the house did not come up:\n{log.read_text()[-4000:]}")


@pytest.fixture
def left_as_found(house: House) -> Iterator[None]:
    """Lets a walk slow newsletters down or disable policies; those after it find them as they were."""
    kept = {
        "newsletters_newsletter": ("rate", "rate_per"),
        "cleanup_cleanuppolicy": ("is_enabled",),
    }
    with closing(sqlite3.connect(house.data_dir / "almanac.sqlite3", timeout=30)) as database:
        before = {
            table: database.execute(f"SELECT {', '.join(columns)}, id FROM {table}").fetchall()
            for table, columns in kept.items()
        }
        yield
        with database:
            for table, columns in kept.items():
                changes = ", ".join(f"{column} = ?" for column in columns)
                database.executemany(f"UPDATE {table} SET {changes} WHERE id = ?", before[table])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Module-wide and no wider: while Playwright is open its event loop would forbid other tests the database."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM")
            or shutil.which("chromium-headless-shell")
            or "/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


@contextmanager
def context_of(browser: Browser, house: House, **options: Any) -> Iterator[BrowserContext]:
    """A window of the administrator's. The session is made once a house: hashing a password is made to be slow."""
    if not house.signed_in:
        with browser.new_context(base_url=house.url) as context:
            sign_in(context.new_page())
            house.signed_in.append(context.storage_state())
    with browser.new_context(base_url=house.url, storage_state=house.signed_in[0], **options) as context:
        yield context


@pytest.fixture
def page(browser: Browser, house: House) -> Iterator[Page]:
    """Signed in as the administrator; the test fails when any page logged an error."""
    errors: list[str] = []
    with context_of(browser, house, viewport={"width": 1280, "height": 900}, accept_downloads=True) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: errors.append(f"{message.text} {message.location}") if message.type == "error" else None,
        )
        yield page
        said = list(errors)  # what a closing window breaks off is no error
    assert said == []


def sign_in(page: Page) -> None:
    page.goto("/admin/login/")
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", PASSWORD)
    page.click("[type=submit]")
    page.wait_for_url(re.compile(r"/admin/$"))
