"""Extensibility: others add parts without editing these."""

from __future__ import annotations

from codex_ml.audit.capability import TESTED, Capability, Need
from codex_ml.audit.signals import Signal

CAPABILITY = Capability(
    "extensibility",
    "Extensibility",
    signals=(
        Signal(
            "ext.use",
            methods=(("register", "get"),),
            functions=("register_model", "register_metric", "get_component", "load_component"),
            bases=("ABC", "Protocol"),
            calls=(
                "catalogue.create",
                "pluggy.PluginManager",
                "importlib.import_module",
                "hydra.utils.instantiate",
            ),
        ),
        Signal(
            "ext.plugins",
            calls=("metadata.entry_points", "pkg_resources.iter_entry_points"),
            names=("entry_points",),  # of a distribution
            imports=("pluggy", "stevedore"),
        ),
        Signal(
            "ext.conflict",
            raising=(r"register\w*$", r"add\w*$", r"__setitem__$"),
            bases=("RegistryError", "ConflictError"),
            calls=("ConflictError", "RegistryError"),
        ),
    ),
    needs=(
        Need(
            "use",
            ("ext.use",),
            "neither registry nor interface",
            "each extension is a fork",
            "define an interface and a registry for it",
        ),
        Need(
            "plugins",
            ("ext.plugins", "config.entry_points"),
            "installed packages cannot add parts",
            "harder extensions from outside",
            "look for entry points",
        ),
        Need(
            "conflicts",
            ("ext.conflict",),
            "two parts of one name are not told apart",
            "one replaces the other silently",
            "refuse a name that is taken, naming both",
            2,
        ),
        Need(
            TESTED,
            (TESTED,),
            "no test with an assertion reaches the registry",
            "plugins break unseen",
            "test a plugin from outside, a broken one and a conflict",
            2,
        ),
    ),
)
