"""Checks by kind, and how they are run outside of pytest."""

from __future__ import annotations

import importlib
import operator
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_ml.errors import NotFoundError, did_you_mean
from codex_ml.registry.contracts import CONTRACTS, DECLARATION, check_version, lacking

Function = Callable[[Any, Path], None]


@dataclass(frozen=True)
class Check:
    """One thing that a component must do. Called with ``module:attribute`` and a directory to write in: True.

    Raises AssertionError with what is wrong; what the component itself raises goes through.
    """

    kind: str
    name: str
    function: Function
    kwargs: Mapping[str, Any]

    def __call__(self, target: str, directory: Path) -> bool:
        self.function(self._component(target), directory)
        return True

    def __str__(self) -> str:
        return self.name

    def _component(self, target: str) -> Any:
        module, _, attribute = target.partition(":")
        found: Any = importlib.import_module(module)
        check_version(self.kind, getattr(found, DECLARATION, 1), who=target)
        component = operator.attrgetter(attribute)(found) if attribute else found
        missing = lacking(self.kind, component)
        assert missing is None, f"{target} {missing}; wanted: {CONTRACTS[self.kind].wanted}"
        return (
            (lambda *words, **more: component(*words, **{**self.kwargs, **more}))
            if self.kwargs
            else component
        )


def conformance_checks(kind: str, **kwargs: Any) -> list[Check]:
    """The checks of one kind; *kwargs* are given to the component whenever it is called.

    Raises NotFoundError for an unknown kind.
    """
    if kind not in CONTRACTS:
        raise NotFoundError(
            f"no kind '{kind}'", code="registry.kind", next_step=did_you_mean(kind, CONTRACTS)
        )
    table = importlib.import_module("codex_ml.testing.checks").CHECKS
    return [
        Check(kind, function.__name__, function, kwargs)
        for function in table.get(kind, (fulfils_the_contract,))
    ]


def fulfils_the_contract(component: Any, _directory: Path) -> None:
    """Loads, and has what its kind asks for; that was looked at when it was loaded."""
    assert component is not None


def run_checks(kind: str, target: str, **kwargs: Any) -> list[dict[str, Any]]:
    """Every check with its error, None where it holds."""
    rows: list[dict[str, Any]] = []
    for check in conformance_checks(kind, **kwargs):
        error = None
        with tempfile.TemporaryDirectory() as folder:
            try:
                check(target, Path(folder))
            except AssertionError as caught:
                error = str(caught) or "an assertion without a word"
            except (Exception, SystemExit) as caught:  # noqa: BLE001 - the component is somebody else's
                error = f"{type(caught).__name__}: {caught}"
        rows.append({"check": check.name, "error": error})
    return rows
