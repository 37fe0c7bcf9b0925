"""A table of components of one kind: lazy, closed against silent replacement, with suggestions."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Callable
from functools import cache
from importlib import metadata
from typing import Any

from codex_ml.errors import ConflictError, LoadError, MissingExtraError, NotFoundError, did_you_mean
from codex_ml.registry.builtins import BUILTINS


class Registry:
    """Components of one *kind* by name.

    Values are "module:attribute" strings, imported on first use. A plugin adds names through the
    entry-point group ``codex_ml.<kind>``; plugins are looked at only for names not built in.
    """

    def __init__(self, kind: str, table: dict[str, str], *, plugins: bool = True) -> None:
        self.kind = kind
        self._targets = dict(table)
        self._plugins = plugins
        self._frozen = False

    def names(self) -> list[str]:
        """Every known name, plugins included, sorted."""
        return sorted({*self._targets, *self._entry_points()})

    def register(self, name: str, target: str) -> None:
        """Add one name. Raises ConflictError when the name is taken or the registry is frozen."""
        taken = self._targets.get(name)
        if self._frozen or taken is not None:
            raise ConflictError(
                f"cannot register '{name}' as {target} among the {self.kind}",
                code="registry.frozen" if self._frozen else "registry.conflict",
                got=taken,
                next_step="register before the run starts" if self._frozen else "choose another name",
            )
        self._targets[name] = target

    def freeze(self) -> None:
        """Refuse further registrations: what a run uses is settled."""
        self._frozen = True

    def check(self, name: str) -> None:
        """Raise NotFoundError unless *name* is known; imports nothing."""
        if name not in self._targets and name not in self._entry_points():
            raise NotFoundError(
                f"no '{name}' among the {self.kind}",
                code="registry.not-found",
                next_step=did_you_mean(name, self.names()),
            )

    def get(self, name: str, *, contract: Callable[[Any], bool] = callable) -> Any:
        """Import and return the component *name*.

        Raises NotFoundError for an unknown name, LoadError when its module does not import, lacks
        the attribute, or yields something that does not fulfil *contract*.
        """
        self.check(name)
        target = self._targets.get(name) or self._entry_points()[name]
        component = self._load(name, target)
        if not contract(component):
            raise LoadError(
                f"'{name}' among the {self.kind} does not fulfil the contract of its kind",
                code="registry.contract",
                got=f"{target} = {component!r}",
                wanted=getattr(contract, "__doc__", None) or contract.__name__,
            )
        return component

    def _load(self, name: str, target: str) -> Any:
        module, _, attribute = target.partition(":")
        try:
            return operator.attrgetter(attribute)(importlib.import_module(module))
        except MissingExtraError:
            raise
        except Exception as error:  # a plugin's module may fail in any way
            raise LoadError(
                f"'{name}' among the {self.kind} does not load",
                code="registry.load",
                got=f"{target}: {type(error).__name__}: {error}",
                next_step="run `codex-ml doctor` to see what is broken",
            ) from error

    def _entry_points(self) -> dict[str, str]:
        return _entry_points(f"codex_ml.{self.kind}") if self._plugins else {}


@cache
def _entry_points(group: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for point in metadata.entry_points(group=group):
        target = f"{point.module}:{point.attr}"  # without the extras that point.value may name
        if found.setdefault(point.name, target) != target:
            raise ConflictError(
                f"two plugins register '{point.name}' in {group}",
                code="registry.conflict",
                got=f"{found[point.name]} and {target}",
                next_step="uninstall one of them",
            )
    return found


@cache
def registry_for(kind: str) -> Registry:
    """The process-wide registry of one kind. Raises NotFoundError for an unknown kind."""
    if kind not in BUILTINS:
        raise NotFoundError(
            f"no registry of '{kind}'", code="registry.kind", next_step=did_you_mean(kind, BUILTINS)
        )
    return Registry(kind, BUILTINS[kind])
