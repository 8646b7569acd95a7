"""What a trusted sender must hold and no other file here shows: complaints in time, no tracking unasked, no way out of a text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings

from newsletters import bounces, content, erasing, imports, merge_fields, preparing
from newsletters.models import Delivery, ImportJob, List, Newsletter, Subscriber
from newsletters.source_errors import SourceError
from runs.models import Run
from schedules.tasks import run_job
from tests.newsletters.conftest import DUE, add_readers
from tests.newsletters.returned import mail, sent_to
from tests.newsletters.smtp_server import SmtpServer

Perform = Callable[..., Run]
pytestmark = pytest.mark.django_db


def test_a_complaint_about_the_last_issue_keeps_the_next_one_back(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, settings: Settings
) -> None:
    settings.BOUNCE_DOMAIN = "bounces.example.org"
    angry, calm = add_readers(city_news, 2)
    before = sent_to(angry, letter, at=DUE.replace(year=2025))
    issue = preparing.issue_for(letter, DUE)
    bounces.process(mail("arf-abuse", before))
    assert perform(letter).result == "1 sent, 1 left out."
    assert smtp_server.recipients == [calm.email]
    assert Delivery.objects.get(issue=issue, subscriber=angry).text == "The address is suppressed."


@pytest.mark.parametrize("tracking", ["off", "aggregate"])
def test_no_mail_has_a_hidden_picture_and_links_change_only_where_clicks_are_counted(
    letter: Newsletter, city_news: List, smtp_server: SmtpServer, perform: Perform, tracking: str
) -> None:
    add_readers(city_news, 1)
    Newsletter.objects.update(tracking=tracking)
    letter.refresh_from_db()
    perform(letter)
    html = smtp_server.received[0].body("html")
    assert "<img" not in html
    assert ('href="https://example.org/"' in html) == (tracking == "off")


def test_an_erased_address_stays_away_when_a_file_brings_it_back(city_news: List, settings: Settings) -> None:
    settings.LEASE_SECONDS = 3600
    gone = add_readers(city_news, 1, prefix="gone")[0]
    erasing.erase(None, gone.pk, gone.email)
    job = imports.upload_file(None, SimpleUploadedFile("readers.csv", b"mail\ngone0@example.org\nnew@example.org\n"))
    run = imports.check_file(
        None, job.pk, mapping=imports.mapping_of(job), lists=[city_news], update_existing=True, consent="Paper form"
    )
    run_job(run.pk)
    run_job(imports.start_import(None, job.pk).pk)
    job.refresh_from_db()
    assert (job.state, job.added, job.suppressed) == (ImportJob.State.DONE, 1, 1)
    assert list(Subscriber.objects.values_list("email", flat=True)) == ["new@example.org"]


@pytest.mark.parametrize(
    "body",
    [
        "{{ settings.SECRET_KEY }}", "{{ request }}", "{{ name.__class__ }}", "{{ cycler.__init__.__globals__ }}",
        '<mjml><mj-body><mj-include path="/etc/passwd" /></mj-body></mjml>',
    ],
)  # fmt: skip
def test_a_text_that_reaches_for_more_than_its_reader_is_refused(body: str) -> None:
    with pytest.raises(SourceError):
        merge_fields.check({"body": body})
        content.freeze(content.Source("S", body, "Letter", format="mjml" if "<mjml" in body else "markdown"))


@pytest.mark.parametrize(
    "body",
    [
        '{% include "/etc/passwd" %}', "{% debug %}", "${7*7}", "<% system('id') %>", "#{7*7}", "![](file:///etc/passwd)",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["markdown", "html"])
def test_other_languages_of_templates_stay_the_letters_they_are(body: str, kind: str, settings: Settings) -> None:
    try:
        frozen = content.freeze(content.Source("S", f"<p>Hi</p>{body}", "Letter", format=kind))
    except SourceError:
        return  # no HTML at all
    letter = content.Parts(frozen).fill({"name": "Ada", "email": "ada@example.org"})
    for said in (letter.html, letter.text):
        assert "root:" not in said and "49" not in said and "uid=" not in said and settings.SECRET_KEY not in said
