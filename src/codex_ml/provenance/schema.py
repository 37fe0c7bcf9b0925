"""The published JSON Schema of ``run.json``; its version is the manifest's format number."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

SCHEMA = "run.schema.json"


def run_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) that every ``run.json`` of this version is valid under."""
    text = resources.files("codex_ml.provenance").joinpath(SCHEMA).read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
