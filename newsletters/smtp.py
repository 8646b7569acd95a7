"""One reused SMTP connection for bulk mail, and what each answer of a server means for the mail and the issue."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from django.conf import settings
from django.core.mail.utils import DNS_NAME

MAILS_PER_CONNECTION = 100
FINAL_ANSWER_SECONDS = 600
"""RFC 5321 4.5.3.2.6: giving up earlier after the final dot is how mails get doubled."""

_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})\b")
_LOGIN = (530, 534, 535, 538)
_LEADING_DOT = re.compile(rb"(?m)^\.")


@dataclass(frozen=True)
class Reply:
    """A server's answer."""

    code: int
    text: str

    @property
    def status(self) -> str:
        """The enhanced status code (RFC 3463) such as 5.1.1, or empty."""
        match = _ENHANCED.match(self.text)
        return match.group(1) if match else ""

    @property
    def signature(self) -> str:
        """What makes two refusals the same: "550 5.1.1"."""
        return f"{self.code} {self.status}".strip()

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class Fate(Enum):
    """What became of one mail."""

    SENT = "sent"
    LATER = "later"
    """The server asks us to come back (4xx)."""
    REFUSED = "refused"
    """The server will not have this mail for this recipient (5xx)."""


@dataclass(frozen=True)
class Outcome:
    """What became of one mail, and the answer that says so."""

    fate: Fate
    reply: Reply


class ServerTrouble(Exception):
    """The server is unusable for everybody: no recipient is to blame. The message is in plain words."""

    def __init__(self, words: str, code: str = "") -> None:
        super().__init__(words)
        self.code = code


class Dropped(Exception):
    """The connection ended before the mail was handed over: it was not sent and may be sent again."""


class Unanswered(Exception):
    """The connection ended after the mail was handed over: nobody knows whether it was accepted."""


