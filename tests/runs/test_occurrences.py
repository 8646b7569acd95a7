"""Only the ledger decides what state a run is in; everything else asks it to."""

from __future__ import annotations

import ast
from pathlib import Path

import runs

HOUSE = Path(runs.__file__).parent.parent
LEDGER = {"runs/ledger.py", "runs/occurrences.py", "runs/rescue.py"}
APPS = ("runs", "schedules", "newsletters", "reports", "cleanup", "scheduler_site")
WRITES = {"update", "create", "get_or_create", "update_or_create"}


def writes_a_state(source: str) -> bool:
    """Whether a value of the runs' own ``State`` is given to a write of the ORM, or kept as one to be written."""
    tree = ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "runs.states"]
    if not any(name.name == "State" and name.asname is None for node in imports for name in node.names):
        return False
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            if any(given.arg == "state" and _is_state(given.value) for given in node.keywords):
                return True
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            if any(isinstance(key, ast.Constant) and key.value == "state" and _is_state(value) for key, value in pairs):
                return True
    return False


def _is_state(value: ast.expr) -> bool:
    return isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name) and value.value.id == "State"


def test_no_other_module_writes_the_state_of_a_run() -> None:
    files = [path for app in APPS for path in (HOUSE / app).rglob("*.py")]
    writers = {str(path.relative_to(HOUSE)) for path in files if writes_a_state(path.read_text(encoding="utf-8"))}
    assert writers == LEDGER
