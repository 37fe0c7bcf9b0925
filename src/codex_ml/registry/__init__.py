"""Components by name: one visible table of built-in names, plus entry points of installed plugins."""

from codex_ml.registry.registry import Registry, registry_for

__all__ = ["Registry", "registry_for"]
