"""Keep tokenizers in the store by content: trained once per recipe, or copied from a given directory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_ml.config.schema.tokenizer import TokenizerConfig
from codex_ml.core.digest import digest_bytes, digest_json, digest_tree, merkle_root
from codex_ml.core.paths import Home
from codex_ml.core.publish import exclusive, read_json, verify_directory, write_json
from codex_ml.core.store import find_or_build
from codex_ml.errors import ConfigError, IntegrityError
from codex_ml.interfaces.progress import Progress
from codex_ml.tokenization.bpe import train_bpe
from codex_ml.tokenization.engine import FastEncoder
from codex_ml.tokenization.hf_tokenizer import (
    TOKENIZER_CONFIG,
    TOKENIZER_JSON,
    HFTokenizerAdapter,
    read_tokenizer_json,
)
from codex_ml.tokenization.special import END, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, PAD

#: Files of a Hugging Face tokenizer directory that are kept.
KEPT = (
    TOKENIZER_JSON,
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
)
Texts = Callable[[], Iterator[str]]
Files = dict[str, bytes]


@dataclass(frozen=True)
class TokenizerRef:
    """A verified tokenizer in the store; *digest* is the digest of its files."""

    digest: str
    directory: Path
    vocab_size: int
    manifest: dict[str, Any]

    def open(self) -> HFTokenizerAdapter:
        return HFTokenizerAdapter(self.directory)


def prepare_tokenizer(
    texts: Texts, *, corpus_digest: str, cfg: TokenizerConfig, home: Home, progress: Progress | None = None
) -> TokenizerRef:
    """The tokenizer that *cfg* asks for: the one at ``cfg.path``, else one trained on *texts*.

    *corpus_digest* names the bytes that *texts* yields; an equal recipe finds the trained tokenizer
    again without reading them. Raises ConfigError for another vocabulary size than asked for.
    """
    if cfg.path is not None:
        return _keep(check_given(cfg), home=home, meta={"origin": "given"})
    recipe = {
        "corpus": corpus_digest,
        "vocab_size": cfg.vocab_size,
        "train_bytes": cfg.train_bytes,
        "code": digest_tree(Path(__file__).parent, pattern="*.py"),
    }
    pointer = home.store / "recipes" / f"{digest_json(recipe)}.json"
    with exclusive(home.store / "locks" / f"recipe-{pointer.stem}"):
        known = _follow(pointer)
        if known is not None:
            return known
        if progress is not None:
            progress(0, None, "train tokenizer")
        ref = _keep(_train(texts(), cfg=cfg), home=home, meta={"origin": "trained", "recipe": recipe})
        write_json(pointer, {"tokenizer": ref.digest, "recipe": recipe})
    if progress is not None:
        progress(cfg.vocab_size, cfg.vocab_size, "train tokenizer")
    return ref


def check_given(cfg: TokenizerConfig) -> Files:
    """The files of the tokenizer at ``cfg.path``. Raises ConfigError when it is not what is asked for."""
    assert cfg.path is not None
    directory = Path(cfg.path).expanduser()
    files = _read(directory, vocab_size=cfg.vocab_size)
    FastEncoder.from_directory(directory, threads=1)  # refuses what token files cannot hold
    return files


def keep_given(cfg: TokenizerConfig, *, home: Home) -> TokenizerRef:
    """The tokenizer at ``cfg.path``, of any kind that the library reads: samples hold the ids of all.

    Raises ConfigError when it is not what is asked for.
    """
    assert cfg.path is not None
    files = _read(Path(cfg.path).expanduser(), vocab_size=cfg.vocab_size)
    return _keep(files, home=home, meta={"origin": "given"})


def open_tokenizer(directory: Path) -> TokenizerRef:
    """The store entry *directory*, verified. Raises IntegrityError."""
    manifest = verify_directory(directory)
    return TokenizerRef(manifest["digest"], directory, int(manifest["vocab_size"]), manifest)


def _follow(pointer: Path) -> TokenizerRef | None:
    """The tokenizer an earlier run trained; None where it is absent or damaged, so that it is rebuilt."""
    try:
        name = read_json(pointer)["tokenizer"]
        return open_tokenizer(pointer.parent.parent / "tokenizers" / name)
    except (FileNotFoundError, IntegrityError, KeyError, TypeError):
        return None


def _train(texts: Iterator[str], *, cfg: TokenizerConfig) -> Files:
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "extra_special_tokens": [FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX],
        "clean_up_tokenization_spaces": False,
        "add_prefix_space": False,
    }
    content = json.loads(train_bpe(texts, vocab_size=cfg.vocab_size).to_str())
    return {
        TOKENIZER_JSON: (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8"),
        TOKENIZER_CONFIG: (json.dumps(settings, indent=1, sort_keys=True) + "\n").encode("utf-8"),
    }


def _read(directory: Path, *, vocab_size: int) -> Files:
    """The files to keep. With a *vocab_size* of 0 the tokenizer may have as many entries as it has."""
    read_tokenizer_json(directory)
    adapter = HFTokenizerAdapter(directory)
    if vocab_size not in (0, adapter.vocab_size):
        raise ConfigError(
            f"the tokenizer {directory} has another vocabulary than the config",
            code="tokenizer.vocab",
            got=f"{adapter.vocab_size} entries",
            wanted=f"tokenizer.vocab_size={vocab_size}",
            next_step=f"set tokenizer.vocab_size={adapter.vocab_size}",
        )
    _ = adapter.eos_id  # without an end token documents could not be parted
    return {name: (directory / name).read_bytes() for name in KEPT if (directory / name).is_file()}


def _keep(files: Files, *, home: Home, meta: dict[str, Any]) -> TokenizerRef:
    rows = [(name, len(data), digest_bytes(data)) for name, data in files.items()]
    digest = merkle_root(rows)

    def build(stage: Path, meta: dict[str, Any]) -> None:
        for name, data in files.items():
            (stage / name).write_bytes(data)
        meta["vocab_size"] = HFTokenizerAdapter(stage).vocab_size

    directory = home.store / "tokenizers" / digest
    manifest = find_or_build(directory, build=build, meta={"kind": "tokenizer", "digest": digest, **meta})
    return TokenizerRef(digest, directory, int(manifest["vocab_size"]), manifest)
