"""Runs as files alone: what the index, the listings and the clean-up look at."""

from __future__ import annotations

from typing import Any

from codex_ml.core.paths import Home
from codex_ml.provenance.run_directory import FORMAT, RunDirectory


def write_run(
    home: Home,
    name: str,
    *,
    steps: int = 40,
    loss: float | None = None,
    weights: str = "ab" * 32,
    **more: Any,
) -> RunDirectory:
    directory = RunDirectory(home.run(name))
    directory.path.mkdir(parents=True, exist_ok=True)
    record = {
        "format": FORMAT,
        "run_id": "r",
        "created": 1.0,
        "identity": {},
        "identity_sha256": "",
        "config": {"train": {"steps": steps}},
        "resolved": {"grade": "bitwise"},
        "inputs": {},
        "provenance": {},
        "segments": [],
        **more,
    }
    if loss is not None:
        record["result"] = {"metrics": {"loss": loss}, "weights_sha256": weights}
    directory.write(record)
    return directory
