"""The embedded mail server: accepts everything on loopback and keeps it as a Maildir for the Local mailbox page."""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import threading
import time
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

MAX_BYTES = 50 * 1024 * 1024


class Keeper:
    """Stores each accepted mail as one Maildir file, with its envelope in two headers on top."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._count = itertools.count()
        for name in ("tmp", "new", "cur"):
            (directory / name).mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        head = f"X-Envelope-From: {envelope.mail_from}\r\nX-Envelope-To: {', '.join(envelope.rcpt_tos)}\r\n"
        now = time.time()
        name = f"{int(now)}.M{int(now % 1 * 1e6):06d}P{os.getpid()}Q{next(self._count)}"
        # Written under tmp and moved, as Maildir asks: a reader never sees half a mail. No fsync: it is a demo's box.
        (self._directory / "tmp" / name).write_bytes(head.encode() + content)
        os.rename(self._directory / "tmp" / name, self._directory / "new" / name)
        return "250 2.0.0 Kept in the local mailbox"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    options = parser.parse_args()
    controller = Controller(
        Keeper(options.directory),
        hostname="127.0.0.1",
        port=options.port,
        enable_SMTPUTF8=True,
        data_size_limit=MAX_BYTES,
    )
    controller.start()
    print(f"mailbox is up: mail to 127.0.0.1:{options.port} is kept in {options.directory}", flush=True)  # noqa: T201
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopped.set())
    stopped.wait()
    controller.stop()


if __name__ == "__main__":
    main()
