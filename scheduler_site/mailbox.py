"""The Local mailbox: reads what the embedded mail server accepted, so that nothing leaves the machine by accident."""

from __future__ import annotations

import email
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from runs.pages import page

PER_PAGE = 50
PERMISSION = "newsletters.view_issue"
HEADER_BYTES = 65_536


@dataclass(frozen=True)
class Line:
    """One mail in the list."""

    key: str
    received_at: datetime
    sender: str
    recipient: str
    subject: str


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Newest first; only the mails of the page are opened, so ten thousand cost the same as fifty."""
    _require(request)
    files = _files()
    number = max(1, int(request.GET["page"]) if request.GET.get("page", "").isdigit() else 1)
    first = (number - 1) * PER_PAGE
    lines = [_line(path) for path in files[first : first + PER_PAGE]]
    context = {
        "lines": lines,
        "count": len(files),
        "page": number,
        "has_next": first + PER_PAGE < len(files),
        "is_local": is_local(),
        "server": f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}",
        "title": "Local mailbox",
    }
    return page(request, "scheduler_site/mailbox.html", context)


@require_safe
def detail(request: HttpRequest, key: str) -> HttpResponse:
    """One mail: its headers, its text, and its HTML in a frame that runs no scripts."""
    _require(request)
    message = _message(_find(key).read_bytes())
    context = {
        "key": key,
        "headers": [(name, str(value)) for name, value in message.items()],
        "text": _part(message, "plain"),
        "html": _part(message, "html"),
        "title": str(message["subject"] or "(no subject)"),
    }
    return page(request, "scheduler_site/mail.html", context)


@require_safe
def source(request: HttpRequest, key: str) -> HttpResponse:
    """The mail as it came over the wire, as a download."""
    _require(request)
    response = HttpResponse(_find(key).read_bytes(), content_type="message/rfc822")
    response["Content-Disposition"] = f'attachment; filename="{_safe(key)}.eml"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def is_local() -> bool:
    """Whether mail goes to the embedded mailbox rather than to a server outside."""
    return settings.EMAIL_HOST in ("127.0.0.1", "localhost", "::1") and settings.LOCAL_MAILBOX_DIR.is_dir()


def _require(request: HttpRequest) -> None:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied


def _files() -> list[Path]:
    """All stored mails, newest first, by file name alone (Maildir names begin with the time)."""
    folders = [settings.LOCAL_MAILBOX_DIR / name for name in ("new", "cur")]
    found = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
    return sorted(found, key=lambda path: _order(path.name), reverse=True)


def _order(name: str) -> tuple[float, int, str]:
    match = re.match(r"(\d+)\.M(\d+)", name)
    if match:
        return float(match[1]), int(match[2]), name
    head = name.split(".", 1)[0]
    return (float(head) if head.isdigit() else 0.0), 0, name


def _line(path: Path) -> Line:
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES).split(b"\n\n", 1)[0].split(b"\r\n\r\n", 1)[0]
    message = _message(head + b"\r\n\r\n")
    return Line(
        key=path.name,
        received_at=datetime.fromtimestamp(path.stat().st_mtime, tz=UTC),
        sender=str(message["from"] or message["x-envelope-from"] or ""),
        recipient=str(message["to"] or message["x-envelope-to"] or ""),
        subject=str(message["subject"] or "(no subject)"),
    )


def _find(key: str) -> Path:
    """The file of a key taken from an address; only a name that is in the mailbox is ever opened."""
    for folder in ("new", "cur"):
        path = settings.LOCAL_MAILBOX_DIR / folder / key
        if _safe(key) == key and path.is_file():
            found: Path = path
            return found
    raise Http404


def _safe(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.,=:@+-]", "", key).lstrip(".")


def _message(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def _part(message: EmailMessage, kind: str) -> str:
    part: Any = message.get_body(preferencelist=(kind,))
    try:
        return str(part.get_content()) if part is not None else ""
    except (LookupError, UnicodeError, KeyError):
        return "This part cannot be read. Download the source to see it."