class Connection:
    """Sends one mail after another; opens the connection when needed and again after a number of mails."""

    def __init__(self) -> None:
        self._smtp: smtplib.SMTP | None = None
        self._mails = 0
        self._timeout = settings.EMAIL_TIMEOUT or 60
        self.server = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"

    def send(self, envelope_from: str, recipient: str, data: bytes, before_dot: Callable[[], None]) -> Outcome:
        """Hands one mail over. ``before_dot`` runs when only the final dot is missing; an error in it sends nothing.

        Raises:
            ServerTrouble: login, sender, encryption or policy: the same for every recipient.
            Dropped: not sent; try again on a new connection.
            Unanswered: handed over, but the answer never came.
        """
        if self._mails >= MAILS_PER_CONNECTION:
            self.close()
        smtp = self._smtp or self._open()
        self._mails += 1
        try:
            refused = self._envelope(smtp, envelope_from, recipient)
            if refused is not None:
                self._reset(smtp)
                return refused
            body = _LEADING_DOT.sub(b"..", data)
            smtp.send(body if body.endswith(b"\r\n") else body + b"\r\n")
        except (smtplib.SMTPException, OSError) as error:
            self.abort()
            raise Dropped(_reason(error)) from error
        try:
            before_dot()
        except BaseException:
            self.abort()  # without the dot the server throws the mail away
            raise
        return self._finish(smtp)

    def _envelope(self, smtp: smtplib.SMTP, envelope_from: str, recipient: str) -> Outcome | None:
        options = []
        smtp.command_encoding = "ascii"
        if not recipient.isascii():
            if not smtp.has_extn("smtputf8"):
                return Outcome(Fate.REFUSED, Reply(553, "5.6.7 the mail server cannot carry this address's letters"))
            smtp.command_encoding = "utf-8"
            options = ["SMTPUTF8"]
        reply = self._answer(smtp.mail(envelope_from, options))
        if reply.code >= 500:
            if reply.code in _LOGIN:
                self._judge(reply)
            raise ServerTrouble(
                f"The mail server {self.server} refuses the sender {envelope_from} ({reply}).", reply.signature
            )
        if reply.code >= 400:
            raise smtplib.SMTPServerDisconnected(str(reply))
        for answer in (smtp.rcpt(recipient), None):
            reply = self._answer(answer if answer is not None else smtp.docmd("DATA"))
            if reply.code >= 400:
                return self._judge(reply)
        if reply.code != 354:
            raise smtplib.SMTPServerDisconnected(f"unexpected answer {reply}")
        return None

    def _finish(self, smtp: smtplib.SMTP) -> Outcome:
        try:
            _wait_at_most(smtp, FINAL_ANSWER_SECONDS)
            smtp.send(b".\r\n")
            reply = self._answer(smtp.getreply(), closing_is_an_answer=True)
            _wait_at_most(smtp, self._timeout)
        except (smtplib.SMTPException, OSError) as error:
            self.abort()
            raise Unanswered(_reason(error)) from error
        if reply.code == 421:
            self.abort()
        return Outcome(Fate.SENT, reply) if 200 <= reply.code < 300 else self._judge(reply)

    def _reset(self, smtp: smtplib.SMTP) -> None:
        try:
            smtp.rset()
        except (smtplib.SMTPException, OSError):  # it hangs up after a refusal: the refusal still counts
            self.abort()

    def _answer(self, answer: tuple[int, bytes], *, closing_is_an_answer: bool = False) -> Reply:
        code, text = answer
        reply = Reply(code, " ".join(text.decode("utf-8", "replace").split()))
        if code < 200 or (code == 421 and not closing_is_an_answer):
            raise smtplib.SMTPServerDisconnected(str(reply))
        return reply

    def _judge(self, reply: Reply) -> Outcome:
        """4xx is for later; a refusal of policy, login or content concerns everybody; the rest this recipient."""
        if reply.code < 500:
            return Outcome(Fate.LATER, reply)
        if reply.code in _LOGIN or reply.status.startswith(("5.7.", "5.6.", "5.3.")):
            raise ServerTrouble(f"The mail server {self.server} refuses our mail ({reply}).", reply.signature)
        return Outcome(Fate.REFUSED, reply)

    def _open(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        try:
            if settings.EMAIL_USE_SSL:
                smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                    settings.EMAIL_HOST, settings.EMAIL_PORT, str(DNS_NAME), timeout=self._timeout, context=context
                )
            else:
                smtp = smtplib.SMTP(settings.EMAIL_HOST, settings.EMAIL_PORT, str(DNS_NAME), timeout=self._timeout)
        except ssl.SSLError as error:
            raise ServerTrouble(
                f"No encrypted connection to the mail server {self.server} ({_reason(error)})."
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            raise Dropped(f"the mail server {self.server} cannot be reached: {_reason(error)}") from error
        try:
            smtp.ehlo_or_helo_if_needed()
            if settings.EMAIL_USE_TLS:
                smtp.starttls(context=context)
            if settings.EMAIL_HOST_USER:
                smtp.login(settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD)
        except (smtplib.SMTPException, OSError) as error:
            smtp.close()
            if _is_passing(error):
                raise Dropped(f"the mail server {self.server} ended the greeting: {_reason(error)}") from error
            raise ServerTrouble(f"The mail server {self.server} does not let us in ({_reason(error)}).") from error
        if smtp.sock is not None:
            # The dot is a packet of its own; without this the kernel holds it back for 40 ms.
            smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._smtp, self._mails = smtp, 0
        return smtp

    def close(self) -> None:
        """Says goodbye, if there is anybody to say it to."""
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            try:
                _wait_at_most(smtp, 5)
                smtp.quit()
            except (smtplib.SMTPException, OSError):
                smtp.close()

    def abort(self) -> None:
        """Drops the connection without a word."""
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()


def _wait_at_most(smtp: smtplib.SMTP, seconds: int) -> None:
    if smtp.sock is not None:
        smtp.sock.settimeout(seconds)


def _is_passing(error: Exception) -> bool:
    """Whether a failed greeting may go well on the next try, as a wrong password or certificate never does."""
    if isinstance(error, smtplib.SMTPResponseException):
        return bool(error.smtp_code < 500)
    return isinstance(error, smtplib.SMTPServerDisconnected) or (
        isinstance(error, OSError) and not isinstance(error, ssl.SSLError | smtplib.SMTPException)
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        return f"{error.smtp_code} {text.decode('utf-8', 'replace') if isinstance(text, bytes) else text}"
    return str(getattr(error, "strerror", "") or error or type(error).__name__)
