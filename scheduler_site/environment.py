"""Reads and checks the environment: every setting that an operator may change comes through here.

Each variable may also be given as ``NAME_FILE``, a path whose content is the value (container secrets).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from zoneinfo import ZoneInfo

import environ
from environ.fileaware_mapping import FileAwareMapping

BROKER_SCHEMES = ("redis", "rediss", "redis+socket", "amqp", "amqps", "memory")


class ConfigurationError(Exception):
    """A setting is missing or wrong; the message says which one and what a right one looks like."""


def replaced(environment: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """The environment with these values, however they were given before: a ``NAME_FILE`` that stayed would win."""
    files = {f"{name}_FILE" for name in values}
    return {name: value for name, value in environment.items() if name not in files} | dict(values)


class Environment:
    """Typed access to the environment; raises :class:`ConfigurationError` in plain words."""

    def __init__(self) -> None:
        self._env = environ.FileAwareEnv()
        # Read afresh each time: a cache shared by the whole process would hide a file that was replaced.
        self._env.ENVIRON = FileAwareMapping(cache=False)

    def text(self, name: str, default: str = "") -> str:
        try:
            return str(self._env.str(name, default=default)).strip()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{name}_FILE cannot be read: {error}") from error

    def is_given(self, name: str) -> bool:
        """Whether the environment says anything about it, by its name or by that of a file."""
        return name in os.environ or f"{name}_FILE" in os.environ

    def flag(self, name: str, default: bool) -> bool:
        value = self.text(name, "1" if default else "0").lower()
        if value in ("1", "true", "yes", "on"):
            return True
        if value in ("", "0", "false", "no", "off"):
            return False
        raise ConfigurationError(f"{name} is {value!r}; write 1 or 0.")

    def number(self, name: str, default: int, *, minimum: int = 0) -> int:
        value = self.text(name, str(default))
        if not value.isascii() or not value.isdigit() or int(value) < minimum:
            raise ConfigurationError(f"{name} is {value!r}; write a whole number of at least {minimum}.")
        return int(value)

    def port(self, name: str, default: int) -> int:
        """A port; the default also where the variable is there and empty, as in ``PORT= make run``."""
        value = self.text(name) or str(default)
        if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= 65535:
            raise ConfigurationError(f"{name} is {value!r}; write a port from 1 to 65535.")
        return int(value)

    def listed(self, name: str, default: str) -> list[str]:
        return [part.strip() for part in self.text(name, default).split(",") if part.strip()]

    def domains(self, name: str) -> list[str]:
        found = [part.lower().lstrip("@") for part in self.listed(name, "")]
        wrong = [part for part in found if "@" in part or "." not in part.strip(".") or any(map(str.isspace, part))]
        if wrong:
            raise ConfigurationError(
                f"{name} has {wrong[0]!r}; write domains such as example.org, separated by commas."
            )
        return found

    def accelerated_files(self, name: str) -> str:
        """Whether, and how, the web server in front sends files: empty, "sendfile", or "nginx:/protected/"."""
        value = self.text(name)
        if value in ("", "sendfile") or (value.startswith("nginx:/") and not value.startswith("nginx://")):
            return value
        raise ConfigurationError(f"{name} is {value!r}; write nginx:/protected/ or sendfile, or leave it out.")

    def networks(self, name: str) -> list[IPv4Network | IPv6Network]:
        try:
            return [ip_network(part) for part in self.listed(name, "")]
        except ValueError as error:
            raise ConfigurationError(f"{name}: {error}; write networks such as 10.1.2.0/24.") from error

    def time_zone(self) -> str:
        name = self.text("TIME_ZONE", "UTC")
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ConfigurationError(
                f"TIME_ZONE is {name!r}, which is no IANA time zone; write one such as Europe/Berlin."
            ) from error
        return name

    def secret_key(self, data_dir: Path, *, debug: bool) -> str:
        """The signing key: from the environment, or made once and kept in the data directory."""
        key = self.text("SECRET_KEY")
        if key:
            if len(key) < 32:
                raise ConfigurationError("SECRET_KEY is shorter than 32 characters; write a long random one.")
            return key
        path = data_dir / "secret_key"
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            data_dir.mkdir(parents=True, exist_ok=True)
            made = secrets.token_urlsafe(48)
            try:
                with open(path, "x", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
                    file.write(made)
            except FileExistsError:  # another process of the same start was first
                return path.read_text().strip()
            return made

    def database(self, data_dir: Path) -> dict[str, Any]:
        """Django's database settings from ``DATABASE_URL``; SQLite under the data directory by default."""
        url = self.text("DATABASE_URL", f"sqlite:///{quote(str(data_dir / 'almanac.sqlite3'))}")
        example = "write postgres://user:password@host:5432/name or sqlite:////path/to/file.sqlite3"
        parts = urlsplit(url)
        if parts.scheme not in ("postgres", "postgresql", "sqlite"):
            raise ConfigurationError(f"DATABASE_URL does not begin with postgres:// or sqlite://; {example}.")
        try:
            config: dict[str, Any] = dict(environ.Env.db_url_config(url))
            parts.port  # noqa: B018 - raises ValueError on a port that is no number
        except (ValueError, KeyError, AttributeError, environ.ImproperlyConfigured) as error:
            raise ConfigurationError(f"DATABASE_URL does not parse ({error}); {example}.") from error
        if not config.get("NAME"):
            raise ConfigurationError(f"DATABASE_URL names no database; {example}.")
        if parts.scheme == "sqlite":
            config["NAME"] = unquote(str(config["NAME"]))
            config["OPTIONS"] = {
                # IMMEDIATE takes the write lock at BEGIN: a transaction that reads first can then never
                # fail half-way with "database is locked" when it comes to write.
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000;",
            }
        else:
            config["CONN_MAX_AGE"] = 60
            config["CONN_HEALTH_CHECKS"] = True
            config.setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
        return config

    def broker(self, data_dir: Path) -> str:
        """The broker's URL; the embedded Valkey's socket under the data directory by default."""
        url = self.text("BROKER_URL", f"redis+socket://{data_dir / 'valkey.sock'}")
        if urlsplit(url).scheme not in BROKER_SCHEMES:
            raise ConfigurationError(
                "BROKER_URL must begin with redis://, rediss://, redis+socket:// or amqp://; write redis://host:6379/0."
            )
        return url

    def sentry_dsn(self) -> str:
        """Where faults of the code are sent; empty where nowhere. The message never repeats it, because it holds a key."""
        dsn = self.text("SENTRY_DSN")
        example = "write the DSN that Sentry shows for the project, such as https://key@sentry.example.org/1"
        try:
            parts = urlsplit(dsn)
            parts.port  # noqa: B018 - raises ValueError on a port that is no number
        except ValueError as error:
            raise ConfigurationError(f"SENTRY_DSN does not parse; {example}.") from error
        project = parts.path.rpartition("/")[2]
        has_project = project.isascii() and project.isdigit()
        if dsn and not (parts.scheme in ("http", "https") and parts.hostname and parts.username and has_project):
            raise ConfigurationError(f"SENTRY_DSN is no address with a key and the number of a project; {example}.")
        return dsn

    def email(self) -> dict[str, Any]:
        """Django's e-mail settings from ``EMAIL_URL``; the local mailbox's port by default."""
        url = self.text("EMAIL_URL", "smtp://127.0.0.1:8025")
        example = "write smtp://user:password@host:587, smtp+tls://… or smtp+ssl://…"
        try:
            config: dict[str, Any] = dict(environ.Env.email_url_config(url))
        except (ValueError, KeyError, AttributeError, environ.ImproperlyConfigured) as error:
            raise ConfigurationError(f"EMAIL_URL does not parse ({error}); {example}.") from error
        if not urlsplit(url).scheme.startswith(("smtp", "submission")) or not config.get("EMAIL_HOST"):
            raise ConfigurationError(f"EMAIL_URL is no SMTP address; {example}.")
        return config
