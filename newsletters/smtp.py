"""A small SMTP client for many mails: one connection, its envelopes in one packet where the server allows that.

RFC 5321 with PIPELINING (RFC 2920), SIZE (RFC 1870), SMTPUTF8 (RFC 6531), STARTTLS (RFC 3207) and AUTH (RFC 4954). One
recipient a mail: each has a leave-the-list address of its own.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from newsletters import smtp_greeting
from newsletters.smtp_greeting import Server
from newsletters.smtp_replies import (
    CLOSING,
    Dropped,
    Fate,
    Outcome,
    Reply,
    ServerTrouble,
    Unanswered,
    judge,
    judge_sender,
)
from newsletters.smtp_wire import Lost, Wire, in_words

MAILS_PER_CONNECTION = 100
FINAL_ANSWER_SECONDS = 600
"""RFC 5321 4.5.3.2.6: giving up earlier after the final dot is how mails get doubled."""
GOODBYE_SECONDS = 5
_NO_ADDRESS = re.compile(r"[\s<>\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Mail:
    """One mail with its envelope."""

    sender: str
    recipient: str
    data: bytes
    """Header and body with CRLF line ends; dots are doubled on the way."""
    has_no_dots: bool = False
    """Whether it is known that no line begins with a dot, so that nobody need look for one."""


class Connection:
    """One connection: :meth:`open`, then for each mail :meth:`start` and :meth:`finish`, then :meth:`quit`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._wire = Wire()
        self._offers: dict[str, str] = {}
        self.mails = 0

    async def open(self) -> None:
        """Connects, greets, encrypts and logs in as the settings say.

        Raises:
            ServerTrouble: encryption or login, which another try does not change.
            Dropped: not reached, busy, or it hung up.
        """
        self._wire, self._offers = await smtp_greeting.open_wire(self._server)

    async def _reply(self) -> Reply:
        return await self._wire.reply(self._server.seconds)

    async def _ask(self, command: str) -> Reply:
        return await self._wire.ask(command, self._server.seconds)

    # One mail.

    async def start(self, mail: Mail) -> Outcome | None:
        """Everything but the final dot. An outcome means that there is nothing to finish.

        Raises:
            ServerTrouble: login, sender, encryption or policy: the same for every recipient.
            Dropped: not sent; try again on a new connection.
        """
        self.mails += 1
        unfit = self._unfit(mail)
        if unfit is not None:
            return unfit
        try:
            refused = await self._envelope(mail)
            if refused is not None:
                return refused
            self._wire.write(mail.data if mail.has_no_dots else _with_doubled_dots(mail.data))
            await self._wire.written(FINAL_ANSWER_SECONDS)
        except Lost as error:
            self.abort()
            raise Dropped(in_words(error), reply=error.reply) from error
        except BaseException:
            self.abort()  # in the middle of a conversation: what comes next would be misread
            raise
        return None

    async def finish(self) -> Outcome:
        """The final dot, and what the server says to the whole mail.

        Raises:
            ServerTrouble: as :meth:`start`.
            Unanswered: handed over, but the answer never came.
        """
        if self._wire.has_unasked:
            return self._answered_in_advance()
        try:
            self._wire.write(b".\r\n")
        except Lost as error:  # the dot never left
            raise Dropped(in_words(error)) from error
        try:
            reply = await self._wire.reply(FINAL_ANSWER_SECONDS)
        except Lost as error:
            self.abort()
            raise Unanswered(in_words(error)) from error
        if reply.code == CLOSING:
            self.abort()
        if 300 <= reply.code < 400:  # no answer to a mail: it may have taken it
            self.abort()
            raise Unanswered(f"unexpected answer {reply}")
        return Outcome(Fate.SENT, reply) if reply.code < 300 else self._judge(reply)

    def _answered_in_advance(self) -> Outcome:
        """A refusal before the dot is one, and no dot follows; anything else is an answer to something else.

        Raises:
            ServerTrouble, Dropped: not sent.
        """
        reply = self._wire.next_reply()
        self.abort()
        if reply is None or reply.code < 400:
            raise Dropped(f"it answers what it was not asked: {reply or 'half a line'}")
        return self._judge(reply)

    def _unfit(self, mail: Mail) -> Outcome | None:
        """What this server cannot carry, known before a word is said. Raises ServerTrouble."""
        if _NO_ADDRESS.search(mail.recipient):
            return Outcome(Fate.REFUSED, Reply(553, "5.1.3 this is not an address"))
        if not mail.recipient.isascii() and "SMTPUTF8" not in self._offers:
            return Outcome(Fate.REFUSED, Reply(553, "5.6.7 the mail server cannot carry this address's letters"))
        most = self._offers.get("SIZE", "")
        if most.isdecimal() and 0 < int(most) < len(mail.data):
            raise ServerTrouble(
                f"The mail server {self._server} takes mails of at most {int(most):,} bytes; this one has {len(mail.data):,}.",
                "552 5.3.4",
            )
        return None

    async def _envelope(self, mail: Mail) -> Outcome | None:
        """MAIL, RCPT and DATA: in one packet where the server offers PIPELINING. None when it waits for the mail."""
        commands = self._commands(mail)
        if "PIPELINING" not in self._offers:
            for verb, command in commands.items():
                refused = self._weigh(verb, await self._ask(command), mail)
                if refused is not None:
                    await self._forget()
                    return refused
            return None
        self._wire.write("".join(f"{command}\r\n" for command in commands.values()).encode())
        replies: dict[str, Reply] = {}
        lost = None
        try:
            for verb in commands:  # RFC 2920 3.1: every answer is read, also after a refusal
                replies[verb] = await self._reply()
        except Lost as error:
            lost = error  # what it said before it hung up counts
        for verb, reply in replies.items():
            refused = self._weigh(verb, reply, mail)
            if refused is not None:
                await self._forget(waits_for_mail="DATA" in replies and replies["DATA"].code == 354)
                return refused
        if lost is not None:
            raise lost
        return None

    def _commands(self, mail: Mail) -> dict[str, str]:
        options = f" SIZE={len(mail.data)}" if "SIZE" in self._offers else ""
        if not mail.recipient.isascii():
            options += " SMTPUTF8"
        return {"MAIL": f"MAIL FROM:<{mail.sender}>{options}", "RCPT": f"RCPT TO:<{mail.recipient}>", "DATA": "DATA"}

    def _weigh(self, verb: str, reply: Reply, mail: Mail) -> Outcome | None:
        """Raises ServerTrouble, Dropped."""
        if reply.code == CLOSING:
            raise Lost(str(reply), reply)
        if verb == "MAIL":
            try:
                judge_sender(str(self._server), mail.sender, reply)
            except Dropped as busy:
                raise Lost(str(busy), reply) from busy
            return None
        if reply.code >= 400:
            return self._judge(reply)
        if verb == "DATA" and reply.code != 354:
            raise Lost(f"unexpected answer {reply}")
        return None

    def _judge(self, reply: Reply) -> Outcome:
        return judge(str(self._server), reply)

    async def _forget(self, *, waits_for_mail: bool = False) -> None:
        """RSET: the next mail begins anew. One that hangs up after a refusal has refused all the same.

        Args:
            waits_for_mail: although it refused the recipient; a lone dot ends that (RFC 2920 3.1).
        """
        try:
            if waits_for_mail:
                await self._ask(".")
            await self._ask("RSET")
        except Lost:
            self.abort()

    # The end.

    @property
    def is_usable(self) -> bool:
        """Whether another mail may go by this connection."""
        return self._wire.is_open and self.mails < MAILS_PER_CONNECTION

    async def quit(self) -> None:
        """Says goodbye, if there is anybody to say it to."""
        if self._wire.is_open:
            try:
                self._wire.write(b"QUIT\r\n")
                await self._wire.reply(GOODBYE_SECONDS)
            except Lost:
                pass
        self.abort()

    def abort(self) -> None:
        """Drops the connection without a word."""
        self._wire.abort()


async def _send_one(server: Server, mail: Mail) -> Outcome:
    connection = Connection(server)
    await connection.open()
    try:
        return await connection.start(mail) or await connection.finish()
    finally:
        await connection.quit()


def send_one(mail: Mail) -> Outcome:
    """Hands over a single mail.

    Raises:
        ServerTrouble, Dropped: it was not sent.
        Unanswered: nobody knows.
    """
    return asyncio.run(_send_one(Server.of_settings(), mail))


def _with_doubled_dots(data: bytes) -> bytes:
    """RFC 5321 4.5.2; ends with a line end, so that only the dot is missing."""
    body = data.replace(b"\r\n.", b"\r\n..")
    if body.startswith(b"."):
        body = b"." + body
    return body if body.endswith(b"\r\n") else body + b"\r\n"
