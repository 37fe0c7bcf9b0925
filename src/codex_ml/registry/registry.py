"""A table of components of one kind: lazy, closed against silent replacement, with suggestions."""

from __future__ import annotations

import functools
import importlib
import inspect
import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from codex_ml.errors import ConflictError, LoadError, MissingExtraError, NotFoundError, did_you_mean
from codex_ml.registry.builtins import BUILTINS
from codex_ml.registry.contracts import CONTRACTS, DECLARATION, check_version, lacking
from codex_ml.registry.plugins import BY_PATH, Plugin, installed


class Registry:
    """Components of one *kind* by name.

    Values are "module:attribute" strings, imported on first use. A plugin adds names through the
    entry-point group ``codex_ml.<kind>``. A name that two of them claim is nobody's: asking for it is an
    error that names both, and every other name works.
    """

    def __init__(self, kind: str, table: Mapping[str, str], *, plugins: bool = True) -> None:
        self.kind = kind
        self._targets = dict(table)
        self._by_path: dict[str, Mapping[str, Any]] = {}
        self._plugins = plugins
        self._frozen = False

    def names(self) -> list[str]:
        """Every known name, plugins included, sorted."""
        return sorted({*self._targets, *(one.name for one in self._installed())})

    def register(self, name: str, target: str, *, kwargs: Mapping[str, Any] | None = None) -> None:
        """Add one name; *kwargs* are passed to the component whenever it is called.

        Raises ConflictError when the name is taken by another target or the registry is frozen.
        """
        taken = self._targets.get(name)
        if taken == target and self._by_path.get(name) == (kwargs or {}):
            return
        if self._frozen or taken is not None:
            raise ConflictError(
                f"cannot register '{name}' as {target} among the {self.kind}",
                code="registry.frozen" if self._frozen else "registry.conflict",
                got=taken,
                next_step="register before the run starts" if self._frozen else "choose another name",
            )
        self._targets[name] = target
        self._by_path[name] = dict(kwargs or {})

    def arguments(self, name: str) -> Mapping[str, Any]:
        """What a registration passes to the component at each call; nothing for any other name."""
        return self._by_path.get(name, {})

    def freeze(self) -> None:
        """Refuse further registrations: what a run uses is settled."""
        self._frozen = True

    def check(self, name: str) -> None:
        """Raise NotFoundError unless *name* is known, ConflictError when two claim it; imports nothing."""
        self.source(name)

    def source(self, name: str) -> Plugin | None:
        """The plugin that gives *name*, or None for a built-in one. Raises as `check` does."""
        claims = [one for one in self._installed() if one.name == name]
        own = self._targets.get(name)
        if len(claims) + (own is not None) > 1:
            place = "by path" if name in self._by_path else "built in"
            said = [
                *([f"{own} ({place})"] if own else []),
                *(f"{one.target} of {one.distribution}" for one in claims),
            ]
            raise ConflictError(
                f"'{name}' among the {self.kind} is claimed more than once",
                code="registry.conflict",
                got=" and ".join(said),
                next_step="uninstall one of them, or leave one out with CODEX_PLUGINS",
            )
        if own is None and not claims:
            raise NotFoundError(
                f"no '{name}' among the {self.kind}",
                code="registry.not-found",
                next_step=did_you_mean(name, self.names()),
            )
        if own is not None and name in self._by_path:
            return Plugin(self.kind, name, own, BY_PATH, "")
        return claims[0] if claims else None

    def get(self, name: str, *, contract: Callable[[Any], bool] | None = None) -> Any:
        """Import and return the component *name*.

        Raises NotFoundError for an unknown name, ConflictError for one that is claimed twice, LoadError when
        its module does not import, lacks the attribute, was written for another contract, or yields something
        that does not fulfil the contract of its kind (or *contract*), or not with its arguments.
        """
        plugin = self.source(name)
        target = plugin.target if plugin is not None else self._targets[name]
        who = plugin.who() if plugin is not None else f"'{name}' among the {self.kind}"
        component = self._load(who, target)
        missing = lacking(self.kind, component) if self.kind in CONTRACTS else None
        if missing is None and contract is not None and not contract(component):
            missing = f"is {component!r}"
        if missing is not None:
            wanted = (getattr(contract, "__doc__", None) or contract.__name__) if contract is not None else ""
            raise LoadError(
                f"{who} does not fulfil the contract of its kind",
                code="registry.contract",
                got=f"{target} {missing}",
                wanted=wanted or CONTRACTS[self.kind].wanted,
            )
        kwargs = self.arguments(name)
        if kwargs:
            _refuse_arguments(component, kwargs, who=who)
        return functools.partial(component, **kwargs) if kwargs else component

    def _load(self, who: str, target: str) -> Any:
        module, _, attribute = target.partition(":")
        try:
            found = importlib.import_module(module)
            component = operator.attrgetter(attribute)(found) if attribute else found
        except MissingExtraError:
            raise
        except (Exception, SystemExit) as error:  # a plugin's module may fail in any way
            raise LoadError(
                f"{who} does not load",
                code="registry.load",
                got=f"{target}: {type(error).__name__}: {error}",
                next_step="run `codex-ml plugins doctor` to see what is broken",
            ) from error
        if not target.startswith("codex_ml.") and self.kind in CONTRACTS:
            check_version(self.kind, getattr(found, DECLARATION, 1), who=who)
        return component

    def _installed(self) -> tuple[Plugin, ...]:
        return installed(self.kind) if self._plugins else ()


def _refuse_arguments(component: Any, kwargs: Mapping[str, Any], *, who: str) -> None:
    try:
        signature = inspect.signature(component)
    except ValueError:  # of some built-in functions it is not known
        return
    try:
        signature.bind_partial(**kwargs)
    except TypeError as error:
        raise LoadError(
            f"{who} does not take the arguments that it was registered with",
            code="registry.arguments",
            got=str(error).removeprefix("got "),
            wanted=f"arguments of {signature}",
        ) from error


@cache
def registry_for(kind: str) -> Registry:
    """The process-wide registry of one kind. Raises NotFoundError for an unknown kind."""
    if kind not in CONTRACTS:
        raise NotFoundError(
            f"no registry of '{kind}'", code="registry.kind", next_step=did_you_mean(kind, CONTRACTS)
        )
    return Registry(kind, BUILTINS.get(kind, {}))
