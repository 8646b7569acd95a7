from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client
from django.urls import reverse

from reports import services, share_links, storage, unsubscribing
from reports.drafts import ReportDraft
from reports.models import Artefact, DownloadEvent, ReportDefinition, ReportRecipient, ReportRun, ShareLink
from runs import clock
from runs.models import AuditEntry, Notice
from scheduler_site import logged_tokens
from tests.reports.mail_house import PUBLIC_URL, House, goes_to

Define = Callable[..., ReportDefinition]


@pytest.fixture
def report(house: House, define: Define) -> ReportRun:
    """One that was mailed to somebody outside."""
    definition = define()
    goes_to(definition, "kim@partner.example")
    return house.send(definition)


@pytest.fixture
def page(house: House, report: ReportRun) -> str:
    """The address in the mail, as whoever got it would open it."""
    found = re.search(rf"{PUBLIC_URL}(/reports/get/\S+/)", house.to("kim@partner.example")[0].body("plain"))
    assert found is not None
    return found[1]


@pytest.fixture
def guest() -> Client:
    return Client(enforce_csrf_checks=True)


def press(guest: Client, page: str, artefact: Artefact | None = None) -> Any:
    """What the button of the page does."""
    return guest.post(page, {"file": str((artefact or Artefact.objects.get()).key)})


def body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def test_the_page_shows_what_there_is_and_the_button_gives_the_file(guest: Client, page: str) -> None:
    artefact = Artefact.objects.get()
    shown = guest.get(page)
    text = shown.content.decode()
    assert shown.status_code == 200 and "Numbers" in text and "9 to 15 November 2026, Europe/Berlin" in text
    assert "7 rows" in text and artefact.file_name in text and "Download" in text
    answer = press(guest, page)
    assert answer.status_code == 303
    file = guest.get(answer["Location"])
    assert body(file) == storage.path_of(artefact.key).read_bytes()
    assert file["ETag"] == f'"{artefact.sha256}"' and "attachment" in file["Content-Disposition"]
    event = DownloadEvent.objects.get()
    assert (event.link, event.user, event.artefact) == (ShareLink.objects.get(), None, artefact)


def test_looking_consumes_and_changes_nothing(guest: Client, page: str) -> None:
    before = ShareLink.objects.values().get()
    for _ in range(50):  # a mail scanner, or fifty
        assert guest.get(page).status_code == 200
        head = guest.head(page)
        assert (head.status_code, head.content) == (200, b"")
    assert ShareLink.objects.values().get() == before
    assert not DownloadEvent.objects.exists() and not AuditEntry.objects.filter(was_refused=True).exists()
    assert press(guest, page).status_code == 303
    assert not DownloadEvent.objects.exists(), "the button only leads to the file"


