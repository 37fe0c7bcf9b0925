"""Prepare a corpus: read, clean, deduplicate and split a source into one store entry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codex_ml.config.schema.data import DataConfig
from codex_ml.core.digest import digest_bytes, digest_json, digest_tree, merkle_root
from codex_ml.core.paths import Home
from codex_ml.core.store import find_or_build
from codex_ml.data.clean import verdict
from codex_ml.data.columns import DOCUMENT, DROPPED, RowWriter, read_rows
from codex_ml.data.dedup import ExactDedup
from codex_ml.data.depths import GroupDepths
from codex_ml.data.document import Document, Dropped, InputFile, Source
from codex_ml.data.source_code import source_code
from codex_ml.data.sources.common import nothing_found
from codex_ml.data.split import SPLITS, assign, shares
from codex_ml.data.tally import Tally
from codex_ml.interfaces.progress import Progress
from codex_ml.registry import registry_for

DROPPED_FILE = "dropped.parquet"
#: Keys that do not decide the content: where it lies and how it is cut into files, and those of
#: samples. A revision is named by the commit that it resolves to.
_NOT_CONTENT = ("path", "shard_tokens", "revision", "format", "template", "overlong", "packing")


@dataclass(frozen=True)
class CorpusDocument:
    """One kept document."""

    id: str
    group: str
    path: str
    sha256: str
    bytes: int
    characters: int
    text: str


@dataclass(frozen=True)
class CorpusRef:
    """A verified corpus in the store."""

    digest: str
    directory: Path
    manifest: dict[str, Any]

    def documents(self, split: str) -> Iterator[CorpusDocument]:
        """The documents of *split* in the order of the source, streaming."""
        for row in read_rows(self.directory / f"{split}.parquet", columns=list(DOCUMENT)):
            yield CorpusDocument(*row)

    def dropped(self) -> Iterator[Dropped]:
        """Every document that was left out, with its reason."""
        for row in read_rows(self.directory / DROPPED_FILE, columns=list(DROPPED)):
            yield Dropped(*row)


def prepare_corpus(cfg: DataConfig, *, home: Home, progress: Progress | None = None) -> CorpusRef:
    """The corpus that *cfg* describes: found in the store by what its inputs hold, else built.

    Raises DataError for bad input, ConfigError for contradicting keys, StorageError for disk trouble.
    """
    shares(cfg.split)
    source: Source = registry_for("data_sources").get(cfg.source)(cfg)
    if progress is not None:
        progress(0, None, "hash inputs")
    inputs = source.inputs()
    if progress is not None:
        progress(len(inputs), len(inputs), "hash inputs")
    if not inputs:
        raise nothing_found(cfg, cfg.path)
    meta = _identity(cfg, inputs=inputs, source=source)
    digest = digest_json(meta)
    meta = {**meta, "digest": digest, "inputs": [asdict(item) for item in inputs]}

    def build(stage: Path, meta: dict[str, Any]) -> None:
        meta.update(_build(stage, source=source, cfg=cfg, inputs=inputs, progress=progress))

    directory = home.store / "corpora" / digest
    return CorpusRef(digest, directory, find_or_build(directory, build=build, meta=meta))


def _identity(cfg: DataConfig, *, inputs: list[InputFile], source: Source) -> dict[str, Any]:
    """All that decides the content of the corpus."""
    config = {name: value for name, value in asdict(cfg).items() if name not in _NOT_CONTENT}
    return {
        "kind": "corpus",
        "config": {**config, "include": list(cfg.include), "exclude": list(cfg.exclude)},
        "origin": source.origin,
        "inputs_sha256": merkle_root((item.path, item.size, item.sha256) for item in inputs),
        "code": digest_tree(Path(__file__).parent, pattern="**/*.py"),
        "source_code": source_code(cfg.source, source),
    }


def _build(
    stage: Path, *, source: Source, cfg: DataConfig, inputs: list[InputFile], progress: Progress | None
) -> dict[str, Any]:
    tally, seen, depths = Tally(), ExactDedup(), GroupDepths(cfg)
    total = sum(item.size for item in inputs)
    done = 0
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(RowWriter(stage / f"{split}.parquet", DOCUMENT)) for split in SPLITS
        }
        dropped = stack.enter_context(RowWriter(stage / DROPPED_FILE, DROPPED))
        for item in source.documents():
            sha256 = "" if isinstance(item, Dropped) else digest_bytes(item.raw)
            reason = item if isinstance(item, Dropped) else _verdict(item, sha256=sha256, cfg=cfg, seen=seen)
            if reason is not None:
                tally.drop(reason)
                dropped.add(reason.id, reason.path, reason.bytes, reason.reason, reason.detail)
            elif isinstance(item, Document):
                _write(item, sha256=sha256, cfg=cfg, writers=writers, tally=tally)
                depths.add(item)
            done += item.bytes if isinstance(item, Dropped) else len(item.raw)
            if progress is not None:
                progress(min(done, total), total, "read documents")
    tally.check(cfg=cfg.split, depth=depths.smallest())
    return tally.record()


def _verdict(document: Document, *, sha256: str, cfg: DataConfig, seen: ExactDedup) -> Dropped | None:
    reason = verdict(document, cfg=cfg)
    if reason is None and cfg.dedup == "exact":
        reason = seen.verdict(document, sha256=sha256)
    return reason


def _write(
    document: Document, *, sha256: str, cfg: DataConfig, writers: dict[str, RowWriter], tally: Tally
) -> None:
    split = assign(document.group, cfg=cfg.split)
    size, characters = len(document.raw), len(document.text)
    writers[split].add(document.id, document.group, document.path, sha256, size, characters, document.raw)
    tally.keep(split=split, group=document.group, size=size, characters=characters)
