"""What a test of the harness returns, how large it is to be, and the tables that are printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Counts:
    """How often and for how long each fault is tried."""

    outages: tuple[float, ...] = (5,)
    """T1: seconds that the broker is away."""
    crashes: int = 5
    """T2: kills at each fail point."""
    forgotten: int = 20
    """T3: messages in the broker at each of its failures."""
    client_kill_seconds: float = 10
    freeze_seconds: float = 8
    """T4: how long one beat is stopped."""
    worker_kills: int = 3
    worker_runs: int = 300
    kill_every: float = 4
    """T5: seconds from one kill to the next."""
    network_modes: tuple[str, ...] = ("black hole",)
    network_seconds: float = 6
    lock_seconds: tuple[float, ...] = (8,)
    """T10: how long SQLite's write lock is held."""
    server_seconds: float = 2
    """T10: how long each of PostgreSQL's faults lasts."""
    terminations: int = 2
    starving_runs: int = 600
    starving_seconds: float = 3
    threads: int = 16
    edits: int = 5
    """T14: what each thread does."""
    examples: int = 100
    """T12: of each search."""
    recipients: int = 3_000
    sending_kills: int = 6
    pauses: int = 4
    """N2, N6: of the sending of one newsletter."""
    with_stock: bool = False
    """Whether the stock control is run as well."""
    is_alone: bool = False
    """Whether the database server is this run's own, so that it may be crashed."""


QUICK = Counts()
FULL = Counts(
    outages=(5, 60, 600),
    crashes=200,
    forgotten=500,
    client_kill_seconds=120,
    freeze_seconds=60,
    worker_kills=100,
    worker_runs=20_000,
    kill_every=10,
    network_modes=("black hole", "latency", "trickle", "cut"),
    network_seconds=30,
    lock_seconds=(8, 40),
    server_seconds=30,
    terminations=20,
    starving_runs=6000,
    starving_seconds=30,
    threads=100,
    edits=20,
    examples=10_000,
    recipients=100_000,
    sending_kills=50,
    pauses=100,
)


@dataclass(frozen=True)
class Result:
    """One row of the table."""

    id: str
    fault: str
    counts: str
    ours: Mapping[str, float]
    bar: str
    ok: bool
    stock: Mapping[str, float] | None = None
    notes: list[str] = field(default_factory=list)

    def row(self) -> str:
        """One line of a Markdown table."""
        stock = "–" if self.stock is None else words(self.stock)
        return f"| {self.id} | {self.fault} | {self.counts} | {words(self.ours)} | {stock} | {self.bar} | {'yes' if self.ok else '**no**'} |"


HEAD = "| test | fault | how often | ours | stock celery and django-celery-beat | bar | held |\n| --- | --- | --- | --- | --- | --- | --- |"


def words(figures: Mapping[str, float]) -> str:
    """Figures in one line: ``180 due, 0 lost, slowest 3.2 s``."""
    return ", ".join(_figure(name, value) for name, value in figures.items())


def _figure(name: str, value: float) -> str:
    if name.endswith("_s"):
        return f"{name[:-2].replace('_', ' ')} {value:.1f} s"
    return f"{value:g} {name.replace('_', ' ')}"
