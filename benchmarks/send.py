"""How fast a newsletter goes out, from the run's start to the last row, against Django's and Postfix's own senders.

The same personalised mail of 25 KB with text and HTML goes to the same server on loopback, which throws it away: Postfix's
smtp-sink, or one that answers every command 5 ms later. Ours is a whole run on a PostgreSQL that syncs to disk: claims,
journal, durable state of each recipient. Django's is what send_mass_mail does: all mails over one connection, each built
by EmailMultiAlternatives. Postfix's smtp-source, in C, repeats one mail and knows no recipient.

The full run also sends to a million with a worker of two processes, and compares what a recipient costs then.

    python benchmarks/send.py [--quick]
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil

from benchmarks import one_run
from benchmarks.house import house, options, process, report
from tests.integration import mail_sink
from tests.integration.stack import free_port

PARAGRAPH = "<p>Hello {{ name|there }}, " + "what happens in town and why it matters to you. " * 20 + "</p>\n"
BODY = "<h1>News for {{ name|you }}</h1>\n" + PARAGRAPH * 11
FAR = 64
"""Connections to a server that is 5 ms away; 8 to one that is near, which is the default."""


def main() -> None:
    quick = options(__doc__ or "").quick
    os.environ |= {
        "SENDING_PROCESSES": "1", "PUBLIC_URL": "https://news.example.org",
        "SECRET_KEY": "only-for-this-benchmark-" + "x" * 30,
    }  # fmt: skip
    with house():
        from django.core.management import call_command

        call_command("collectstatic", interactive=False, verbosity=0)  # for the pages that are looked at meanwhile
        count = 4_000 if quick else 20_000
        with sink() as port:
            size = _size_of_a_mail()
            own = _own_rate(count, port, mode="strict", connections=8)
            report("send.rate", own.rate, "mails/s", mode="strict", processes=1, recipients=count, bytes=size)
            report("send.progress_cost_percent", own.progress_percent, "%")
            django = _django_rate(800 if quick else 4_000, port)
            report("send.rate_vs_send_mass_mail_0ms", own.rate / django, "times", theirs=round(django))
            postfix = _smtp_source_rate(count, port, size)
            report("send.one_process_vs_smtp_source", own.rate / postfix, "times", theirs=round(postfix))
            both = _worker_rate(count * 2, port).rate
            report("send.rate_vs_smtp_source", both / postfix, "times", processes=2, ours=round(both))
        with sink(milliseconds=5) as port:
            far = _own_rate(count // 2, port, mode="fast", connections=FAR)
            strict = _own_rate(count // 20, port, mode="strict", connections=8)
            django = _django_rate(60 if quick else 400, port)
            report(
                "send.rate_vs_send_mass_mail_5ms",
                far.rate / django,
                "times",
                mode="fast",
                connections=FAR,
                ours=round(far.rate),
                theirs=round(django),
            )
            report(
                "send.strict_rate_vs_send_mass_mail_5ms",
                strict.rate / django,
                "times",
                mode="strict",
                ours=round(strict.rate),
            )
        if not quick:
            with sink() as port:
                _a_million(port)


@contextmanager
def sink(*, milliseconds: float = 0) -> Iterator[int]:
    """A server that takes everything; near ones are Postfix's, which is written in C."""
    found = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if milliseconds or not found:
        with mail_sink.Running(None, milliseconds) as running:
            yield running.port
        return
    port = free_port()
    postfix = subprocess.Popen([found, "-u", "nobody", f"127.0.0.1:{port}", "200"], stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield port
    finally:
        postfix.kill()
        postfix.wait()


class Sent:
    """One run of ours."""

    def __init__(self, seconds: float, cpu: float, recipients: int, reporting: float) -> None:
        self.rate = recipients / seconds
        self.cpu_per_mail = cpu / recipients
        self.progress_percent = reporting / seconds * 100


def _own_rate(recipients: int, port: int, *, mode: str, connections: int) -> Sent:
    from django.test import override_settings

    from runs.tasks import RunContext
    from schedules.tasks import run_job

    run = _planned(recipients)
    reporting = [0.0]
    tell = RunContext.progress

    def timed(*arguments: Any, **named: Any) -> None:
        begun = time.perf_counter()
        tell(*arguments, **named)
        reporting[0] += time.perf_counter() - begun

    RunContext.progress = timed  # type: ignore[method-assign]
    try:
        with override_settings(
            SENDING_MODE=mode, SENDING_CONNECTIONS=connections, EMAIL_HOST="127.0.0.1", EMAIL_PORT=port
        ):
            begun, cpu = time.perf_counter(), time.process_time()
            run_job(run.pk)
            seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    finally:
        RunContext.progress = tell  # type: ignore[method-assign]
    run.refresh_from_db()
    assert run.result == f"{recipients} sent.", run.error or run.result
    return Sent(seconds, cpu, recipients, reporting[0])


def _planned(recipients: int) -> Any:
    """A newsletter to so many readers, and a run of it that nobody has performed yet."""
    from newsletters.models import List, Newsletter

    readers, _ = List.objects.get_or_create(slug=f"readers-{recipients}", defaults={"name": f"{recipients} readers"})
    _fill(readers.pk, recipients)
    letter, _ = Newsletter.objects.get_or_create(
        name=f"Letter to {recipients}",
        defaults={"subject": "News for {{ name|you }}", "format": "html", "body": BODY, "from_email": "desk@example.org"},
    )  # fmt: skip
    letter.lists.set([readers])
    return one_run.plan("newsletter", letter, "newsletters")


def _fill(list_id: int, recipients: int) -> None:
    """Readers and their places on the list, written by PostgreSQL itself."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO newsletters_subscriber (public_id, email, email_norm, name, attributes, language, soft_bounces, "
            "created_at) SELECT gen_random_uuid(), 'r' || n || '@example.org', 'r' || n || '@example.org', "
            "'Reader ' || n, '{}', '', 0, now() FROM generate_series(1, %s) n ON CONFLICT DO NOTHING",
            [recipients],
        )
        cursor.execute(
            "INSERT INTO newsletters_subscription (subscriber_id, list_id, state, created_at, source, consent_text) "
            "SELECT id, %s, 'confirmed', now(), '', '' FROM newsletters_subscriber ORDER BY id LIMIT %s ON CONFLICT DO NOTHING",
            [list_id, recipients],
        )
        cursor.execute("ANALYZE newsletters_subscriber, newsletters_subscription")


def _letters(number: int) -> Iterator[tuple[str, str, str, str]]:
    """(subject, text, HTML, address) as our own readers get them, filled in by Python's own replace."""
    frozen = _frozen()
    for index in range(number):
        name = f"Reader {index}"
        values = {"{{ name|you }}": name, "{{ name|there }}": name}
        for tag in ("unsubscribe_url", "preferences_url", "view_url"):
            values[f"{{{{ {tag} }}}}"] = f"https://news.example.org/{tag}/{'x' * 60}/{index}/"
        parts = []
        for part in (frozen.subject, frozen.text, frozen.html):
            for tag, value in values.items():
                part = part.replace(tag, value)
            parts.append(part)
        yield parts[0], parts[1], parts[2], f"r{index}@example.org"


def _frozen() -> Any:
    from newsletters import content

    return content.freeze(
        content.Source(
            subject="News for {{ name|you }}", body=BODY, title="Letter", list_names=["Readers"], format="html"
        )
    )


def _size_of_a_mail() -> int:
    from django.core.mail import EmailMultiAlternatives

    subject, text, html, address = next(_letters(1))
    mail = EmailMultiAlternatives(subject, text, "desk@example.org", [address])
    mail.attach_alternative(html, "text/html")
    return len(mail.message().as_bytes())


def _django_rate(number: int, port: int) -> float:
    from django.core.mail import EmailMultiAlternatives
    from django.core.mail.backends.smtp import EmailBackend

    def mails() -> Iterator[EmailMultiAlternatives]:
        for subject, text, html, address in _letters(number):
            headers = {
                "List-Unsubscribe": "<https://news.example.org/u/>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            }
            mail = EmailMultiAlternatives(subject, text, "desk@example.org", [address], headers=headers)
            mail.attach_alternative(html, "text/html")
            yield mail

    backend = EmailBackend(host="127.0.0.1", port=port)
    begun = time.perf_counter()
    backend.open()
    for mail in mails():  # as send_messages does, without all of them in memory
        assert backend.send_messages([mail]) == 1
    backend.close()
    return number / (time.perf_counter() - begun)


def _smtp_source_rate(number: int, port: int, size: int) -> float:
    """The best of one and of eight connections."""
    found = shutil.which("smtp-source", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert found is not None, "Postfix's smtp-source is needed: apt-get install postfix"
    rates = []
    for sessions in (1, 8):
        begun = time.perf_counter()
        command = [
            found, "-d", "-s", str(sessions), "-l", str(size), "-m", str(number), "-f", "desk@example.org", "-t",
            "r1@example.org", f"127.0.0.1:{port}",
        ]  # fmt: skip
        subprocess.run(command, check=True)
        rates.append(number / (time.perf_counter() - begun))
    return max(rates)


def _a_million(port: int) -> None:
    """While staff look at the issue's page."""
    small, large = _worker_rate(10_000, port), _worker_rate(1_000_000, port)
    early, late = max(large.memory[10:30] or [0]), max(large.memory[-20:])
    report("send.million_minutes", 1_000_000 / large.rate / 60, "min", processes=2, rate=round(large.rate))
    report(
        "send.rss_mb", max(large.memory) / 1e6, "MB", of="the largest process",
        late_vs_early=round(late / max(early, 1), 3),
    )  # fmt: skip
    report("send.page_ms_while_sending", statistics.median(large.pages) * 1000, "ms", looks=len(large.pages))
    report("send.cost_1m_vs_10k", small.rate / large.rate, "times")


def _worker_rate(recipients: int, port: int) -> _Seen:
    """A worker of two processes, which is the default, sends to so many."""
    os.environ |= {"EMAIL_URL": f"smtp://127.0.0.1:{port}", "SENDING_PROCESSES": "2"}
    run = _planned(recipients)
    arguments = ("worker", "--concurrency=2", "-Q", "newsletters", "--without-mingle")
    with process("scheduler_site", *arguments) as worker, _watched(worker.pid) as seen:
        one_run.wait_for(run, look_seconds=0.5)
    assert run.result == f"{recipients} sent.", run.error or run.result
    assert seen.pages, "no page was looked at"
    seen.rate = recipients / (run.finished_at - run.started_at).total_seconds()
    return seen


class _Seen:
    """What a worker did, and what staff saw meanwhile."""

    def __init__(self) -> None:
        self.rate = 0.0
        self.memory: list[int] = []
        self.pages: list[float] = []


@contextmanager
def _watched(worker: int) -> Iterator[_Seen]:
    seen, is_over = _Seen(), threading.Event()

    def watch() -> None:
        from django.contrib.auth.models import User
        from django.db import connection
        from django.test import Client

        client = Client()
        boss, _ = User.objects.get_or_create(username="boss", defaults={"is_staff": True, "is_superuser": True})
        client.force_login(boss)
        while not is_over.wait(1):
            seen.memory.append(
                max(child.memory_info().rss for child in psutil.Process(worker).children(recursive=True))
            )
            begun = time.perf_counter()
            assert (
                client.get("/admin/newsletters/issue/", secure=True, headers={"host": "localhost"}).status_code == 200
            )
            seen.pages.append(time.perf_counter() - begun)
        connection.close()

    thread = threading.Thread(target=watch, daemon=True)
    time.sleep(5)  # the worker starts
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


if __name__ == "__main__":
    main()
