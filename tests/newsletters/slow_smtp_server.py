"""A mail server that keeps to the letter of SMTP and to nothing else: replies in pieces, in many lines, or late."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable


class SlowSmtpServer:
    """Answers every command with what ``reply`` makes of it, byte by byte; keeps whom mail was accepted for."""

    def __init__(
        self,
        *,
        offers: tuple[str, ...] = ("8BITMIME", "SMTPUTF8"),
        reply: Callable[[str, str], str] = lambda command, usual: usual,
        bytes_at_once: int = 1,
        seconds_before_final_answer: float = 0.0,
    ) -> None:
        self.offers = offers
        self.reply = reply
        self.bytes_at_once = bytes_at_once
        self.seconds_before_final_answer = seconds_before_final_answer
        self.accepted: list[str] = []
        self.commands: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = connection.makefile("rb")
        try:
            self._say(connection, self.reply("", "220 slow.example ready"))
            recipient = ""
            while line := lines.readline():
                command = line.decode("utf-8", "replace").strip()
                self.commands.append(command)
                verb = command.split(" ")[0].upper()
                if verb == "RCPT":
                    recipient = command.partition("<")[2].partition(">")[0]
                answer = self.reply(command, self._usual(verb))
                self._say(connection, answer)
                if verb == "DATA" and answer.startswith("354"):
                    while lines.readline() not in (b".\r\n", b""):
                        pass
                    time.sleep(self.seconds_before_final_answer)
                    self.accepted.append(recipient)
                    self._say(connection, self.reply(".", "250 2.0.0 taken"))
                if verb == "QUIT" or answer.startswith("421"):
                    return
        except OSError:
            pass  # the client went away
        finally:
            lines.close()
            connection.close()

    def _usual(self, verb: str) -> str:
        if verb == "EHLO":
            lines = ("slow.example", *self.offers)
            return "\n".join(f"250{'-' if number < len(lines) else ' '}{line}" for number, line in enumerate(lines, 1))
        return {"DATA": "354 go ahead", "QUIT": "221 bye", "STARTTLS": "502 5.5.1 no"}.get(verb, "250 2.0.0 ok")

    def _say(self, connection: socket.socket, answer: str) -> None:
        data = answer.replace("\n", "\r\n").encode() + b"\r\n"
        for start in range(0, len(data), self.bytes_at_once):
            connection.sendall(data[start : start + self.bytes_at_once])
