"""Signs mails by DKIM (RFC 6376) where a key is set: the newsletters' own, and all others by the e-mail backend."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.mail.backends.smtp import EmailBackend

SIGNED_HEADERS = (
    "From", "From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe",
    "List-Unsubscribe-Post", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
)  # fmt: skip
"""From twice: a second one that somebody adds on the way breaks the signature. Those that a mail lacks are signed as
absent, so that nobody can add a List-Unsubscribe of their own."""


def sign(mail: bytes) -> bytes:
    """The mail with our signature in front of it, or as it is where nothing is signed here. Lines end in CRLF."""
    if not settings.DKIM_KEY:
        return mail
    import dkim  # slow, and most installations do not sign

    signature: bytes = dkim.sign(
        mail,
        settings.DKIM_SELECTOR.encode(),
        settings.DKIM_DOMAIN.encode(),
        settings.DKIM_KEY.encode(),
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=[header.encode() for header in SIGNED_HEADERS],
    )
    return signature + mail


class SigningBackend(EmailBackend):
    """Django's SMTP backend; what goes through it (confirmations, alerts, reports) is signed as well."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _SigningSecureConnection if self.use_ssl else _SigningConnection


class _SigningConnection(smtplib.SMTP):
    def sendmail(self, from_addr: str, to_addrs: str | Sequence[str], msg: Any, *args: Any, **kwargs: Any) -> Any:
        return super().sendmail(from_addr, to_addrs, sign(msg), *args, **kwargs)


class _SigningSecureConnection(_SigningConnection, smtplib.SMTP_SSL):
    pass
