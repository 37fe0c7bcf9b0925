"""What a run was trained on, in one look: digests, documents, licences, where its weights come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codex_ml.core.paths import Home
from codex_ml.core.publish import MANIFEST, read_json
from codex_ml.data.columns import DOCUMENT
from codex_ml.data.sft.files import SAMPLE_COLUMNS
from codex_ml.pipeline.licences import Licences, licence_shares
from codex_ml.pipeline.lineage import train_data
from codex_ml.provenance.run_directory import RunDirectory


@dataclass(frozen=True)
class RunData:
    """*inputs* are the source files (path, size, sha256); *merkle_root* binds them all.

    *directory* holds the tables of documents (the corpus) or of samples, with *columns*.
    """

    run: str
    source: str
    dataset: str
    tokenizer: str
    merkle_root: str
    inputs: list[dict[str, Any]]
    documents: int
    tokens: int
    licences: dict[str, dict[str, int]]
    parents: list[dict[str, Any]]
    base_weights: str | None
    created: float
    directory: Path
    columns: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "directory": str(self.directory)}

    def summary(self) -> dict[str, Any]:
        """Without the list of source files, and without places on this machine."""
        found = asdict(self)
        del found["inputs"], found["directory"], found["columns"]
        return {**found, "sources": len(self.inputs)}

    def lines(self) -> Iterator[tuple[str, str]]:
        """For people."""
        yield "run", self.run
        yield "source", f"{self.source}, {len(self.inputs):,} files"
        yield "Merkle root of files", self.merkle_root
        yield "dataset", self.dataset
        yield "tokenizer", self.tokenizer
        yield "trained on", f"{self.documents:,} documents, {self.tokens:,} tokens"
        for name, share in self.licences.items():
            yield f"  {name}", f"{share['documents']:,} documents, {share['tokens']:,} tokens"
        for parent in self.parents:
            yield (
                "goes on from",
                f"{parent['run']}, step {parent['step']}, weights {parent['weights_sha256']}",
            )
        if self.base_weights:
            yield "base weights", self.base_weights


def run_data(directory: RunDirectory, *, home: Home) -> RunData:
    """Raises UsageError when there is no run, or its data is not in the store."""
    record = directory.read()
    data = train_data(record, home)
    tables = data.directory if data.samples else home.store / "corpora" / str(data.manifest["corpus"])
    extents = [(extent.id, extent.path, extent.tokens) for extent in data.extents()]
    return RunData(
        run=directory.name,
        source=str(record["config"]["data"]["source"]),
        dataset=str(record["inputs"]["dataset"]),
        tokenizer=str(record["inputs"]["tokenizer"]),
        merkle_root=str(data.manifest["inputs_sha256"]),
        inputs=read_json(tables / MANIFEST)["inputs"],
        documents=len(extents),
        tokens=sum(tokens for _, _, tokens in extents),
        licences=licence_shares(Licences.of(record, data, home), extents),
        parents=record.get("parents", []),
        base_weights=record["inputs"].get("base_weights"),
        created=float(record["created"]),
        directory=tables,
        columns=dict(SAMPLE_COLUMNS if data.samples else DOCUMENT),
    )
