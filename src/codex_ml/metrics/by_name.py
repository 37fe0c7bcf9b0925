"""Metrics by name: functions (predictions, targets) -> float, built in and of plugins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from codex_ml.registry import registry_for

Metric = Callable[[Sequence[Any], Sequence[Any]], float]


def register_metric(name: str, target: str) -> None:
    """Add the function at ``module:attribute``. Raises ConflictError when the name is taken."""
    registry_for("metrics").register(name, target)


def get_metric(name: str) -> Metric:
    """The metric of a name. Raises NotFoundError with the nearest name, LoadError for a broken plugin."""
    found: Metric = registry_for("metrics").get(name)
    return found


def list_metrics() -> list[str]:
    """Every name, sorted."""
    return registry_for("metrics").names()
