"""Template tags of the newsletters."""

from __future__ import annotations
