"""Prepare a dataset, from a source to packed tokens: the one call that training makes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_ml.config.schema.data import DataConfig, SplitConfig
from codex_ml.config.schema.tokenizer import TokenizerConfig
from codex_ml.core.digest import digest_json, digest_tree
from codex_ml.core.paths import Home
from codex_ml.core.store import find_or_build
from codex_ml.data.corpus import CorpusRef, prepare_corpus
from codex_ml.data.pack import ALGORITHM
from codex_ml.data.packed import PackedSplit
from codex_ml.data.sample import sample_texts
from codex_ml.data.split import shares
from codex_ml.data.tokenize import tokenize_corpus
from codex_ml.errors import DataError
from codex_ml.interfaces.progress import Progress
from codex_ml.tokenization.engine import FastEncoder
from codex_ml.tokenization.store import TokenizerRef, check_given, prepare_tokenizer


@dataclass(frozen=True)
class DatasetRef:
    """A verified dataset in the store, with the corpus and the tokenizer that it was made from."""

    digest: str
    directory: Path
    manifest: dict[str, Any]
    corpus: CorpusRef
    tokenizer: TokenizerRef

    def split(self, name: str) -> PackedSplit:
        return PackedSplit.open(self.directory, name)


def prepare_texts(
    cfg: DataConfig, *, tokenizer_cfg: TokenizerConfig, home: Home, progress: Progress | None = None
) -> tuple[CorpusRef, TokenizerRef]:
    """The corpus and its tokenizer: all that comes before tokenizing. Raises as `prepare_dataset`."""
    if tokenizer_cfg.path is not None:
        check_given(tokenizer_cfg)  # a wrong one is refused before the corpus is read
    corpus = prepare_corpus(cfg, home=home, progress=progress)
    tokenizer = prepare_tokenizer(
        lambda: sample_texts(corpus, split="train", limit=tokenizer_cfg.train_bytes),
        corpus_digest=corpus.digest,
        cfg=tokenizer_cfg,
        home=home,
        progress=progress,
    )
    return corpus, tokenizer


def prepare_dataset(
    cfg: DataConfig,
    *,
    tokenizer_cfg: TokenizerConfig,
    context: int,
    home: Home,
    progress: Progress | None = None,
    threads: int | None = None,
) -> DatasetRef:
    """Corpus, tokenizer and packed tokens; each found in the store, or built.

    *threads* (default: the cores given to this process) changes the speed and nothing else. Raises
    DataError for bad input, ConfigError for contradicting keys, StorageError for disk trouble.
    """
    corpus, tokenizer = prepare_texts(cfg, tokenizer_cfg=tokenizer_cfg, home=home, progress=progress)
    identity = {
        "kind": "dataset",
        "corpus": corpus.digest,
        "tokenizer": tokenizer.digest,
        "context": context,
        "packing": ALGORITHM,
        "code": digest_tree(Path(__file__).parent, pattern="**/*.py"),
    }
    digest = digest_json(identity)

    def build(stage: Path, meta: dict[str, Any]) -> None:
        encoder = FastEncoder.from_directory(tokenizer.directory, threads=threads)
        end_id = tokenizer.open().eos_id
        meta["splits"] = tokenize_corpus(
            corpus,
            stage,
            encoder=encoder,
            end_id=end_id,
            context=context,
            shard_tokens=cfg.shard_tokens,
            progress=progress,
        )
        meta.update(end_id=end_id, dtype=encoder.dtype.name, shard_tokens=cfg.shard_tokens)
        _check_rows(meta["splits"], context=context, cfg=cfg.split)

    directory = home.store / "datasets" / digest
    meta = {
        **identity,
        "digest": digest,
        "vocab_size": tokenizer.vocab_size,
        "inputs_sha256": corpus.manifest["inputs_sha256"],
    }
    manifest = find_or_build(directory, build=build, meta=meta)
    return DatasetRef(digest, directory, manifest, corpus, tokenizer)


def _check_rows(splits: dict[str, dict[str, Any]], *, context: int, cfg: SplitConfig) -> None:
    """Training needs one full row; what is evaluated needs one label."""
    for split, share in shares(cfg).items():
        least = context + 1 if split == "train" else 2
        if share > 0 and splits[split]["tokens"] < least:
            raise DataError(
                f"the split '{split}' is too small",
                code="data.small",
                got=f"{splits[split]['tokens']} tokens",
                wanted=f"at least {least} (model.context={context})",
                next_step="give more text, or make model.context smaller",
            )
