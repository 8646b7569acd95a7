"""Keyed hashes (HMAC-SHA256): one purpose's hash says nothing about another's.

Each mail holds four of them, so the key of a purpose is derived once and not for every hash.
"""

from __future__ import annotations

import functools
import hashlib
import hmac


def digest(purpose: bytes, key: str, value: str) -> bytes:
    """The hash of the value for this purpose, under one of the installation's keys."""
    return hmac.digest(_derived(purpose, key), value.encode(), "sha256")


@functools.lru_cache(maxsize=64)
def _derived(purpose: bytes, key: str) -> bytes:
    return hashlib.sha256(purpose + key.encode()).digest()
