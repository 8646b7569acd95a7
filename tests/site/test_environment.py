"""Wrong settings are said in one plain sentence, before anything starts."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.management import call_command

from scheduler_site import launch, provision
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
        "PORT": lambda: env.port("PORT", 8000),
        "SENTRY_DSN": env.sentry_dsn,
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
    ("SENTRY_DSN", "nonsense", "the DSN that Sentry shows"),
    ("SENTRY_DSN", "https://sentry.example.org/1", "the DSN that Sentry shows"),
    ("SENTRY_DSN", "https://key@sentry.example.org/almanac", "number of a project"),
    ("SENTRY_DSN", "https://key@sentry.example.org:abc/1", "does not parse"),
    ("PORT", "http", "from 1 to 65535"),
    ("PORT", "70000", "from 1 to 65535"),
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


def test_a_right_dsn_is_taken_and_a_wrong_one_never_repeated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SENTRY_DSN", "https://key@sentry.example.org/some/where/1")
    assert read("SENTRY_DSN", tmp_path) == "https://key@sentry.example.org/some/where/1"
    monkeypatch.setenv("SENTRY_DSN", "https://the-key@sentry.example.org/x")
    with pytest.raises(ConfigurationError) as refusal:
        read("SENTRY_DSN", tmp_path)
    assert "the-key" not in str(refusal.value)


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


@pytest.mark.parametrize("name", ["DATABASE_URL", "SENTRY_DSN"])
def test_a_command_ends_in_one_line_without_a_traceback(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, name: "nonsense", "DATA_DIR": str(tmp_path)}
    environment["DJANGO_SETTINGS_MODULE"] = "scheduler_site.settings"
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"Almanac cannot start: {name}") and len(done.stderr.splitlines()) == 1


class _Begun(Exception):
    """Instead of a new process."""


def in_a_file(name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Gives a setting as a container does: the name of a file, and the value in it."""
    monkeypatch.delenv(name, raising=False)
    (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))


def test_a_port_may_stand_in_a_file_or_be_left_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    in_a_file("PORT", "8123", monkeypatch, tmp_path)
    assert read("PORT", tmp_path) == 8123
    monkeypatch.delenv("PORT_FILE")
    monkeypatch.setenv("PORT", "")
    assert read("PORT", tmp_path) == 8000


@pytest.mark.django_db
def test_the_password_of_the_first_user_may_stand_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: LazySettings
) -> None:
    settings.DATA_DIR = tmp_path
    in_a_file("ADMIN_PASSWORD", "from-a-file", monkeypatch, tmp_path)
    assert provision._admin() == "from-a-file"
    (tmp_path / "ADMIN_PASSWORD").write_text("another")
    assert provision._admin() == "another" and User.objects.get().check_password("another")


@pytest.mark.parametrize("in_file", [False, True])
def test_what_is_given_is_not_started(in_file: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BROKER_URL", "EMAIL_URL", "PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)
    assert {"valkey", "mailbox"} <= launch.Plan(8000, tmp_path).processes().keys()
    given = {
        "BROKER_URL": "redis://broker:6379/0", "EMAIL_URL": "smtp://mail:25", "PUBLIC_URL": "https://a.example.org"
    }  # fmt: skip
    for name, value in given.items():
        if in_file:
            in_a_file(name, value, monkeypatch, tmp_path)
        else:
            monkeypatch.setenv(name, value)
    plan = launch.Plan(8000, tmp_path)
    assert not {"valkey", "mailbox"} & plan.processes().keys()
    told = {name: value for name, value in plan.shared().items() if name.removesuffix("_FILE") in given}
    assert told == ({f"{name}_FILE": str(tmp_path / name) for name in given} if in_file else given)


def test_up_begins_once_more_with_the_folder_that_it_was_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    in_a_file("DATA_DIR", str(tmp_path / "of-the-file"), monkeypatch, tmp_path)

    def begin(path: str, arguments: list[str], environment: dict[str, str]) -> None:
        assert environment["DATA_DIR"] == str(tmp_path / "told") and "DATA_DIR_FILE" not in environment
        raise _Begun

    monkeypatch.setattr(os, "execve", begin)
    with pytest.raises(_Begun):
        call_command("up", data_dir=tmp_path / "told")
