"""From a step of a run to the documents that it was trained on, each by its digest and licence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codex_ml.core.digest import digest_bytes
from codex_ml.core.paths import Home
from codex_ml.core.publish import MANIFEST, read_json
from codex_ml.data.columns import read_rows
from codex_ml.data.order import batch_rows, rows_digest
from codex_ml.data.sft.files import SAMPLES_FILE
from codex_ml.data.sft.rows import SampleSplit
from codex_ml.data.tokenize import DOCUMENTS_FILE
from codex_ml.errors import IntegrityError, UsageError
from codex_ml.pipeline.licences import Licences
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.training.journal import read_journal


@dataclass(frozen=True)
class Extent:
    """A document (or sample) of the train split, and the rows [first, last] that hold tokens of it."""

    id: str
    path: str
    group: str
    sha256: str
    tokens: int
    first_row: int
    last_row: int


@dataclass(frozen=True)
class StepDocument:
    """A document of one batch: the rows of the batch that hold it, and the licence that it states."""

    id: str
    path: str
    group: str
    sha256: str
    licence: str
    licence_from: str
    rows: tuple[int, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class TrainData:
    """The train split of a run as it lies in the store."""

    directory: Path
    manifest: dict[str, Any]
    samples: bool

    @property
    def rows(self) -> int:
        return int(self.manifest["splits"]["train"]["rows"])

    def extents(self) -> Iterator[Extent]:
        """Every document of the train split, in its order."""
        return _sample_extents(self) if self.samples else _document_extents(self)


def train_data(record: Mapping[str, Any], home: Home) -> TrainData:
    """Raises UsageError when the data of the run is not in this store."""
    samples = record["config"]["data"].get("format", "text") != "text"
    directory = home.store / ("samples" if samples else "datasets") / str(record["inputs"]["dataset"])
    if not directory.is_dir():
        raise UsageError(
            "the data of this run is not in this store",
            code="lineage.data",
            got=directory,
            next_step="prepare it again with `codex-ml data prepare` and the words of the run",
        )
    return TrainData(directory, read_json(directory / MANIFEST), samples)


def step_documents(directory: RunDirectory, *, step: int, home: Home) -> list[StepDocument]:
    """The documents of optimizer step *step* (from 1), in the order of the data.

    The rows are computed from the seed, and are those whose digest the journal holds for that step: raises
    IntegrityError when they are not, UsageError for a step that the run has not made.
    """
    record = directory.read()
    data = train_data(record, home)
    config = record["config"]
    rows = batch_rows(step - 1, seed=config["seed"], rows=data.rows, batch_size=config["train"]["batch_size"])
    _check_journal(directory, step, rows_digest(rows))
    wanted = np.unique(rows)
    licences = Licences.of(record, data, home)
    inside: list[tuple[Extent, tuple[int, ...]]] = []
    for extent in data.extents():
        first = np.searchsorted(wanted, extent.first_row)
        last = np.searchsorted(wanted, extent.last_row, side="right")
        if first < last:
            inside.append((extent, tuple(int(row) for row in wanted[first:last])))
    licences.look_up([extent.id for extent, _ in inside])
    return [
        StepDocument(
            extent.id,
            extent.path,
            extent.group,
            extent.sha256,
            *licences.of_document(extent.id, extent.path),
            held,
        )
        for extent, held in inside
    ]


def _check_journal(directory: RunDirectory, step: int, digest: str) -> None:
    made = 0
    for line in read_journal(directory.journal) if directory.journal.exists() else ():
        made = int(line["step"])
        if made == step:
            if line["samples"] == digest:
                return
            raise IntegrityError(
                f"the batch of step {step} is not the one that the journal of '{directory.name}' names",
                code="lineage.journal",
                got=digest,
                wanted=line["samples"],
                next_step=f"look for what was changed with `codex-ml verify {directory.name}`",
            )
    raise UsageError(
        f"the run '{directory.name}' has not made step {step}",
        code="lineage.step",
        wanted=f"1 to {made}" if made else "a run with at least one step",
        next_step="choose one of its steps" if made else "go on with the run: the same command continues",
    )


def _document_extents(data: TrainData) -> Iterator[Extent]:
    context = int(data.manifest["context"])
    columns = ["split", "id", "path", "group", "sha256", "token_start", "token_count"]
    for split, name, path, group, sha256, start, count in read_rows(
        data.directory / DOCUMENTS_FILE, columns=columns
    ):
        if split == "train":
            # Row r covers [r * context, r * context + context], the last token as a label alone.
            first = max(0, -(-(start - context) // context))
            last = min((start + count - 1) // context, data.rows - 1)
            yield Extent(name, path, group, sha256, count, first, last)


def _sample_extents(data: TrainData) -> Iterator[Extent]:
    split = SampleSplit.open(data.directory, "train")
    row_of = split.row_of_samples()
    index = -1
    for name, place, group, tokens in read_rows(
        data.directory / SAMPLES_FILE, columns=["split", "place", "group", "tokens"]
    ):
        if name == "train":
            index += 1
            ids, trained = split.sample(index)
            sha256 = digest_bytes(ids.astype("<i8").tobytes() + trained.astype(np.uint8).tobytes())
            row = int(row_of[index])
            yield Extent(place, place.rpartition(":")[0] or place, group, sha256, tokens, row, row)
