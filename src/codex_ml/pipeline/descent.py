"""Whether, when and how often a document was seen, and what descends from the runs that saw it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from codex_ml.core.ndjson import last_line, parse_line
from codex_ml.core.paths import Home
from codex_ml.data.columns import read_rows
from codex_ml.data.corpus import DROPPED_FILE
from codex_ml.data.order import steps_of
from codex_ml.data.tokenize import DOCUMENTS_FILE
from codex_ml.errors import IntegrityError, UsageError
from codex_ml.pipeline.inheritance import Sighting, inherited
from codex_ml.pipeline.lineage import Extent, TrainData, train_data
from codex_ml.provenance.run_directory import RunDirectory, list_runs

log = logging.getLogger(__name__)
#: A digest may be given by so many of its first digits.
SHORTEST = 8


def sightings(home: Home, *, document: str) -> list[Sighting]:
    """Every run of the workspace that had to do with *document*, a sha256 (or its start) or a path.

    Raises UsageError when no run here knows it. A run whose data is not in the store, or whose manifest is
    damaged, is warned of: it may have seen anything.
    """
    records, seen_in = dict(_records(home)), _Datasets(home, document)
    found = [seen for name, record in records.items() for seen in seen_in.of_run(name, record)]
    found += inherited(records, [seen for seen in found if seen.state == "trained"], home)
    if not found:
        raise UsageError(
            "no run of this workspace knows this document",
            code="lineage.document",
            got=document,
            wanted=f"the sha256 of a document, {SHORTEST} of its first digits or more, or its path",
            next_step="list the documents of a step with `codex-ml lineage RUN --step N`",
        )
    return sorted(found, key=lambda seen: (seen.state == "inherited", seen.run, seen.document))


def _records(home: Home) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in list_runs(home.runs):
        try:
            yield name, RunDirectory(home.runs / name).read()
        except IntegrityError as error:
            log.warning("the run '%s' is left out: %s", name, error)


class _Datasets:
    """Where a document lies in each dataset: read once, however many runs share it."""

    def __init__(self, home: Home, document: str) -> None:
        self._home, self._document = home, document
        self._found: dict[Path, tuple[list[Extent], list[Sighting]]] = {}

    def of_run(self, name: str, record: Mapping[str, Any]) -> Iterator[Sighting]:
        try:
            data = train_data(record, self._home)
        except UsageError as error:
            log.warning("the run '%s' is left out: %s", name, error)
            return
        if data.directory not in self._found:
            extents = [
                extent
                for extent in data.extents()
                if _is(self._document, extent.sha256, extent.path, extent.id)
            ]
            others = [] if data.samples else list(_not_trained(self._home, data, self._document))
            self._found[data.directory] = extents, others
        extents, others = self._found[data.directory]
        directory = RunDirectory(self._home.runs / name)
        made = _steps_made(directory) if extents else 0
        yield from (_trained(directory, record, data, extent, made) for extent in extents)
        yield from (replace(seen, run=name) for seen in others)


def _is(document: str, sha256: str, path: str, name: str) -> bool:
    by_digest = len(document) >= SHORTEST and sha256.startswith(document.lower())
    return by_digest or document in (path, name) or path.endswith(f"/{document.lstrip('/')}")


def _steps_made(directory: RunDirectory) -> int:
    """Steps in the journal; the last line is enough."""
    if not directory.journal.exists() or not (size := directory.journal.stat().st_size):
        return 0
    line = last_line(directory.journal, size)
    if not line.endswith(b"\n"):
        line = last_line(directory.journal, size - len(line))
    return int(parse_line(line, str(directory.journal), fields=("step",))["step"]) if line else 0


def _trained(
    directory: RunDirectory, record: Mapping[str, Any], data: TrainData, extent: Extent, made: int
) -> Sighting:
    config = record["config"]
    rows = np.arange(extent.first_row, extent.last_row + 1)
    pairs = steps_of(
        rows, seed=config["seed"], size=data.rows, batch_size=config["train"]["batch_size"], steps=made
    )
    steps = tuple(sorted({step + 1 for step, _ in pairs}))
    state = "trained" if steps else "unseen"
    export = str(directory.export) if steps and directory.export.is_dir() else None
    epochs = len(pairs) / len(rows) if len(rows) else 0.0
    detail = "" if len(rows) else "in no whole row of the train split"
    return Sighting(directory.name, state, extent.path, extent.sha256, steps, epochs, detail, export=export)


def _not_trained(home: Home, data: TrainData, document: str) -> Iterator[Sighting]:
    """The document in other splits, and where the corpus left it out; of no run yet."""
    columns = ["split", "id", "path", "sha256"]
    for split, known, path, sha256 in read_rows(data.directory / DOCUMENTS_FILE, columns=columns):
        if split != "train" and _is(document, sha256, path, known):
            yield Sighting("", "held out", path, sha256, detail=f"in the split '{split}'")
    dropped = home.store / "corpora" / str(data.manifest["corpus"]) / DROPPED_FILE
    if dropped.is_file():
        for known, path, reason, detail in read_rows(dropped, columns=["id", "path", "reason", "detail"]):
            if _is(document, "", path, known):
                yield Sighting("", "left out", path, "", detail=f"{reason}: {detail}")
