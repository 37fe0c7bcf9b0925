"""Prepare samples, from a source to rows in the store: the one call that fine-tuning makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from codex_ml.config.schema.data import DataConfig
from codex_ml.core.digest import digest_json, digest_tree, merkle_root
from codex_ml.core.paths import Home
from codex_ml.core.store import find_or_build
from codex_ml.data.document import InputFile
from codex_ml.data.sft.build import SampleBuilder
from codex_ml.data.sft.encoder import SpecialEncoder
from codex_ml.data.sft.masker import Masker
from codex_ml.data.sft.plan import ALGORITHMS
from codex_ml.data.sft.reader import Left, Placed, RecordSource, SampleReader
from codex_ml.data.sft.rows import SampleSplit
from codex_ml.data.sft.template import TEMPLATE_FILE, ChatTemplate, find_template
from codex_ml.data.source_code import source_code
from codex_ml.data.sources.common import nothing_found
from codex_ml.data.sources.tables import no_records
from codex_ml.data.split import shares
from codex_ml.interfaces.progress import Progress
from codex_ml.registry import registry_for
from codex_ml.tokenization.engine import token_dtype
from codex_ml.tokenization.store import TokenizerRef

#: Keys that decide which samples there are and what becomes of them. Where the inputs and the template
#: lie does not; what they hold does, by their digests.
_CONTENT = ("source", "group_field", "on_error", "min_bytes", "max_bytes", "dedup", "format", "overlong")
#: Samples that are rendered and encoded together, by their number and by their bytes.
_BATCH_SAMPLES, _BATCH_BYTES = 256, 1 << 20


@dataclass(frozen=True)
class SamplesRef:
    """A verified set of samples in the store, with the tokenizer that it was made with."""

    digest: str
    directory: Path
    manifest: dict[str, Any]
    tokenizer: TokenizerRef

    def split(self, name: str) -> SampleSplit:
        return SampleSplit.open(self.directory, name)


def prepare_samples(
    cfg: DataConfig, *, tokenizer: TokenizerRef, context: int, home: Home, progress: Progress | None = None
) -> SamplesRef:
    """The samples that *cfg* describes, as rows of *context* columns: found in the store, else built.

    Raises DataError for bad input, ConfigError for contradicting keys or a template that is needed and
    absent, StorageError for disk trouble.
    """
    shares(cfg.split)
    source = _source(cfg)
    if progress is not None:
        progress(0, None, "hash inputs")
    inputs = source.inputs()
    if progress is not None:
        progress(len(inputs), len(inputs), "hash inputs")
    if not inputs:
        raise nothing_found(cfg, cfg.path)
    template = find_template(cfg.template, tokenizer=tokenizer.directory)
    identity = _identity(
        cfg, inputs=inputs, source=source, tokenizer=tokenizer, template=template, context=context
    )
    digest = digest_json(identity)

    def build(stage: Path, meta: dict[str, Any]) -> None:
        meta.update(
            _fill(
                stage,
                reader=SampleReader(cfg, source),
                cfg=cfg,
                tokenizer=tokenizer,
                template=template,
                context=context,
                total=sum(item.size for item in inputs),
                progress=progress,
            )
        )

    directory = home.store / "samples" / digest
    meta = {**identity, "digest": digest, "inputs": [asdict(item) for item in inputs]}
    return SamplesRef(digest, directory, find_or_build(directory, build=build, meta=meta), tokenizer)


def _fill(
    stage: Path,
    *,
    reader: SampleReader,
    cfg: DataConfig,
    tokenizer: TokenizerRef,
    template: ChatTemplate | None,
    context: int,
    total: int,
    progress: Progress | None,
) -> dict[str, Any]:
    """Write all samples of *reader* into *stage*; what the manifest says of them."""
    encoder = SpecialEncoder(tokenizer.directory)
    end_id = tokenizer.open().eos_id
    pad_id, pad_token = encoder.padding(end_id=end_id)
    dtype = token_dtype(encoder.ids_below)
    done = 0
    if template is not None:  # what answers are trained under goes with them, and into exports
        (stage / TEMPLATE_FILE).write_text(template.text, encoding="utf-8")
    with (
        SampleBuilder(stage, cfg=cfg, context=context, dtype=dtype) as builder,
        Masker(encoder, template, end_id=end_id) as masker,
    ):
        for batch in _batches(reader.samples()):
            placed = [item for item in batch if isinstance(item, Placed)]
            masked = iter(masker.mask([(item.place, item.sample) for item in placed]))
            for item in batch:
                done += item.bytes if isinstance(item, Placed) else item.dropped.bytes
                if isinstance(item, Left):
                    builder.leave(item)
                else:
                    builder.add(item, next(masked))
            if progress is not None:
                # Bytes of text against those of files, which may be compressed.
                progress(min(done, total), total, "read samples")
        figures = builder.finish()
    if progress is not None:
        progress(total, total, "read samples")
    return figures | {
        "format": reader.format,
        "end_id": end_id,
        "pad_id": pad_id,
        "pad_token": pad_token,
        "vocab_size": encoder.ids_below,
        "dtype": dtype.name,
    }


def _source(cfg: DataConfig) -> RecordSource:
    source = registry_for("data_sources").get(cfg.source)(cfg)
    if not hasattr(source, "records"):
        raise no_records(cfg.source)
    return cast("RecordSource", source)


def _identity(
    cfg: DataConfig,
    *,
    inputs: list[InputFile],
    source: RecordSource,
    tokenizer: TokenizerRef,
    template: ChatTemplate | None,
    context: int,
) -> dict[str, Any]:
    """All that decides the content of the rows."""
    config = asdict(cfg)
    return {
        "kind": "samples",
        "config": {**{name: config[name] for name in _CONTENT}, "split": config["split"]},
        "origin": source.origin,
        "inputs_sha256": merkle_root((item.path, item.size, item.sha256) for item in inputs),
        "tokenizer": tokenizer.digest,
        "template_sha256": None if template is None else template.sha256,
        "context": context,
        "packing": ALGORITHMS[cfg.packing],
        "code": digest_tree(Path(__file__).parents[1], pattern="**/*.py"),
        "source_code": source_code(cfg.source, source),
    }


def _batches(items: Iterator[Placed | Left]) -> Iterator[list[Placed | Left]]:
    """Lists of bounded length and size, in order."""
    batch: list[Placed | Left] = []
    size = 0
    for item in items:
        batch.append(item)
        size += item.bytes if isinstance(item, Placed) else 0
        if len(batch) >= _BATCH_SAMPLES or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
