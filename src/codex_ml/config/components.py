"""Which registered components a run is built from, and which of them plugins give."""

from __future__ import annotations

from codex_ml.config.schema import RunConfig
from codex_ml.registry import registry_for
from codex_ml.registry.plugins import Plugin


def sink_component(sink: str) -> tuple[str, str]:
    """(kind, name) of what a sink names: a tracker, or with ``callback:`` before it a callback."""
    kind, colon, name = sink.partition(":")
    return ("callbacks", name) if kind == "callback" and colon else ("trackers", sink)


def components(config: RunConfig) -> list[tuple[str, str, str]]:
    """(kind, name, key of the config) of every component that a run is built from."""
    return [
        ("models", config.model.name, "model.name"),
        ("tokenizers", config.tokenizer.name, "tokenizer.name"),
        ("data_sources", config.data.source, "data.source"),
        ("objectives", config.objective.name, "objective.name"),
        *((*sink_component(name), "tracking.sinks") for name in config.tracking.sinks),
        *(("eval_tasks", name, "eval.tasks") for name in config.eval.tasks),
    ]


def plugins_of(config: RunConfig) -> list[Plugin]:
    """The plugins among a run's components. Raises NotFoundError and ConflictError as the registry does."""
    found = (registry_for(kind).source(name) for kind, name, _key in components(config))
    return list(dict.fromkeys(plugin for plugin in found if plugin is not None))
