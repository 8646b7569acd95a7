"""The registry of job kinds: domain apps announce here what they can do, so schedules imports none of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from django.apps import apps
from django.db import models
from django.utils.module_loading import import_string

from runs import job_kinds, services
from runs.tasks import RunContext


@dataclass(frozen=True)
class PolicyDefaults:
    """What a new schedule of the kind starts with; staff may change each."""

    missed: str = "latest"
    start_deadline_seconds: int | None = 3600
    overlap: str = "skip"
    time_limit_seconds: int = 3600
    retries: int = 0


@dataclass(frozen=True)
class JobKind:
    """One kind of job that a schedule, a person or an event can start."""

    key: str
    """Stable identifier, stored in schedules and runs."""
    label: str
    """What staff read: "Newsletter"."""
    perform: Callable[[RunContext], str]
    """Does the job in a worker and returns the result in one line; raises JobFailed in words."""
    icon: str = "bolt"
    """Material symbol shown beside the name."""
    target_model: str = ""
    """The model staff choose from, as "app_label.ModelName"; empty for jobs started by events only."""
    is_offered: bool = True
    """Whether staff may choose it for a schedule."""
    queue: str = "default"
    most_per_hour: int = 0
    """A schedule that runs more often within an hour is pointed out before it is saved; 0 for never."""
    describe_impact: Callable[[models.Model], str] = field(default=lambda target: "")
    """What running it now would do, in words: "Sends to 200 subscribers of City news"."""
    tells_who_asked: bool = False
    """Whether the job itself tells whoever ran it by hand when it is ready, as long as its parameter ``tell_me`` is not
    False; the question before such a run then asks for it."""
    admin_permission: str = ""
    """Permission (app.codename) needed, besides run_now, to schedule or start this kind."""
    defaults: PolicyDefaults = field(default_factory=PolicyDefaults)

    @property
    def is_schedulable(self) -> bool:
        return bool(self.target_model)

    def targets(self) -> models.QuerySet[models.Model]:
        """Everything of this kind that staff may put on a schedule."""
        rows: models.QuerySet[models.Model] = apps.get_model(self.target_model)._default_manager.all()
        return rows

    def target(self, target_id: int | None) -> models.Model | None:
        """The target with this number, or None when it was deleted."""
        if not self.target_model or target_id is None:
            return None
        return self.targets().filter(pk=target_id).first()


def later(path: str) -> Callable[..., str]:
    """The function of this dotted name, imported when it is first called.

    Beats and web processes know every kind and perform none: they need not hold what jobs are made of.
    """

    def call(*arguments: object) -> str:
        function: Callable[..., str] = import_string(path)
        return function(*arguments)

    call.__qualname__ = path
    return call


class UnknownKind(LookupError):
    """No installed app registered this kind of job."""


_registry: dict[str, JobKind] = {}


def register(kind: JobKind) -> None:
    """Adds a kind; registering the same key again replaces it (apps are loaded more than once in tests)."""
    _registry[kind.key] = kind
    job_kinds.announce(kind.key, kind.label, kind.queue)
    if kind.admin_permission:
        services.require_for_kind(kind.key, kind.admin_permission)


def get(key: str) -> JobKind:
    """The kind with this key. Raises UnknownKind."""
    try:
        return _registry[key]
    except KeyError:
        raise UnknownKind(key) from None


def find(key: str) -> JobKind | None:
    """The kind with this key, or None where no installed app registered it."""
    return _registry.get(key)


def schedulable() -> Iterable[JobKind]:
    """The kinds that staff can put on a schedule, in the order they were registered."""
    return [kind for kind in _registry.values() if kind.is_schedulable and kind.is_offered]


def of_model(model: type[models.Model]) -> list[JobKind]:
    """The kinds that run rows of this model."""
    label = model._meta.label_lower
    return [kind for kind in _registry.values() if kind.target_model.lower() == label]


def find_targets(wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], models.Model]:
    """The targets of many (kind, target number) pairs: one query per kind. Those that no longer exist are left out."""
    return {(key, target.pk): target for key, rows in _by_kind(wanted) for target in rows}


def existing(wanted: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those of the (kind, target number) pairs that exist: one query per kind, which reads no more than the numbers."""
    return {(key, pk) for key, rows in _by_kind(wanted) for pk in rows.values_list("pk", flat=True)}


def _by_kind(wanted: Iterable[tuple[str, int]]) -> Iterator[tuple[str, models.QuerySet[models.Model]]]:
    numbers: dict[str, set[int]] = defaultdict(set)
    for key, target_id in wanted:
        numbers[key].add(target_id)
    for key, target_ids in numbers.items():
        kind = find(key)
        if kind is not None and kind.is_schedulable:
            yield key, kind.targets().filter(pk__in=target_ids)
