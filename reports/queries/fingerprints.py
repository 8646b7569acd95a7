"""The fingerprint of a query: what an approver agrees to, and what a report is bound to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


def fingerprint(sql: str, parameters: Sequence[Mapping[str, Any]]) -> str:
    """SHA-256 of the text together with its parameters; the same for the same, wherever it is counted."""
    said = json.dumps({"sql": sql, "parameters": list(parameters)}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()
