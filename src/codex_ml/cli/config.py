"""`codex-ml config show|validate|schema|diff|explain`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from codex_ml.cli.common import Invocation, common_options, config_options


@click.group("config")
def command() -> None:
    """See, check and understand the configuration."""


@command.command("show")
@common_options
@config_options
def show(invocation: Invocation, overrides: tuple[str, ...], config_dir: Path | None) -> None:
    """Print the composed config, every key, with where its value comes from."""
    from codex_ml.config.keys import flatten, to_dict
    from codex_ml.core.redact import redact_value

    composed = invocation.compose(overrides, config_dir)
    shown = redact_value(to_dict(composed.config))
    rows = flatten(shown)
    width = max(len(f"{path}={json.dumps(value)}") for path, value in rows.items() if len(str(value)) < 60)
    lines = [
        f"{f'{path}={json.dumps(value)}':<{width}}  # {composed.origins.get(path, 'default')}"
        for path, value in rows.items()
    ]
    origins = {path: str(origin) for path, origin in composed.origins.items()}
    invocation.emit({"config": shown, "origins": origins}, "\n".join(lines))


@command.command("validate")
@common_options
@config_options
def validate(invocation: Invocation, overrides: tuple[str, ...], config_dir: Path | None) -> None:
    """Check a config without doing anything; exit 2 names the first thing that is wrong."""
    from codex_ml.config.identity import config_digest

    digest = config_digest(invocation.compose(overrides, config_dir).config)
    invocation.emit({"valid": True, "config_sha256": digest}, f"valid ({digest[:16]})")


@command.command("schema")
@common_options
def schema(invocation: Invocation) -> None:
    """Print the JSON Schema of the config."""
    from codex_ml.config.validate import adapter

    record = adapter().json_schema()
    invocation.emit(record, json.dumps(record, indent=1))


@command.command("diff")
@common_options
@click.argument("left", nargs=1)
@click.argument("right", nargs=1)
def diff(invocation: Invocation, left: str, right: str) -> None:
    """Compare two configs: names of runs, or words in quotes such as "experiment=demo seed=2"."""
    from codex_ml.config.identity import Difference, differences
    from codex_ml.core.redact import redact_value

    found = [
        Difference(item.key, item.role, redact_value(item.left, item.key), redact_value(item.right, item.key))
        for item in differences(_config_of(invocation, left), _config_of(invocation, right))
    ]
    record = {
        "differences": [
            {"key": item.key, "role": item.role, "left": item.left, "right": item.right} for item in found
        ]
    }
    lines = [f"{item.line()}  ({item.role})" for item in found]
    invocation.emit(record, "\n".join(lines) or "no difference")


@command.command("explain")
@common_options
@click.argument("key")
@config_options
def explain(invocation: Invocation, key: str, overrides: tuple[str, ...], config_dir: Path | None) -> None:
    """Say what KEY means, its type, limits and role, its value here and where that comes from."""
    from codex_ml.config.environment import variable_of
    from codex_ml.config.keys import all_keys, flatten
    from codex_ml.core.redact import redact_value
    from codex_ml.errors import ConfigError, did_you_mean

    known = all_keys().get(key)
    if known is None:
        raise ConfigError(
            f"there is no config key '{key}'",
            code="config.unknown-key",
            next_step=did_you_mean(key, all_keys()),
        )
    composed = invocation.compose(overrides, config_dir)
    value = redact_value(flatten(composed.config)[key], key)
    origin = str(composed.origins.get(key, "default"))
    record = {
        "key": key,
        "doc": known.doc,
        "type": known.type_name,
        "limits": list(known.limits),
        "role": known.role,
        "variable": variable_of(key),
        "value": value,
        "origin": origin,
    }
    limits = f" ({', '.join(known.limits)})" if known.limits else ""
    invocation.emit(
        record,
        f"{key}: {known.doc}\n  type      {known.type_name}{limits}\n  role      {known.role}\n"
        f"  variable  {variable_of(key)}\n  value     {json.dumps(value)}\n  set in    {origin}",
    )


def _config_of(invocation: Invocation, text: str):  # type: ignore[no-untyped-def]
    from codex_ml.config.validate import decode_saved
    from codex_ml.provenance.run_directory import RunDirectory

    directory = RunDirectory(invocation.home.run(text)) if "=" not in text and text else None
    if directory is not None and directory.manifest.is_file():
        return decode_saved(directory.read()["config"])
    return invocation.compose(tuple(text.split()), None).config
