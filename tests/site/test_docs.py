"""What the docs name is there: files and what is in them, commands and their options, settings, kinds of jobs, patterns."""

from __future__ import annotations

import importlib
import re
import runpy
import shlex
import sys
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.core.management import get_commands, load_command_class

from runs import job_kinds
from scheduler_site.environment import Environment
from schedules import cron, kinds, phrases

ROOT = Path(__file__).parents[2]
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))}
EVERYTHING = "\n".join(PAGES.values())
OPERATIONS = PAGES["docs/operations.md"]
APPS = ("runs", "schedules", "newsletters", "reports", "cleanup", "scheduler_site")
NOT_OURS = {"migrate", "loaddata", "collectstatic", "createsuperuser", "check"}
SHALL_NOT_BE = {"utils.py"}
READ_ELSEWHERE = {"PORT", "ADMIN_PASSWORD"}
"""By ``manage.py up``, which needs them before there are settings."""
NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


def quoted(text: str) -> list[str]:
    """What stands between back-ticks, blocks of code left out."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S))


def code(page: str) -> list[str]:
    """The blocks of Python on the page."""
    return re.findall(r"```python\n(.*?)```", PAGES[page], re.S)


def first_cells(text: str) -> list[str]:
    """What is quoted in the first column of its tables."""
    return [name for cell in re.findall(r"^\| (`[^|]*) \|", text, re.M) for name in quoted(cell)]


def missing_file(named: str) -> bool:
    """Whether it looks like a path of ours, or ``path.py:name``, and is not there."""
    path, _, name = named.partition(":")
    has_ending = re.fullmatch(r"[\w./-]+\.(py|md|html|json|toml|txt|png)", path) is not None
    if path.startswith("/"):  # an address of the site
        return False
    if "/" not in path:
        spread = [one for app in APPS for one in (ROOT / app).rglob(path)] if has_ending else []
        return has_ending and not spread and not (ROOT / path).exists() and path not in SHALL_NOT_BE
    if not has_ending and not (re.fullmatch(r"[\w./-]+", path) and (ROOT / path.split("/")[0]).exists()):
        return False
    if not (ROOT / path).exists():
        return True
    return bool(name) and not re.search(
        rf"^(?:async )?(?:def|class) {name}\b|^{name}\b.*=", (ROOT / path).read_text(), re.M
    )


def unknown_name(dotted: str) -> bool:
    """Whether it looks like something in our code (``runs.clock.now()``), a model or a permission, and is not."""
    match = re.fullmatch(rf"((?:{'|'.join(APPS)})(?:\.\w+)+)(?:\(.*\))?", dotted)
    if match is None or match[1].rpartition(".")[2] in ("py", "md"):
        return False
    app, _, rest = match[1].partition(".")
    labels = {model._meta.label for model in apps.get_models(include_auto_created=True)}
    if match[1] in labels:
        return False
    found: Any = importlib.import_module(app)
    for name in rest.split("."):
        try:
            found = getattr(found, name, None) or importlib.import_module(f"{found.__name__}.{name}")
        except (ImportError, AttributeError):
            return True
    return False


@pytest.mark.parametrize("page", PAGES)
def test_files_and_names_are_there(page: str) -> None:
    assert [named for named in quoted(PAGES[page]) if missing_file(named)] == []
    if page != "docs/benchmarks.md":  # its figures look like names: cleanup.rate
        assert [named for named in quoted(PAGES[page]) if unknown_name(named)] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page]):
        path, _, place = target.partition("#")
        if path.startswith("http"):
            continue
        file = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert file.exists(), target
        heads = re.findall(r"^#+ (.*)$", file.read_text(), re.M) if place else []
        slugs = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
        assert not place or place in slugs, target


def commands() -> Iterator[tuple[str, list[str]]]:
    """(command, the words behind it) wherever the docs write ``manage.py``."""
    lines = [line for block in re.findall(r"```\n(.*?)```", EVERYTHING, re.S) for line in block.splitlines()]
    for line in [*lines, *quoted(EVERYTHING)]:
        said = re.search(r"(?:^|[/ ])manage\.py ([a-z_]+)(.*)", line.replace("\\|", "|"))
        if said is not None:
            yield said[1], shlex.split(re.sub(r"[\[\]]|\$\{.*?\}", " ", said[2].partition("#")[0]))


def choices_of(parser: ArgumentParser) -> dict[str, ArgumentParser]:
    """The verbs of a command that has some."""
    return {
        name: one for action in parser._actions if isinstance(action, _SubParsersAction)
        for name, one in action.choices.items()
    }  # fmt: skip


def test_commands_and_their_options_are_there() -> None:
    found = list(commands())
    assert len(found) > 20
    for name, words in found:
        assert name in get_commands(), f"manage.py {name}"
        if name in NOT_OURS:
            continue
        parser = load_command_class(str(get_commands()[name]), name).create_parser("manage.py", name)
        verbs = choices_of(parser)
        if verbs and words:
            named = next((word for word in words if set(word.split("|")) <= set(verbs)), "")
            assert named, f"manage.py {name} has no verb of {words}"
            used = [parser, *(verbs[verb] for verb in named.split("|"))]
        else:
            used = [parser]
        known = {option for one in used for option in one._option_string_actions}
        assert [word for word in words if word.startswith("--") and word not in known] == [], f"manage.py {name}"


def test_operations_name_every_command_of_ours() -> None:
    ours = {name for name, app in get_commands().items() if str(app) in APPS}
    assert ours and ours <= {name for name, _ in commands()}
    assert ours <= set(re.findall(r"manage\.py (\w+)", OPERATIONS))


def test_make_knows_its_targets() -> None:
    named = {
        target for said in quoted(EVERYTHING) if (match := re.fullmatch(r"make (\w+)", said)) for target in [match[1]]
    }
    assert named and named <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))


def test_operations_list_exactly_the_settings_that_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()
    read = Environment.text

    def text(self: Environment, name: str, default: str = "") -> str:
        asked.add(name)
        return read(self, name, default)

    monkeypatch.setattr(Environment, "text", text)
    runpy.run_path(str(ROOT / "scheduler_site" / "settings.py"))
    listed = {name.removesuffix("_FILE") for name in first_cells(OPERATIONS) if re.fullmatch(r"[A-Z_]{4,}", name)}
    assert listed == asked | READ_ELSEWHERE
    assert {name for name in first_cells(PAGES["README.md"]) if name.isupper()} <= listed


def test_every_kind_of_job_is_on_its_page_with_its_queue() -> None:
    rows = re.findall(r"^\| (`.*?) \|.*\| (\w+) \|$", PAGES["docs/job-kinds.md"], re.M)
    told = {key: queue for keys, queue in rows for key in quoted(keys)}
    assert told == {one.key: one.queue for one in job_kinds.known() if one.key in kinds._registry}


def test_the_example_of_a_kind_can_be_registered() -> None:
    names: dict[str, Any] = {}
    exec(code("docs/job-kinds.md")[0], names)
    try:
        names["register"]()
        made = kinds.get("backup")
        assert made.is_schedulable and made.describe_impact(SimpleNamespace(tables=[1, 2])) == "Copies 2 tables"  # type: ignore[arg-type]
    finally:
        kinds._registry.pop("backup", None)
        job_kinds._known.pop("backup", None)


def test_the_example_of_a_data_set_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "visits", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "visits.models", SimpleNamespace(Visit=object))
    names: dict[str, Any] = {}
    exec(code("docs/data-sets.md")[0], names)
    assert [column.name for column in names["VISITS"].columns] == ["at", "page", "kind", "seconds"]


def test_patterns_are_read_as_the_page_says() -> None:
    page = PAGES["docs/cron.md"]
    patterns = {
        said
        for said in quoted(page)
        if re.fullmatch(r"(?:[\w*/,#-]+ ){4}[\w*/,#-]+", said) and re.match(r"[\d*]", said)
    }
    assert len(patterns) > 15
    for pattern in patterns | set(re.findall(r"`(@\w+)`", page)):
        assert cron.parse(pattern, "Europe/Berlin").upcoming(NOW, 1), pattern


def test_words_are_read_as_the_page_says() -> None:
    rows = re.findall(
        r"^\| (`[a-z0-9].*?) \| (.*) \|$", PAGES["docs/cron.md"].partition("| words |")[2].partition("\n\n")[0], re.M
    )
    assert len(rows) > 7
    for cell, meaning in rows:
        for words in quoted(cell):
            if words.startswith("…"):
                words = f"every Monday at 9 {words.removeprefix('…').strip()}"
            if meaning.startswith("refused"):
                with pytest.raises(phrases.PhraseError):
                    phrases.parse(words, now=NOW, timezone="UTC")
            else:
                assert phrases.parse(words, now=NOW, timezone="UTC").words, words


def test_every_dependency_says_what_for() -> None:
    said = PAGES["CONTRIBUTING.md"].partition("## Every dependency")[2].lower()
    for file in ("requirements.txt", "requirements-dev.txt"):
        chosen = (ROOT / file).read_text().partition("\n\n")[0]
        for name in re.findall(r"^([\w.-]+)", chosen, re.M):
            short = name.lower().replace("_", "-")
            assert short in said or short.replace("pytest-", "-") in said, name
