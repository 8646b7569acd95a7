from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import Client, RequestFactory

from reports import links, recipients, share_links
from reports.models import ReportDefinition, ReportDelivery, ReportRun
from runs import clock
from tests.reports.mail_house import House, goes_to

Staff = Callable[..., User]


@pytest.fixture
def report_run(house: House, define: Callable[..., ReportDefinition]) -> ReportRun:
    definition = define()
    goes_to(definition, "kim@partner.example", "bad@partner.example", "x@elsewhere.example")
    house.server.on_rcpt = lambda number, address: "550 5.1.1 No such user" if address.startswith("bad") else None
    return house.send(definition)


def shown(template: str, report_run: ReportRun, user: User) -> str:
    request = RequestFactory().get("/")
    request.user = user
    from django.contrib.auth.context_processors import auth

    return render_to_string(template, {"report_run": report_run, "request": request, **auth(request)})


def test_staff_see_who_got_it_and_why_somebody_did_not(report_run: ReportRun, staff: Staff) -> None:
    page = shown("reports/_deliveries.html", report_run, staff("ann", "reports.run_report"))
    assert page.index("bad@partner.example") < page.index("x@elsewhere.example") < page.index("kim@partner.example")
    assert "550 5.1.1 No such user" in page and recipients.OTHER_DOMAIN in page and "Mail it again" in page
    assert "Mail it again" not in shown("reports/_deliveries.html", report_run, staff("ben"))


def test_staff_see_who_has_links_and_only_some_may_take_them_back(report_run: ReportRun, staff: Staff) -> None:
    editor, viewer = staff("editor", share_links.PERMISSION), staff("viewer", "reports.view_artefact")
    assert "al-button-danger" in shown("reports/_links.html", report_run, editor)
    page = shown("reports/_links.html", report_run, viewer)
    assert "kim@partner.example" in page and "nothing taken yet" in page and "al-button-danger" not in page
    share_links.revoke_link(editor, report_run.links.get().pk)
    page = shown("reports/_links.html", report_run, editor)
    assert "Taken back" in page and "by editor" in page and "al-button-danger" not in page


def test_a_link_whose_time_is_over_is_said_to_be(report_run: ReportRun, staff: Staff) -> None:
    report_run.links.update(expires_at=clock.now() - timedelta(days=1))
    page = shown("reports/_links.html", report_run, staff("editor", share_links.PERMISSION))
    assert ">Over<" in page and "al-button-danger" not in page


def test_the_lists_cost_the_same_for_many_as_for_few(
    report_run: ReportRun, staff: Staff, django_assert_max_num_queries: Any
) -> None:
    ann = staff("ann")
    for number in range(300):
        ReportDelivery.objects.create(
            report_run=report_run, channel="mail", address=f"r{number}@partner.example", state="sent"
        )
    with django_assert_max_num_queries(12):
        page = shown("reports/_deliveries.html", report_run, ann) + shown("reports/_links.html", report_run, ann)
    assert "And 203 more, whom it reached" in page


def test_the_page_of_the_report_shows_both(
    report_run: ReportRun, staff: Staff, sign_in: Callable[[User], Client]
) -> None:
    boss = User.objects.create_superuser("boss")
    page = sign_in(boss).get(links.page_of(report_run)).content.decode()
    assert "Who got it" in page and "Links outside" in page
