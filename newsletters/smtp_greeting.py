"""The beginning of an SMTP conversation: connect, greet, encrypt and log in (RFC 5321, RFC 3207, RFC 4954)."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field

from django.conf import settings
from django.core.mail.utils import DNS_NAME

from newsletters import smtp_login, smtp_tls
from newsletters.smtp_login import NotLetIn
from newsletters.smtp_replies import Dropped, Reply, ServerTrouble
from newsletters.smtp_wire import Lost, Wire, in_words


@dataclass(frozen=True)
class Server:
    """Where mails are handed in."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    is_tls_from_start: bool = False
    must_start_tls: bool = False
    seconds: float = 60
    """How long one answer may take, except the last one of a mail (:data:`FINAL_ANSWER_SECONDS`)."""

    @classmethod
    def of_settings(cls) -> Server:
        """The one that EMAIL_URL names."""
        return cls(
            settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD,
            settings.EMAIL_USE_SSL, settings.EMAIL_USE_TLS, settings.EMAIL_TIMEOUT or 60,
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


async def open_wire(server: Server) -> tuple[Wire, dict[str, str]]:
    """A connection ready for mails, and what its server offers (the extensions that EHLO named).

    Raises:
        ServerTrouble: encryption or login, which another try does not change.
        Dropped: not reached, busy, or it hung up.
    """
    try:
        wire = await _connected(server)
    except ssl.SSLError as error:
        raise ServerTrouble(f"No encrypted connection to the mail server {server} ({in_words(error)}).") from error
    except (OSError, TimeoutError) as error:
        raise Dropped(f"the mail server {server} cannot be reached: {in_words(error)}", is_too_many=True) from error
    try:
        return wire, await _Greeting(server, wire).offers()
    except Lost as error:
        wire.abort()
        raise Dropped(f"the mail server {server} ended the greeting: {error}", is_too_many=True) from error
    except (ssl.SSLError, NotLetIn) as error:
        wire.abort()
        raise ServerTrouble(f"The mail server {server} does not let us in ({in_words(error)}).") from error
    except BaseException:
        wire.abort()
        raise


async def _connected(server: Server) -> Wire:
    context = smtp_tls.context() if server.is_tls_from_start else None
    opening = asyncio.get_running_loop().create_connection(Wire, server.host, server.port, ssl=context)
    _, wire = await asyncio.wait_for(opening, server.seconds)
    return wire


class _Greeting:
    """Raises NotLetIn for what another try does not change, Lost for the rest."""

    def __init__(self, server: Server, wire: Wire) -> None:
        self._server = server
        self._wire = wire

    async def offers(self) -> dict[str, str]:
        _accept(await self._wire.reply(self._server.seconds))
        offers = await self._hello()
        if self._server.must_start_tls:
            offers = await self._start_tls(offers)
        if self._server.user:
            reply = await smtp_login.log_in(self._ask, offers.get("AUTH", ""), self._server.user, self._server.password)
            if reply.code != 503:  # logged in already
                _accept(reply)
        return offers

    async def _ask(self, command: str) -> Reply:
        return await self._wire.ask(command, self._server.seconds)

    async def _hello(self) -> dict[str, str]:
        reply = await self._ask(f"EHLO {DNS_NAME}")
        if reply.code >= 500:  # RFC 5321 3.2: one that knows no extension
            _accept(await self._ask(f"HELO {DNS_NAME}"))
            return {}
        _accept(reply)
        offers = [line.partition(" ") for line in reply.lines[1:]]
        return {name.upper(): values.strip() for name, _, values in offers}

    async def _start_tls(self, offers: dict[str, str]) -> dict[str, str]:
        """A server, or somebody in between, that does not offer it is told nothing more: no password goes in the clear."""
        if "STARTTLS" not in offers:
            raise NotLetIn("STARTTLS extension not supported by server")
        reply = await self._ask("STARTTLS")
        if reply.code != 220:
            raise NotLetIn(str(reply))
        if self._wire.has_unasked:  # said before the encryption: somebody in between
            raise NotLetIn("It answered more than it was asked before the encryption began")
        await self._wire.encrypt(self._server.host, self._server.seconds)
        return await self._hello()


def _accept(reply: Reply) -> None:
    if 400 <= reply.code < 500:
        raise Lost(str(reply))
    if reply.code >= 500:
        raise NotLetIn(str(reply))
