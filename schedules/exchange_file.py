"""Pure: the YAML of a file of schedules, with the line of everything in it. Knows no database.

Only the structure is read and every value is kept as it was typed: nothing in a file can become an object, and a
schedule called "on" or "2026" keeps its name.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

NULL = ""
"""A field that is there and empty."""
MOST_CHARACTERS = 20_000_000
HEADER = """\
# Schedules of Almanac. Names lead from here to newsletters, reports, policies and calendars, so these must exist first.
# Bring it in with: manage.py import_schedules FILE --dry-run
"""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where."""

    line: int
    schedule: str
    field: str
    words: str

    def __str__(self) -> str:
        where = ", ".join(part for part in (f"“{self.schedule}”" if self.schedule else "", self.field) if part)
        return f"line {self.line}: {where}: {self.words}" if where else f"line {self.line}: {self.words}"


class FileError(Exception):
    """The file cannot be taken; nothing of it was brought in."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class FileEntry:
    """One schedule of the file: what was typed for each field, and on which line."""

    name: str
    line: int
    values: Mapping[str, str]
    lines: Mapping[str, int]

    def text(self, name: str) -> str:
        return self.values.get(name, NULL).strip()

    def problem(self, name: str, words: str) -> Problem:
        return Problem(self.lines.get(name, self.line), self.name, name, words)


def write(rows: Sequence[Mapping[str, Any]]) -> str:
    """The file with these schedules."""
    body = yaml.dump(
        {"schedules": [dict(row) for row in rows]},
        Dumper=yaml.SafeDumper,
        sort_keys=False,
        allow_unicode=True,
        width=1000,
    )
    return HEADER + body


def read(text: str, fields: Sequence[str]) -> list[FileEntry]:
    """The schedules of a file. Raises FileError with every problem."""
    if len(text) > MOST_CHARACTERS:
        raise FileError([Problem(1, "", "", f"The file is longer than {MOST_CHARACTERS:,} characters.")])
    root = _compose(text)
    problems: list[Problem] = []
    entries: list[FileEntry] = []
    seen: dict[str, int] = {}
    for node in _items(root):
        entry = _entry(node, fields, problems)
        if entry is None:
            continue
        if entry.name in seen:
            said = f"The file names it twice; the first time on line {seen[entry.name]}."
            problems.append(entry.problem("name", said))
        seen.setdefault(entry.name, entry.line)
        entries.append(entry)
    if problems:
        raise FileError(problems)
    return entries


def _compose(text: str) -> yaml.Node:
    try:
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = f"This is no YAML: {error.problem or error.context}."
        hint = " Put quotes around a pattern that begins with a star." if "alias" in said else ""
        raise FileError([Problem(mark.line + 1 if mark else 1, "", "", said + hint)]) from error
    except yaml.YAMLError as error:
        raise FileError([Problem(1, "", "", f"This is no YAML: {error}.")]) from error
    if root is None:
        raise FileError([Problem(1, "", "", "The file is empty.")])
    return root


def _items(root: yaml.Node) -> list[yaml.Node]:
    """The list under ``schedules``."""
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if key.value == "schedules" and isinstance(value, yaml.SequenceNode):
                return list(value.value)
    raise FileError([Problem(_line(root), "", "", "The file must begin with “schedules:” and a list below it.")])


def _entry(node: yaml.Node, fields: Sequence[str], problems: list[Problem]) -> FileEntry | None:
    if not isinstance(node, yaml.MappingNode):
        problems.append(Problem(_line(node), "", "", "Each schedule is a list of fields, beginning with “- name: …”."))
        return None
    pairs = [(str(getattr(key, "value", "")), key, value) for key, value in node.value]
    name = next((str(value.value).strip() for key, _, value in pairs if key == "name" and _is_text(value)), "")
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    for key, key_node, value in pairs:
        line = _line(key_node)
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f" Did you mean “{near[0]}”?" if near else f" There are: {', '.join(fields)}."
            problems.append(Problem(line, name, "", f"There is no field “{key}”.{hint}"))
        elif key in values:
            problems.append(Problem(line, name, key, "It is given twice."))
        elif not isinstance(value, yaml.ScalarNode):
            problems.append(Problem(line, name, key, "Write one value, not a list."))
        else:
            values[key], lines[key] = NULL if _is_null(value) else str(value.value), line
    if not name:
        problems.append(Problem(_line(node), "", "name", "Give the schedule a name."))
        return None
    return FileEntry(name, _line(node), values, lines)


def _is_text(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not _is_null(node)


def _is_null(node: yaml.ScalarNode) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
