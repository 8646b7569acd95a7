"""The journal of a hold: what it says after a crash, where it cannot be written, and that it names nobody."""

from __future__ import annotations

import os
import resource
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django import Settings

from newsletters import journal
from newsletters.journal import Journal, Word
from newsletters.models import Issue, List, Newsletter
from runs.ledger import LeaseLost
from runs.models import Run
from tests.newsletters.conftest import add_readers
from tests.newsletters.smtp_server import SmtpServer
from tests.newsletters.test_smtp_trouble import assert_paused_without_blame

Perform = Callable[..., Run]


@pytest.fixture(autouse=True)
def journals(settings: Settings, tmp_path: Path) -> Path:
    settings.SENDING_JOURNALS = str(tmp_path / "journals")
    return tmp_path / "journals"


def test_the_last_word_about_each_mail_counts() -> None:
    book = Journal(journal.path(1, 1))
    for number in (1, 2, 3, 4):
        book.begin(number)
    book.settle(1, is_taken=True)
    book.settle(2, is_taken=False)
    book.settle(3, is_taken=False)
    book.begin(3)
    book.close()
    assert journal.read(1, 1, EVERYBODY) == {1: Word.TAKEN, 2: Word.TURNED_DOWN, 3: Word.BEGUN, 4: Word.BEGUN}


EVERYBODY = set(range(1000))


@pytest.mark.parametrize("torn", [b"T", b"T12", b"S1", b"N", b"\0\0\0\0"])
def test_a_last_line_that_was_cut_off_says_nothing(journals: Path, torn: bytes) -> None:
    """Its dot was never sent; and what came of the mail before is as it was."""
    journals.mkdir()
    (journals / "1-1").write_bytes(b"T1\nS1\nT12\nN12\nT123\n" + torn)
    assert journal.read(1, 1, EVERYBODY) == {1: Word.TAKEN, 12: Word.TURNED_DOWN, 123: Word.BEGUN}


def test_a_torn_line_in_the_middle_is_no_word_about_another_mail(journals: Path) -> None:
    journals.mkdir()
    (journals / "1-1").write_bytes(b"T1\nS\nT2S1\nX3\nT-4\nT\xb2\n\nT5\n")
    assert journal.read(1, 1, EVERYBODY) == {1: Word.BEGUN, 5: Word.BEGUN}


def test_an_empty_one_says_that_nothing_was_begun_and_none_says_nothing(journals: Path) -> None:
    Journal(journal.path(1, 1)).close()
    assert journal.read(1, 1, EVERYBODY) == {}
    assert journal.read(1, 2, EVERYBODY) is None


@pytest.mark.parametrize("torn", [b"", b"T", b"T12"])
def test_what_was_begun_after_its_end_was_not_sent_and_answers_count_still(journals: Path, torn: bytes) -> None:
    journals.mkdir()
    (journals / "1-1").write_bytes(b"T1\nS1\nT2\nT3\n" + torn)
    assert journal.end(1, 1)
    with (journals / "1-1").open("ab") as book:
        book.write(b"S2\nT4\n")
    assert journal.read(1, 1, EVERYBODY) == {1: Word.TAKEN, 2: Word.TAKEN, 3: Word.BEGUN}


def test_one_that_was_ended_begins_nothing_also_when_it_is_gone(journals: Path) -> None:
    book = Journal(journal.path(1, 1))
    book.begin(1)
    assert journal.end(1, 1)
    journal.remove(1, 1)
    for number in (2, 3):
        with pytest.raises(LeaseLost):
            book.begin(number)
    book.close()


def test_to_end_one_that_is_not_there_is_easy_and_one_that_cannot_be_written_is_not_certain(journals: Path) -> None:
    assert journal.end(1, 1)
    (journals / "1-1").mkdir(parents=True)
    assert not journal.end(1, 1)


def leave_room(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """The real write, under a real limit of the journal's size, which would stop the database as well."""
    write = os.write

    def limited(file: int, data: bytes) -> int:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            return write(file, data)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    monkeypatch.setattr("newsletters.journal.os.write", limited)


@pytest.mark.django_db
class TestWhereItCannotBeWritten:
    def test_nothing_is_sent_on_a_disk_that_is_full(
        self, letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        add_readers(city_news, 5)
        leave_room(monkeypatch, 0)
        assert_paused_without_blame(perform(letter), "cannot be written down here, so nothing is sent")
        assert smtp_server.received == []

    def test_nothing_is_sent_where_the_folder_cannot_be_made(
        self, letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, journals: Path
    ) -> None:
        add_readers(city_news, 5)
        journals.write_text("a file in its place")
        assert_paused_without_blame(perform(letter), "cannot be written down here, so nothing is sent")
        assert smtp_server.counts["mail"] == 0
        journals.unlink()
        assert perform(Issue.objects.get()).result == "5 sent."

    @pytest.mark.parametrize("room", range(40, 48))
    def test_a_disk_that_becomes_full_in_the_middle_loses_and_doubles_nobody(
        self, letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform,
        monkeypatch: pytest.MonkeyPatch, room: int,
    ) -> None:  # fmt: skip
        """Wherever the last line is cut off, also between the server's answer and the word about it."""
        readers = add_readers(city_news, 20)
        leave_room(monkeypatch, room)
        run = perform(letter)
        arrived = len(smtp_server.received)
        assert 0 < arrived < 20
        assert_paused_without_blame(run, "cannot be written down here, so nothing is sent", sent=arrived)
        monkeypatch.undo()
        assert perform(Issue.objects.get()).result == "20 sent."
        assert Counter(smtp_server.recipients) == Counter(reader.email for reader in readers)


@pytest.mark.django_db(transaction=True)
def test_it_names_nobody_and_is_gone_at_the_end(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, journals: Path
) -> None:
    add_readers(city_news, 8)
    seen: list[bytes] = []
    smtp_server.on_rcpt = lambda number, address: seen.extend(path.read_bytes() for path in journals.iterdir())
    assert perform(letter).result == "8 sent."
    assert seen[-1].count(b"\n") == 14
    assert set(b"".join(seen)) <= set(b"TSN0123456789\n")
    assert list(journals.iterdir()) == []
    assert not [path for path in open_files() if path.startswith(str(journals))], "none stays open"


def open_files() -> list[str]:
    files = Path("/proc/self/fd").iterdir()
    return [os.readlink(file) for file in files if file.is_symlink()]