def test_a_broken_download_goes_on_where_it_stopped(guest: Client, page: str) -> None:
    artefact = Artefact.objects.get()
    data = storage.path_of(artefact.key).read_bytes()
    url = press(guest, page)["Location"]
    rest = guest.get(url, headers={"Range": f"bytes={len(data) // 2}-", "If-Range": f'"{artefact.sha256}"'})
    assert rest.status_code == 206 and body(rest) == data[len(data) // 2 :]
    assert guest.head(url)["Accept-Ranges"] == "bytes"
    (event,) = DownloadEvent.objects.all()
    assert event.byte_range == f"{len(data) // 2}-{len(data) - 1}"


def test_the_page_brings_no_script_no_cookie_and_tells_no_other_site_where_it_is(guest: Client, page: str) -> None:
    answers = [guest.get(page), press(guest, page), guest.get("/reports/get/nothing-of-ours/")]
    answers.append(guest.get(answers[1]["Location"]))
    for answer in answers:
        assert answer["Referrer-Policy"] == "no-referrer", "a token never goes into a Referer"
        assert "noindex" in answer["X-Robots-Tag"] and "no-store" in answer["Cache-Control"]
        assert "default-src 'none'" in answer["Content-Security-Policy"] and not answer.cookies
    text = answers[0].content.decode()
    assert "<script" not in text and " onclick=" not in text and " style=" not in text
    token = page.split("/")[3]
    assert token not in answers[1]["Location"], "the address of the file is another, which dies soon"
    assert not re.search(r'(?:src|href)="https?://', text), "nothing there leads elsewhere"


@pytest.mark.parametrize(
    "case", ["unknown", "cut", "changed", "expired", "revoked", "gone", "deleted", "other key", "signature"]
)
def test_what_does_not_open_looks_the_same_whatever_the_reason(
    guest: Client, page: str, settings: Any, case: str
) -> None:
    past = clock.now() - timedelta(seconds=1)
    token = page.split("/")[3]
    match case:
        case "unknown":
            page = "/reports/get/" + "x" * 43 + "/"
        case "cut":
            page = f"/reports/get/{token[:-1]}/"
        case "changed":
            page = f"/reports/get/{token[:10]}{'a' if token[10] != 'a' else 'b'}{token[11:]}/"
        case "expired":
            ShareLink.objects.update(expires_at=past)
        case "revoked":
            share_links.revoke_link(None, ShareLink.objects.get().pk)
        case "gone":
            Artefact.objects.update(deleted_at=past)
        case "deleted":
            ShareLink.objects.all().delete()
        case "other key":
            settings.SECRET_KEY = "another-key-another-key-another-key-another"
        case "signature":
            page = f"/reports/get/{signing.Signer().sign('1')}/"
    never_was = guest.get("/reports/get/never-was/")
    for answer in (guest.get(page), press(guest, page)):
        assert answer.status_code == 404 and answer.content == never_was.content
        assert dict(answer.headers) == dict(never_was.headers) | {"Expires": answer["Expires"]}
    assert guest.head(page).status_code == 404


def test_a_link_survives_a_new_secret_key_as_long_as_the_old_one_is_kept(
    guest: Client, page: str, settings: Any
) -> None:
    url = press(guest, page)["Location"]
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key-another-key-another-key-another"
    assert guest.get(page).status_code == 200 and guest.get(url).status_code == 200


def test_a_file_of_another_report_is_not_handed_out(guest: Client, page: str, house: House, define: Define) -> None:
    other = house.make(define(name="Secret"))
    theirs = Artefact.objects.get(report_run__run_id=other.pk)
    link = ShareLink.objects.get()
    assert press(guest, page, theirs).status_code == 404
    forged = reverse("reports:link_file", args=[share_links.file_token(link, theirs)])
    assert guest.get(forged).status_code == 404, "not even with a good signature"
    assert guest.get(f"/admin/reports/artefact/{Artefact.objects.first().key}/download/").status_code == 302  # type: ignore[union-attr]


def test_a_link_that_was_taken_back_ends_its_downloads_as_well(guest: Client, page: str) -> None:
    url = press(guest, page)["Location"]
    assert guest.get(url).status_code == 200
    share_links.revoke_link(None, ShareLink.objects.get().pk)
    assert guest.get(url, headers={"Range": "bytes=5-"}).status_code == 404


def test_the_address_of_a_file_dies_soon_and_is_good_for_nothing_else(
    guest: Client, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = press(guest, page)["Location"]
    token = url.split("/")[3]
    assert guest.get(f"/reports/get/{token}/").status_code == 404
    assert guest.get(f"/reports/leave/{token}/").status_code == 404
    monkeypatch.setattr(share_links, "FILE_SECONDS", -1)
    assert guest.get(url).status_code == 404


@pytest.mark.parametrize("damage", ["", "1", "1.2.3.4", "\x00", "١.abc:def", "9" * 30 + ".x"])
def test_nonsense_for_a_token_is_simply_not_there(guest: Client, report: ReportRun, damage: str) -> None:
    signed = signing.TimestampSigner(salt=share_links._FILE, sep=".").sign(damage)
    for name in ("link", "link_file", "leave"):
        for token in (damage, signed):
            if token:
                assert guest.get(reverse(f"reports:{name}", args=[token])).status_code == 404


def test_floods_are_slowed_down_per_link_and_per_address(
    guest: Client, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_links, "PER_ADDRESS", 3)
    url = press(guest, page)["Location"]
    answers = [guest.get(url).status_code for _ in range(5)]
    assert answers == [200, 200, 200, 429, 429] and DownloadEvent.objects.count() == 3
    refused = guest.get(url)
    assert 0 < int(refused["Retry-After"]) <= 600 and "too often" in refused.content.decode()
    elsewhere = Client(REMOTE_ADDR="203.0.113.7")
    assert elsewhere.get(url).status_code == 200, "somebody elsewhere is not held up"
    monkeypatch.setattr(share_links, "PER_LINK", 4)
    assert elsewhere.get(url).status_code == 429
    DownloadEvent.objects.update(at=clock.now() - timedelta(hours=2))
    assert guest.get(url).status_code == 200, "waiting always helps"


def test_guessing_yields_nothing_and_costs_one_look(
    guest: Client, report: ReportRun, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(2):
        assert guest.get("/reports/get/" + "A" * 43 + "/").status_code == 404
    answers = {guest.get(f"/reports/get/{number:043d}/").status_code for number in range(200)}
    assert answers == {404} and not AuditEntry.objects.filter(was_refused=True).exists()


def test_the_token_is_stored_nowhere_and_logged_nowhere(
    guest: Client, page: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = page.split("/")[3]
    assert token not in str(list(ShareLink.objects.values())) and len(ShareLink.objects.get().token_hash) == 64
    share_links.revoke_link(None, ShareLink.objects.get().pk)
    with caplog.at_level(logging.DEBUG):
        caplog.handler.addFilter(logged_tokens.HideTokens())
        assert guest.get(page).status_code == 404
    logged = [record.getMessage() for record in caplog.records if record.name == "django.request"]
    assert logged == ["Not Found: /reports/get/…/"]


def test_staff_take_a_link_back_and_it_is_on_record(
    page: str, guest: Client, staff: Callable[..., User], sign_in: Callable[[User], Client]
) -> None:
    link = ShareLink.objects.get()
    url = reverse("admin:reports_sharelink_revoke", args=[link.pk])
    viewer, editor = staff("viewer", "reports.view_artefact"), staff("editor", "reports.change_reportdefinition")
    assert sign_in(viewer).post(url).status_code == 403 and guest.get(page).status_code == 200
    assert sign_in(editor).get(url).status_code == 405
    assert sign_in(editor).post(url).status_code == 302 and guest.get(page).status_code == 404
    entry = AuditEntry.objects.get(action="took a link back")
    assert (entry.actor_name, entry.after) == ("editor", {"address": "kim@partner.example"})
    again = sign_in(editor).post(url, follow=False)
    assert again.status_code == 302 and AuditEntry.objects.filter(action="took a link back").count() == 1


def test_leaving_takes_a_button_or_one_click_of_a_mail_program(
    house: House, report: ReportRun, define: Define, guest: Client, staff: Callable[..., User]
) -> None:
    owner = staff("olga")
    ReportDefinition.objects.update(owner=owner)
    (line,) = house.to("kim@partner.example")[0].header_lines("List-Unsubscribe")
    url = line.decode().partition("<")[2].rstrip(">").removeprefix(PUBLIC_URL)
    for _ in range(3):
        assert "No more mails of “Numbers”?" in guest.get(url).content.decode()
    assert ReportRecipient.objects.get().unsubscribed_at is None
    answer = guest.post(url, {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200 and "You get no more of these mails" in answer.content.decode()
    at = ReportRecipient.objects.get().unsubscribed_at
    assert at is not None
    assert guest.post(url).status_code == 200 and ReportRecipient.objects.get().unsubscribed_at == at
    assert str(Notice.objects.get(user=owner)) == "kim@partner.example asked for no more mails of “Numbers”."
    assert AuditEntry.objects.filter(action="a recipient unsubscribed from the report").count() == 1
    report.definition.refresh_from_db()  # type: ignore[union-attr]
    later = house.send(report.definition)  # type: ignore[arg-type]
    assert len(house.to("kim@partner.example")) == 1
    assert later.deliveries.get().why == "Asked for no more mails of this report."
    assert Notice.objects.filter(user=owner).count() == 1, "their wish is no trouble"


def test_whoever_left_may_come_back_and_nobody_else_may_bring_them(
    house: House, report: ReportRun, guest: Client, define: Define
) -> None:
    recipient = ReportRecipient.objects.get()
    url = reverse("reports:leave", args=[unsubscribing.token_of(recipient.pk)])
    guest.post(url)
    assert "I want them after all" in guest.get(url).content.decode()
    assert "You get these mails again" in guest.post(url, {"do": "come-back"}).content.decode()
    recipient.refresh_from_db()
    assert recipient.unsubscribed_at is None
    assert AuditEntry.objects.filter(action="a recipient wants the report again").count() == 1
    house.send(ReportDefinition.objects.get())
    assert len(house.to("kim@partner.example")) == 2


def test_the_links_of_an_address_that_is_taken_away_end(report: ReportRun, guest: Client) -> None:
    definition = ReportDefinition.objects.get()
    link = ShareLink.objects.get(address="kim@partner.example")
    services.edit_definition(None, definition.pk, replace(ReportDraft.of(definition), recipient_addresses=()))
    link.refresh_from_db()
    assert link.revoked_at is not None and not definition.recipients.exists()


def test_a_token_for_leaving_that_is_not_ours_changes_nothing(guest: Client, report: ReportRun) -> None:
    token = unsubscribing.token_of(ReportRecipient.objects.get().pk)
    for wrong in (token[:-1], "1." + token.split(".")[1] + "x", token.split(".")[0]):
        assert guest.post(reverse("reports:leave", args=[wrong])).status_code == 404
    assert ReportRecipient.objects.get().unsubscribed_at is None
