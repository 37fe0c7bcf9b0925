"""`codex-ml plugins ls|info|check|new|doctor`: what installed packages add."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex_ml.cli.common import Invocation, common_options

if TYPE_CHECKING:
    from codex_ml.registry.plugins import Plugin


@click.group("plugins")
def command() -> None:
    """Parts that installed packages add: trackers, data sources, rules, commands and more."""


@command.command("ls")
@common_options
@click.option("--kind", help="One kind alone, such as trackers.")
def ls(invocation: Invocation, kind: str | None) -> None:
    """Installed plugins and components by path, without importing them."""
    found = _all(kind)
    rows = [_row(plugin) for plugin in found]
    width = max((len(f"{row['kind']}/{row['name']}") for row in rows), default=0)
    lines = [
        f"{row['kind'] + '/' + row['name']:{width}}  {row['distribution']} {row['version']}"
        + ("" if row["allowed"] else "  (left out by CODEX_PLUGINS)")
        for row in rows
    ]
    invocation.emit({"plugins": rows}, "\n".join(lines) or "no plugin is installed")


@command.command("info")
@common_options
@click.argument("name")
def info(invocation: Invocation, name: str) -> None:
    """One plugin: where it comes from, its contents' digest, the contract that it fulfils."""
    from codex_ml.provenance.packages import plugin_facts
    from codex_ml.registry.contracts import CONTRACTS

    plugin = _named(name)
    (facts,) = plugin_facts([plugin])
    record = {**facts, "contract": CONTRACTS[plugin.kind].version, "wanted": CONTRACTS[plugin.kind].wanted}
    width = max(len(key) for key in record)
    invocation.emit(record, "\n".join(f"{key:{width}}  {value}" for key, value in record.items()))


@command.command("check")
@common_options
@click.argument("name")
def check(invocation: Invocation, name: str) -> int:
    """Run the conformance kit (codex_ml.testing) on a plugin, or on KIND module:attribute."""
    from codex_ml.errors import UsageError
    from codex_ml.registry import registry_for
    from codex_ml.testing import run_checks

    plugin = _named(name)
    if not _allowed(plugin):
        raise UsageError(
            f"{plugin.who()} is left out by CODEX_PLUGINS, so it is not run",
            code="plugin.allow",
            next_step=f"let it in for this call: CODEX_PLUGINS={plugin.distribution}",
        )
    rows = run_checks(plugin.kind, plugin.target, **registry_for(plugin.kind).arguments(plugin.name))
    lines = [f"{'ok' if row['error'] is None else 'FAILED':6}  {row['check']}" + _why(row) for row in rows]
    failed = [row for row in rows if row["error"] is not None]
    record = {"kind": plugin.kind, "name": plugin.name, "checks": rows, "failed": len(failed)}
    invocation.emit(record, "\n".join(lines))
    return 3 if failed else 0


@command.command("new")
@common_options
@click.argument("name")
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), default=Path(), help="Where the package goes."
)
def new(invocation: Invocation, name: str, folder: Path) -> None:
    """A new plugin package, installable and with a passing test: the same as codex-ml scaffold plugin."""
    from codex_ml.scaffold.project import new_plugin

    files = new_plugin(name, folder)
    invocation.emit({"files": [str(file) for file in files]}, "\n".join(str(file) for file in files))


@command.command("doctor")
@common_options
def doctor(invocation: Invocation) -> int:
    """Load every plugin and say which are broken, which claim one name, and what is misspelt."""
    from codex_ml.errors import CodexError
    from codex_ml.registry import registry_for
    from codex_ml.registry.plugins import strangers

    rows: list[dict[str, Any]] = []
    for plugin in (one for one in _all(None) if _allowed(one)):
        error = None
        try:
            _refuse_hidden(plugin)
            registry_for(plugin.kind).get(plugin.name)
        except CodexError as caught:
            error = caught.line()
        rows.append({**_row(plugin), "error": error})
    unknown = strangers()
    lines = [
        f"{'ok' if row['error'] is None else 'broken':6}  {row['kind']}/{row['name']}" + _why(row)
        for row in rows
    ]
    lines += [f"unknown group  {text}" for text in unknown]
    broken = sum(row["error"] is not None for row in rows) + len(unknown)
    invocation.emit(
        {"plugins": rows, "unknown": unknown, "broken": broken}, "\n".join(lines) or "no plugin is installed"
    )
    return 1 if broken else 0


def _refuse_hidden(plugin: Plugin) -> None:
    """Raise ConflictError for a command that no call can reach."""
    from codex_ml.cli.app import COMMANDS
    from codex_ml.errors import ConflictError

    if plugin.kind == "commands" and plugin.name in COMMANDS:
        raise ConflictError(
            f"{plugin.who()} has the name of a command of codex-ml",
            code="registry.conflict",
            got=f"{plugin.target} and codex_ml.cli.{COMMANDS[plugin.name]} (built in)",
            next_step="rename the command of the plugin",
        )


def _why(row: dict[str, Any]) -> str:
    return "" if row["error"] is None else f": {row['error']}"


def _row(plugin: Plugin) -> dict[str, Any]:
    return {**vars(plugin), "allowed": _allowed(plugin)}


def _allowed(plugin: Plugin) -> bool:
    """What the environment names by path is there because somebody asked for it."""
    from codex_ml.registry.plugins import BY_PATH, installed

    return plugin.distribution == BY_PATH or plugin in installed()


def _all(kind: str | None) -> list[Plugin]:
    """Everything installed, and what the environment names by path. Raises as `register_interfaces` does."""
    from codex_ml.config.interfaces import register_interfaces
    from codex_ml.errors import NotFoundError, did_you_mean
    from codex_ml.registry.contracts import CONTRACTS
    from codex_ml.registry.plugins import BY_PATH, Plugin, everything

    if kind is not None and kind not in CONTRACTS:
        raise NotFoundError(
            f"there is no kind '{kind}'", code="registry.kind", next_step=did_you_mean(kind, CONTRACTS)
        )
    named = [Plugin(one.kind, one.name, one.target, BY_PATH, "") for one in register_interfaces(os.environ)]
    return [plugin for plugin in (*everything(), *named) if kind in (None, plugin.kind)]


def _named(text: str) -> Plugin:
    """A plugin by its name, by kind/name, or by kind and path (``trackers=module:attribute``)."""
    from codex_ml.errors import ConflictError, NotFoundError, did_you_mean
    from codex_ml.registry.contracts import CONTRACTS
    from codex_ml.registry.plugins import BY_PATH, Plugin

    kind, equals, target = text.partition("=")
    if equals and kind in CONTRACTS:
        return Plugin(kind, target.rpartition(":")[2], target, BY_PATH, "")
    found = [plugin for plugin in _all(None) if text in (plugin.name, f"{plugin.kind}/{plugin.name}")]
    if len(found) > 1:
        names = " and ".join(f"{plugin.kind}/{plugin.name} of {plugin.distribution}" for plugin in found)
        raise ConflictError(
            f"'{text}' is the name of several plugins",
            code="plugin.name",
            got=names,
            next_step="say kind/name",
        )
    if not found:
        names_ = [name for plugin in _all(None) for name in (plugin.name, f"{plugin.kind}/{plugin.name}")]
        raise NotFoundError(
            f"no plugin '{text}' is installed", code="plugin.name", next_step=did_you_mean(text, names_)
        )
    return found[0]
