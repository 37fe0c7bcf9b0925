"""`codex-ml tokenizer train|eval|encode|decode`."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from codex_ml.cli.common import Invocation, common_options, config_options

if TYPE_CHECKING:
    from codex_ml.data.corpus import CorpusRef
    from codex_ml.interfaces.tokenizer import TokenizerAdapter
    from codex_ml.tokenization.evaluate import TokenizerReport
    from codex_ml.tokenization.store import TokenizerRef


@click.group("tokenizer")
def command() -> None:
    """Train a tokenizer offline, measure it, use it."""


@command.command("train")
@common_options
@config_options
def train(invocation: Invocation, overrides: tuple[str, ...], config_dir: Path | None) -> None:
    """Train byte-level BPE on the train split of the config's data; found when already trained."""
    _, found = _prepare(invocation, overrides, config_dir)
    record = {"tokenizer": found.digest, "path": str(found.directory), "vocab_size": found.vocab_size}
    invocation.emit(record, f"tokenizer {found.digest}\n  {found.directory}\n  {found.vocab_size:,} entries")


@command.command("eval")
@common_options
@config_options
@click.option("--against", type=click.Path(path_type=Path), help="Another tokenizer's directory.")
@click.option(
    "--split", type=click.Choice(["train", "validation", "test"]), default="validation", show_default=True
)
def evaluate(
    invocation: Invocation,
    overrides: tuple[str, ...],
    config_dir: Path | None,
    against: Path | None,
    split: str,
) -> None:
    """Bytes per token by language on held-out text, beside another tokenizer."""
    from codex_ml.tokenization.evaluate import evaluate_tokenizer

    corpus, found = _prepare(invocation, overrides, config_dir)
    texts = ((document.path, document.text) for document in corpus.documents(split))
    report = evaluate_tokenizer(found.directory, texts=texts, against=against)
    invocation.emit(dataclasses.asdict(report), _report_text(report))


@command.command("encode")
@common_options
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("text")
def encode(invocation: Invocation, directory: Path, text: str) -> None:
    """Token ids of TEXT (- reads standard input) under the tokenizer in DIRECTORY.

    DIRECTORY holds a tokenizer.json, or a SentencePiece model.
    """
    content = sys.stdin.read() if text == "-" else text
    ids = _open(directory).encode(content)
    invocation.emit({"ids": ids, "tokens": len(ids)}, " ".join(map(str, ids)))


@command.command("decode")
@common_options
@click.argument("directory", type=click.Path(path_type=Path))
@click.argument("ids", nargs=-1, required=True, type=click.IntRange(0))
def decode(invocation: Invocation, directory: Path, ids: tuple[int, ...]) -> None:
    """The text of token IDS under the tokenizer in DIRECTORY."""
    from codex_ml.errors import DataError

    tokenizer = _open(directory)
    unknown = [token for token in ids if token >= tokenizer.vocab_size]
    if unknown:
        raise DataError(
            "there is no such token",
            code="tokenizer.id",
            got=unknown[0],
            wanted=f"0 to {tokenizer.vocab_size - 1}",
        )
    text = tokenizer.decode(list(ids))
    invocation.emit({"text": text}, text)


def _open(directory: Path) -> TokenizerAdapter:
    """The tokenizer in *directory*: SentencePiece where its model stands alone, else Hugging Face."""
    from codex_ml.tokenization.hf_tokenizer import TOKENIZER_JSON, HFTokenizerAdapter
    from codex_ml.tokenization.sentencepiece_adapter import SentencePieceAdapter
    from codex_ml.tokenization.sentencepiece_model import find_model

    # Llama's directories hold both kinds for the same tokens; tokenizer.json is read faster.
    if not (directory / TOKENIZER_JSON).is_file() and find_model(directory) is not None:
        return SentencePieceAdapter(directory)
    return HFTokenizerAdapter(directory)


def _prepare(
    invocation: Invocation, overrides: tuple[str, ...], config_dir: Path | None
) -> tuple[CorpusRef, TokenizerRef]:
    from codex_ml.data.prepare import prepare_texts

    config = invocation.compose(overrides, config_dir).config
    return prepare_texts(
        config.data,
        tokenizer_cfg=config.tokenizer,
        home=invocation.home,
        progress=invocation.reporter().progress,
    )


def _report_text(report: TokenizerReport) -> str:
    lines = [f"{report.directory}: {report.vocab_size:,} entries"]
    if report.against is not None:
        lines.append(f"against {report.against}: {report.other_vocab_size:,} entries")
    for row in report.rows:
        other = "" if row.other_bytes_per_token is None else f"  other {row.other_bytes_per_token:.3f}"
        lines.append(
            f"  {row.language:<16}{row.documents:>7,} documents {row.bytes:>12,} bytes"
            f"  {row.bytes_per_token:.3f} bytes/token{other}"
        )
    return "\n".join(lines)
