"""Several connections that share one line of mails. It knows the mail server and the journal, and no database.

It works only while :meth:`Pool.run` does: between two calls its caller talks to the database in the same thread.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import uvloop

from newsletters import journal
from newsletters.deliveries import Row
from newsletters.journal import Journal
from newsletters.smtp import FINAL_ANSWER_SECONDS, Connection, Mail
from newsletters.smtp_greeting import Server
from newsletters.smtp_replies import Dropped, Fate, Outcome, Reply, ServerTrouble, Unanswered
from runs.ledger import LeaseLost

RECONNECT_SECONDS = (0.5, 1, 2, 4)
UNANSWERED_IN_A_ROW = 3
GROWS_EVERY_SECONDS = 60
"""After a server let fewer connections in, one more is tried after so long without trouble, up to the setting."""


class Owner(Protocol):
    """Whoever the pool sends for."""

    def mail_of(self, row: Row) -> Mail:
        """The mail of one recipient."""

    def note(self, row: Row, outcome: Outcome) -> None:
        """What became of it. Raises ServerTrouble to stop everything."""

    def slow_down(self) -> None:
        """The server asked for it, and did not take the mail."""

    def may_send(self) -> bool:
        """Asked before each final dot."""


class Pool:
    """Mails wait in a line; each connection takes the next.

    In strict mode one mail at a time is between its final dot and the answer: when the process is killed, nobody knows
    about that one. Otherwise it is one for each connection, which is faster where the server is far away.
    """

    def __init__(self, owner: Owner, journal_path: Path, *, connections: int, is_strict: bool) -> None:
        self._owner = owner
        self._journal_path = journal_path
        self._journal: Journal | None = None
        self._server = Server.of_settings()
        self._wanted = self._most = max(1, connections)
        self._grows_at = 0.0
        self._loop = uvloop.new_event_loop()
        self._gate = asyncio.Semaphore(1 if is_strict else self._most)
        self._line: deque[Row] = deque()
        self._idle: list[Connection] = []
        self._at_work: set[asyncio.Task[None]] = set()
        self._at_dot: dict[asyncio.Task[None], int] = {}
        self._attention = asyncio.Event()
        self._tells_below = -1
        self._was_open = False
        self._drops: Counter[int] = Counter()
        self._unanswered = 0
        self._trouble: BaseException | None = None
        self._is_halted = False

    def open(self) -> None:
        """Before the first mail is claimed: an empty journal says that none was begun. Raises ServerTrouble."""
        if self._journal is None:
            try:
                self._journal = Journal(self._journal_path)
            except OSError as error:
                raise journal.trouble(error) from error

    @property
    def waiting(self) -> int:
        """Mails in the line or in hand."""
        return len(self._line) + len(self._at_work)

    def feed(self, rows: Iterable[Row]) -> None:
        """Puts mails at the end of the line."""
        self._line.extend(rows)

    def run(self, seconds: float, *, low_water: int = 0) -> None:
        """Sends for so long, or until no more than ``low_water`` mails are left in a line that was longer.

        With 0 seconds it returns after the next outcome.

        Raises:
            ServerTrouble: nothing more can be sent; what is known was noted.
            LeaseLost: somebody else settled what we had in hand.
        """
        self._tells_below = low_water if len(self._line) > low_water else -1
        if seconds <= 0:
            self._tells_below = len(self._line)
        self._attention.clear()
        self._loop.run_until_complete(self._run(seconds))
        if self._trouble is not None:
            self.halt()
            raise self._trouble

    def halt(self) -> None:
        """Begins nothing more. Mails before their final dot were not sent; :meth:`wait` for the answers to the others."""
        self._is_halted = True
        self._line.clear()
        self._loop.run_until_complete(self._cancel())

    def wait(self, seconds: float) -> set[int]:
        """Waits so long, after :meth:`halt`; returns whose mails still have no answer."""
        self._attention.clear()
        self._loop.run_until_complete(self._run(seconds))
        return set(self._at_dot.values())

    def stop(self) -> None:
        """Ends after the mails whose final dot is out, however late they are answered."""
        self.halt()
        while self._at_work:
            self.wait(FINAL_ANSWER_SECONDS)

    def close(self) -> None:
        """Stops and says goodbye."""
        if self._loop.is_closed():
            return
        try:
            self.stop()
            self._loop.run_until_complete(self._quit())
            self._loop.close()
        finally:
            if self._journal is not None:
                self._journal.close()

    async def _run(self, seconds: float) -> None:
        self._grow()
        for _ in range(min(self._most, self.waiting) - len(self._at_work)):
            task = self._loop.create_task(self._serve())
            self._at_work.add(task)
            task.add_done_callback(self._leave)
        if self._at_work:
            alarm = self._loop.call_later(seconds, self._attention.set) if seconds > 0 else None
            await self._attention.wait()
            if alarm is not None:
                alarm.cancel()

    def _grow(self) -> None:
        """It may have been short of room only for a while."""
        if self._most < self._wanted and self._loop.time() >= self._grows_at:
            self._most += 1
            self._grows_at = self._loop.time() + GROWS_EVERY_SECONDS

    async def _cancel(self) -> None:
        """Those at their dot have their answer still to come."""
        others = self._at_work.difference(self._at_dot)
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)

    async def _quit(self) -> None:
        await asyncio.gather(*(connection.quit() for connection in self._idle))
        await self._loop.shutdown_default_executor()  # it looked up the server's name

    def _leave(self, task: asyncio.Task[None]) -> None:
        self._at_work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._trouble = self._trouble or error
        if self._trouble is not None or not self._at_work:
            self._attention.set()

    async def _serve(self) -> None:
        """One connection's work: mail after mail until the line is empty or there is trouble."""
        connection = self._idle.pop() if self._idle else Connection(self._server)
        try:
            while self._line and self._may_begin():
                row = self._line.popleft()
                try:
                    connection = await self._opened(connection)
                    await self._hand_over(connection, row)
                except Dropped as dropped:
                    if not self._may_begin():
                        return
                    self._line.appendleft(row)
                    self._grows_at = self._loop.time() + GROWS_EVERY_SECONDS
                    if dropped.asks_to_slow_down:
                        self._owner.slow_down()
                    if dropped.is_too_many and self._was_open and len(self._at_work) > 1:
                        self._most = len(self._at_work) - 1  # it lets no more connections of ours in than there are
                        return
                    await self._wait_after(dropped, row)
                if len(self._line) <= self._tells_below:
                    self._attention.set()
        finally:
            if connection.is_usable and connection.mails:
                self._idle.append(connection)
            else:
                connection.abort()

    def _may_begin(self) -> bool:
        return self._trouble is None and not self._is_halted

    async def _opened(self, connection: Connection) -> Connection:
        """The connection, or a new one where it has carried enough or was dropped. Raises ServerTrouble, Dropped."""
        if connection.is_usable:
            return connection
        await connection.quit()
        connection = Connection(self._server)
        await connection.open()
        self._was_open = True
        return connection

    async def _hand_over(self, connection: Connection, row: Row) -> None:
        """Raises ServerTrouble, Dropped."""
        outcome = await connection.start(self._owner.mail_of(row))
        if outcome is None:
            outcome = await self._end_with_dot(connection, row)
        self._drops.pop(row.id, None)
        if outcome.fate is not Fate.UNKNOWN:
            self._unanswered = 0
        self._owner.note(row, outcome)
        if outcome.fate is Fate.UNKNOWN:
            self._unanswered += 1
            if self._unanswered >= UNANSWERED_IN_A_ROW:
                raise ServerTrouble(f"The mail server takes mails but does not answer any more ({outcome.reply.text}).")

    async def _end_with_dot(self, connection: Connection, row: Row) -> Outcome:
        """The dangerous moment. Nothing that ends the wait for the gate, or happens at it, sends the mail."""
        task = asyncio.current_task()
        assert task is not None
        try:
            await self._gate.acquire()
        except BaseException:
            connection.abort()  # without the dot the server throws the mail away
            raise
        try:
            if not self._may_begin() or not self._owner.may_send():
                connection.abort()
                self._line.appendleft(row)  # its time comes when we may again
                raise asyncio.CancelledError
            self._at_dot[task] = row.id
            self._begin(connection, row)
            try:
                outcome = await connection.finish()
            except Unanswered as silence:
                return Outcome(Fate.UNKNOWN, Reply(0, str(silence)))
            except (ServerTrouble, Dropped):  # said instead of taking the mail, also after its last line
                self._settle(row, is_taken=False)
                raise
            self._settle(row, is_taken=outcome.fate is Fate.SENT)
            return outcome
        finally:
            self._at_dot.pop(task, None)
            self._gate.release()

    def _begin(self, connection: Connection, row: Row) -> None:
        assert self._journal is not None
        try:
            self._journal.begin(row.id)
        except OSError as error:
            connection.abort()
            raise journal.trouble(error) from error
        except LeaseLost:
            connection.abort()
            raise

    def _settle(self, row: Row, *, is_taken: bool) -> None:
        """What the server said is known, and is written down in the database; but nothing more is begun."""
        assert self._journal is not None
        try:
            self._journal.settle(row.id, is_taken=is_taken)
        except OSError as error:
            self._trouble = self._trouble or journal.trouble(error)

    async def _wait_after(self, dropped: Dropped, row: Row) -> None:
        """Longer each time; a mail that cannot be handed over at all ends everything. Raises ServerTrouble."""
        tries = self._drops[row.id]
        if tries >= len(RECONNECT_SECONDS):
            raise ServerTrouble(f"The mail server cannot be used: {dropped}.") from dropped
        self._drops[row.id] += 1
        await asyncio.sleep(RECONNECT_SECONDS[tries])
