"""A mail server that keeps to a script and to nothing else: replies in pieces, in many lines, late, wrong, or encrypted."""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

UNFINISHED = "\0"
"""An answer that ends so is sent without its line end."""
HANG_UP = ""
"""In place of an answer."""


class SlowSmtpServer:
    """Answers every command with what ``reply`` makes of it, byte by byte; keeps whom mail was accepted for."""

    def __init__(
        self,
        *,
        offers: tuple[str, ...] = ("8BITMIME", "SMTPUTF8"),
        reply: Callable[[str, str], str] = lambda command, usual: usual,
        bytes_at_once: int = 1,
        seconds_before_final_answer: float = 0.0,
        seconds_before_answer: float = 0.0,
        most_connections: int = 1000,
        certificate: Path | None = None,
    ) -> None:
        self.offers = offers
        self.reply = reply
        self.bytes_at_once = bytes_at_once
        self.seconds_before_final_answer = seconds_before_final_answer
        self.seconds_before_answer = seconds_before_answer
        self.most_connections = most_connections
        self.certificate = certificate
        self.accepted: list[str] = []
        self.mails: list[bytes] = []
        self.commands: list[str] = []
        self.packets: list[bytes] = []
        """Commands as they came together; of a mail itself nothing."""
        self.early: list[str] = []
        """Commands behind which more came before they were answered."""
        self.lone_dots = 0
        self.open = 0
        self.most_open = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._listener.close()

    def said(self, verb: str) -> int:
        """How often the client said it."""
        return sum(command.upper().startswith(verb) for command in self.commands)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._meet, args=(connection,), daemon=True).start()

    def _meet(self, connection: socket.socket) -> None:
        with self._lock:
            self.open += 1
            is_one_too_many = self.open > self.most_connections
            if not is_one_too_many:
                self.most_open = max(self.most_open, self.open)
        try:
            _Talk(self, connection).hold(is_one_too_many)
        except OSError:
            pass  # the client went away
        finally:
            with self._lock:
                self.open -= 1


class _Talk:
    """One connection."""

    def __init__(self, server: SlowSmtpServer, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server = server
        self._connection = connection
        self._buffer = b""
        self._recipient = ""

    def hold(self, is_one_too_many: bool) -> None:
        try:
            usual = "421 4.7.0 too many connections" if is_one_too_many else "220 slow.example ready"
            greeting = self._server.reply("", usual)
            self._say(greeting)
            while not greeting.startswith("421") and (line := self._line()) and self._answer(line):
                pass
        finally:
            self._connection.close()

    def _answer(self, line: bytes) -> bool:
        """Whether it goes on after this command."""
        server = self._server
        command = line.decode("utf-8", "replace").strip()
        server.commands.append(command)
        verb = command.split(" ")[0].upper()
        answer = server.reply(command, self._usual(verb))
        if server.seconds_before_answer:
            time.sleep(server.seconds_before_answer)
            if self._buffer or select.select([self._connection], [], [], 0)[0]:
                server.early.append(command)
        if answer == HANG_UP:
            return False
        if verb in ("MAIL", "RCPT", "RSET"):
            is_accepted = verb == "RCPT" and answer.startswith("2")
            self._recipient = command.partition("<")[2].partition(">")[0] if is_accepted else ""
        self._say(answer)
        if verb == "STARTTLS" and answer.startswith("220"):
            self._encrypt()
        if verb == "DATA" and answer.startswith("354"):
            return self._take_mail()
        return verb != "QUIT" and not answer.startswith("421")

    def _take_mail(self) -> bool:
        server = self._server
        lines: list[bytes] = []
        while (line := self._line(is_mail=True)) not in (b".\r\n", b""):
            lines.append(line)
        if not line:
            return False  # without the dot it is no mail
        server.lone_dots += not lines
        time.sleep(server.seconds_before_final_answer)
        answer = server.reply(".", "250 2.0.0 taken" if self._recipient else "554 5.5.1 no valid recipients")
        if self._recipient and (answer.startswith("2") or answer == HANG_UP):
            server.accepted.append(self._recipient)
            server.mails.append(b"".join(lines))
        self._recipient = ""
        if answer == HANG_UP:
            return False
        self._say(answer)
        return not answer.startswith("421")

    def _line(self, *, is_mail: bool = False) -> bytes:
        while b"\n" not in self._buffer:
            packet = self._connection.recv(65536)
            if not packet:
                return b""
            if not is_mail:
                self._server.packets.append(packet)
            self._buffer += packet
        line, end, self._buffer = self._buffer.partition(b"\n")
        return line + end

    def _usual(self, verb: str) -> str:
        if verb == "EHLO":
            lines = ("slow.example", *self._server.offers)
            return "\n".join(f"250{'-' if number < len(lines) else ' '}{line}" for number, line in enumerate(lines, 1))
        starttls = "220 2.0.0 go ahead" if self._server.certificate else "502 5.5.1 no"
        special = {"DATA": "354 go ahead", "QUIT": "221 bye", "STARTTLS": starttls, "AUTH": "235 2.7.0 welcome"}
        return special.get(verb, "250 2.0.0 ok")

    def _encrypt(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        assert self._server.certificate is not None
        context.load_cert_chain(self._server.certificate)
        self._connection = context.wrap_socket(self._connection, server_side=True)

    def _say(self, answer: str) -> None:
        text = answer.removesuffix(UNFINISHED)
        data = text.replace("\n", "\r\n").encode() + (b"\r\n" if text == answer else b"")
        step = self._server.bytes_at_once
        for start in range(0, len(data), step):
            self._connection.sendall(data[start : start + step])
