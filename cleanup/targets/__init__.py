"""What may be cleaned: the registry, and one file for each target that comes with the house."""

from __future__ import annotations

from cleanup.targets.registry import (
    AnyTarget,
    Child,
    FileTarget,
    Filter,
    IncompletePlan,
    OrphanFile,
    RowFiles,
    Scope,
    Target,
    Touched,
    all_targets,
    get,
    is_known,
    known,
    label,
    register,
    row_target,
)

__all__ = [
    "AnyTarget",
    "Child",
    "FileTarget",
    "Filter",
    "IncompletePlan",
    "OrphanFile",
    "RowFiles",
    "Scope",
    "Target",
    "Touched",
    "all_targets",
    "get",
    "is_known",
    "known",
    "label",
    "register",
    "row_target",
]
