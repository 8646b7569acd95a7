"""Wrong settings are said in one plain sentence, before anything starts."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scheduler_site.environment import ConfigurationError, Environment
from tests.integration.stack import ROOT


def read(name: str, tmp_path: Path) -> object:
    env = Environment()
    readers: dict[str, Callable[[], object]] = {
        "DATABASE_URL": lambda: env.database(tmp_path),
        "BROKER_URL": lambda: env.broker(tmp_path),
        "EMAIL_URL": env.email,
        "TIME_ZONE": env.time_zone,
        "SECRET_KEY": lambda: env.secret_key(tmp_path, debug=False),
        "LEASE_SECONDS": lambda: env.number("LEASE_SECONDS", 60, minimum=2),
        "DEBUG": lambda: env.flag("DEBUG", default=False),
        "FILES_ACCEL": lambda: env.accelerated_files("FILES_ACCEL"),
    }
    return readers[name]()


WRONG = [
    ("DATABASE_URL", "nonsense", "write postgres://"),
    ("DATABASE_URL", "mysql://localhost/x", "write postgres://"),
    ("DATABASE_URL", "postgres://localhost:abc/x", "does not parse"),
    ("DATABASE_URL", "postgres://localhost", "names no database"),
    ("BROKER_URL", "sqs://", "write redis://"),
    ("EMAIL_URL", "nonsense", "write smtp://"),
    ("EMAIL_URL", "smtp://host:abc", "write smtp://"),
    ("TIME_ZONE", "Mars/Base", "no IANA time zone"),
    ("SECRET_KEY", "short", "shorter than 32"),
    ("LEASE_SECONDS", "soon", "whole number"),
    ("LEASE_SECONDS", "1", "at least 2"),
    ("DEBUG", "perhaps", "write 1 or 0"),
    ("FILES_ACCEL", "apache", "write nginx:/protected/"),
    ("FILES_ACCEL", "nginx:https://x", "write nginx:/protected/"),
]


@pytest.mark.parametrize(("name", "value", "says"), WRONG)
@pytest.mark.parametrize("in_file", [False, True])
def test_it_names_the_variable_and_what_is_right(
    name: str, value: str, says: str, in_file: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(name, raising=False)
    if in_file:
        (tmp_path / "secret").write_text(f"{value}\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as refusal:
        read(name, tmp_path)
    assert says in str(refusal.value)


def test_a_missing_secret_file_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        read("SECRET_KEY", tmp_path)


def test_a_key_is_made_once_and_only_its_owner_may_read_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    key = read("SECRET_KEY", tmp_path / "new")
    assert key == read("SECRET_KEY", tmp_path / "new") and len(str(key)) > 40
    assert stat.S_IMODE((tmp_path / "new" / "secret_key").stat().st_mode) == 0o600


def test_a_command_ends_in_one_line_without_a_traceback(tmp_path: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": "nonsense", "DATA_DIR": str(tmp_path)}
    environment["DJANGO_SETTINGS_MODULE"] = "scheduler_site.settings"
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Almanac cannot start: DATABASE_URL") and len(done.stderr.splitlines()) == 1
