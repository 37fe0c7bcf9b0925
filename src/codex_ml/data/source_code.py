"""The code that reads a source, as part of the digest of what it gave."""

from __future__ import annotations

import sys
from pathlib import Path

from codex_ml.core.digest import digest_file
from codex_ml.provenance.packages import plugin_facts
from codex_ml.registry import registry_for


def source_code(name: str, source: object) -> str:
    """Digest of the file that defines *source*; of a plugin the digest of all of it, and of its arguments.

    A plugin's code decides the content as ours does, helpers of it in other files included.
    """
    plugin = registry_for("data_sources").source(name)
    if plugin is not None:
        return plugin_facts([plugin])[0]["sha256"]
    file = getattr(sys.modules.get(type(source).__module__), "__file__", None)
    return digest_file(Path(file)) if file is not None and Path(file).is_file() else ""
