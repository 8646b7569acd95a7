"""A subscriber's own page and its verbs, and files of subscribers. GET shows, POST changes."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from newsletters import erasing, fields, services, subscriber_files, subscriber_history, subscribers, suppressions
from newsletters.models import List, Segment, Subscriber, Subscription, Suppression
from newsletters.subscriber_forms import EraseForm, ExportForm, LeaveForm, LiftForm, SuppressForm
from runs import form_errors, questions
from runs.pages import page

VIEW = "newsletters.view_subscriber"
Response = TypeVar("Response", bound=HttpResponseBase)
STATE_TONES = {Subscription.State.CONFIRMED: "good", Subscription.State.PENDING: "warn"}


@require_safe
def detail(request: HttpRequest, subscriber_id: int) -> HttpResponse:
    """Who they are, what they get and why, and everything that happened."""
    subscriber = _visible(request, subscriber_id, VIEW)
    typed = fields.all_fields()
    values = [(field.label, fields.in_words(field, subscriber.attributes.get(key))) for key, field in typed.items()]
    rows = list(subscriber.subscriptions.select_related("list"))
    suppression = suppressions.of(subscriber.email_norm).first()
    number = request.GET.get("page", "")
    history = subscriber_history.page_of(subscriber, int(number) if number.isascii() and number.isdigit() else 1)
    context = {
        "subscriber": subscriber,
        "values": values,
        "others": [(key, value) for key, value in subscriber.attributes.items() if key not in typed],
        "subscriptions": [(row, STATE_TONES.get(Subscription.State(row.state), "quiet")) for row in rows],
        "suppression": suppression,
        "is_reached": suppression is None and any(row.state == Subscription.State.CONFIRMED for row in rows),
        "history": history,
        "title": subscriber.name or subscriber.email,
    }
    return page(request, "newsletters/admin/subscriber.html", context)


@questions.by_post
def unsubscribe(request: HttpRequest, subscription_id: int) -> HttpResponse:
    """Says that only they can come back; then takes them off the list."""
    if not request.user.has_perm(subscribers.CHANGE):
        raise PermissionDenied
    row = get_object_or_404(Subscription.objects.select_related("subscriber", "list"), pk=subscription_id)
    back = _page_of(row.subscriber)
    if "reason" not in request.POST:
        context = {"row": row, "form": LeaveForm(), "title": f"Take {row.subscriber.email} off {row.list}"}
        return questions.ask(request, "newsletters/admin/leave.html", context, back=back)
    try:
        subscribers.unsubscribe(request.user, row.pk, request.POST["reason"].strip())
        messages.success(request, f"{row.subscriber.email} gets nothing of {row.list} any more.")
    except ValidationError as error:
        messages.info(request, " ".join(error.messages))
    return questions.leave(request, back)


@questions.by_post
def suppress(request: HttpRequest, subscriber_id: int) -> HttpResponse:
    """Asks why; then they get nothing at all."""
    subscriber = _visible(request, subscriber_id, "newsletters.add_suppression")
    form = SuppressForm(request.POST if "note" in request.POST else None)
    if form.is_bound and form.is_valid():
        services.suppress(request.user, subscriber.email, note=form.cleaned_data["note"])
        messages.success(request, f"{subscriber.email} gets no newsletter any more, whatever lists they are on.")
        return questions.leave(request, _page_of(subscriber))
    context = {"subscriber": subscriber, "form": form, "title": f"Send nothing to {subscriber.email}"}
    return questions.ask(request, "newsletters/admin/suppress.html", context, back=_page_of(subscriber))


@questions.by_post
def lift_suppression(request: HttpRequest, suppression_id: int) -> HttpResponse:
    """Says why it is there, asks why it should go; then the address may be written to again."""
    if not request.user.has_perm(suppressions.LIFT):
        raise PermissionDenied
    row = get_object_or_404(Suppression, pk=suppression_id)
    subscriber = Subscriber.objects.filter(email_norm=row.email_norm).first() if row.email_norm else None
    back = _page_of(subscriber) if subscriber else reverse("admin:newsletters_suppression_changelist")
    needs_word = row.reason in suppressions.ASKED_FOR
    form = LiftForm(request.POST if "reason" in request.POST else None, needs_word=needs_word)
    if form.is_bound and form.is_valid():
        data = form.cleaned_data
        try:
            suppressions.lift(request.user, row.pk, data["reason"], is_confirmed=data.get("is_confirmed", False))
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            messages.success(request, f"{row} may be written to again. It is on no further list by this.")
            return questions.leave(request, back)
    warning = suppressions.WARNINGS.get(Suppression.Reason(row.reason), "")
    context = {"suppression": row, "form": form, "warning": warning, "title": f"Write to {row} again"}
    return questions.ask(request, "newsletters/admin/lift.html", context, back=back)


@questions.by_post
def erase(request: HttpRequest, subscriber_id: int) -> HttpResponse:
    """Says what goes and what stays, and asks for the address once more; then they are gone."""
    subscriber = _visible(request, subscriber_id, erasing.ERASE)
    form = EraseForm(request.POST if "address" in request.POST else None)
    if form.is_bound and form.is_valid():
        try:
            erasing.erase(request.user, subscriber.pk, form.cleaned_data["address"])
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            messages.success(request, "They were erased. Nothing is sent to that address any more.")
            return questions.leave(request, reverse("admin:newsletters_subscriber_changelist"))
    context = {"subscriber": subscriber, "form": form, "title": f"Erase {subscriber.email} for good"}
    return questions.ask(request, "newsletters/admin/erase.html", context, back=_page_of(subscriber))


@require_POST
def personal_data(request: HttpRequest, subscriber_id: int) -> HttpResponse:
    """Everything we hold of them, to be handed to them."""
    subscriber = _visible(request, subscriber_id, subscribers.CHANGE)
    data = subscribers.export_person(request.user, subscriber.pk)
    response = JsonResponse(data, json_dumps_params={"indent": 2, "ensure_ascii": False, "default": str})
    return _as_file(response, f"personal data of subscriber {subscriber.pk}.json")


@require_POST
def export(request: HttpRequest) -> HttpResponseBase:
    """Subscribers as a file for a spreadsheet program, or for another installation."""
    if not subscriber_files.may_export(request.user):
        raise PermissionDenied
    form = ExportForm(request.POST)
    if form.is_valid():
        chosen: dict[str, Any] = form.cleaned_data
        of_list: List | None = chosen["of_list"]
        of_segment: Segment | None = chosen["of_segment"]
        try:
            lines = subscriber_files.export_subscribers(request.user, subscriber_files.Wanted(of_list, of_segment))
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
            return _as_file(response, f"subscribers {timezone.localdate()}.csv")
    return page(request, "newsletters/admin/export.html", {"form": form, "title": "Export subscribers"}, status=422)


def _as_file(response: Response, name: str) -> Response:
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _page_of(subscriber: Subscriber) -> str:
    return reverse("admin:newsletters_subscriber_detail", args=[subscriber.pk])


def _visible(request: HttpRequest, subscriber_id: int, permission: str) -> Subscriber:
    """The subscriber, if this person may; services check and record the same once more."""
    if not request.user.has_perm(permission):
        raise PermissionDenied
    return get_object_or_404(Subscriber, pk=subscriber_id)
