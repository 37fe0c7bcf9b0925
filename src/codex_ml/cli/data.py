"""`codex-ml data prepare|inspect|stats`: the documents, tokens and rows that training sees."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codex_ml.cli.common import Invocation, common_options, config_options

if TYPE_CHECKING:
    from codex_ml.data.inspect import RowView
    from codex_ml.data.prepare import DatasetRef
    from codex_ml.data.sft.prepare import SamplesRef
    from codex_ml.data.stats import DatasetStats


@click.group("data")
def command() -> None:
    """Prepare data, and look at what came out."""


@command.command("prepare")
@common_options
@config_options
def prepare(invocation: Invocation, overrides: tuple[str, ...], config_dir: Path | None) -> None:
    """Clean, deduplicate, split, tokenize and pack; found at once when already in the store."""
    from codex_ml.cli import samples
    from codex_ml.data.sft.prepare import SamplesRef

    dataset = _dataset(invocation, overrides, config_dir)
    if isinstance(dataset, SamplesRef):
        invocation.emit(*samples.prepared(dataset))
        return
    splits = {
        name: {"rows": split.rows, "tokens": split.tokens, "bytes": split.bytes, "documents": split.documents}
        for name, split in ((name, dataset.split(name)) for name in ("train", "validation", "test"))
    }
    record = {
        "dataset": dataset.digest,
        "path": str(dataset.directory),
        "tokenizer": dataset.tokenizer.digest,
        "corpus": dataset.corpus.digest,
        "splits": splits,
    }
    lines = [f"dataset {dataset.digest}", f"  {dataset.directory}"]
    lines += [
        f"  {name:<12}{row['documents']:>8,} documents  {row['bytes']:>13,} bytes  "
        f"{row['tokens']:>12,} tokens  {row['rows']:>9,} rows"
        for name, row in splits.items()
    ]
    invocation.emit(record, "\n".join(lines))


@command.command("stats")
@common_options
@config_options
@click.option("--groups", type=click.IntRange(1), default=10, show_default=True, help="Largest groups shown.")
def stats(invocation: Invocation, overrides: tuple[str, ...], config_dir: Path | None, groups: int) -> None:
    """What the dataset is made of: languages, groups, and every reason for a dropped document."""
    from codex_ml.cli import samples
    from codex_ml.data.sft.prepare import SamplesRef
    from codex_ml.data.stats import dataset_stats

    dataset = _dataset(invocation, overrides, config_dir)
    if isinstance(dataset, SamplesRef):
        invocation.emit(*samples.stats(dataset))
        return
    found = dataset_stats(dataset, groups=groups)
    invocation.emit(dataclasses.asdict(found), _stats_text(found))


@command.command("inspect")
@common_options
@config_options
@click.option(
    "--split", type=click.Choice(["train", "validation", "test"]), default="train", show_default=True
)
@click.option("--row", type=click.IntRange(0), default=0, show_default=True, help="Which packed row.")
@click.option("--tokens", is_flag=True, help="Show where one token ends and the next begins.")
def inspect(
    invocation: Invocation,
    overrides: tuple[str, ...],
    config_dir: Path | None,
    split: str,
    row: int,
    tokens: bool,
) -> None:
    """Show one packed row: its documents or samples, what of it is trained, and where each ends."""
    from codex_ml.cli import samples
    from codex_ml.data.inspect import inspect_row
    from codex_ml.data.sft.prepare import SamplesRef
    from codex_ml.pipeline.kept import kept_lines

    dataset = _dataset(invocation, overrides, config_dir)
    if isinstance(dataset, SamplesRef):
        colour = sys.stdout.isatty() and not invocation.as_json
        for line in kept_lines(dataset):
            invocation.reporter().say(line)
        invocation.emit(*samples.row(dataset, split=split, row=row, tokens=tokens, colour=colour))
        return
    view = inspect_row(dataset, split=split, row=row)
    invocation.emit(dataclasses.asdict(view), _row_text(view, tokens=tokens))


def _dataset(
    invocation: Invocation, overrides: tuple[str, ...], config_dir: Path | None
) -> DatasetRef | SamplesRef:
    from codex_ml.data.select import prepare_for

    config = invocation.compose(overrides, config_dir).config
    return prepare_for(config, home=invocation.home, progress=invocation.reporter().progress)


def _stats_text(found: DatasetStats) -> str:
    lines = [f"dataset {found.digest}", f"inputs: {found.inputs:,} files"]
    for split in found.splits:
        total = split.total
        lines.append(
            f"{split.name}: {total.documents:,} documents in {split.groups:,} groups, {total.bytes:,} bytes, "
            f"{total.tokens:,} tokens ({total.bytes_per_token:.2f} bytes/token), {split.rows:,} rows"
        )
        for title, parts in (("language", split.languages), ("group", split.largest_groups)):
            for name, part in parts.items():
                lines.append(
                    f"  {title:<9} {name:<28.28}{part.documents:>7,} documents {part.bytes:>12,} bytes"
                    f"{part.bytes_per_token:>7.2f} bytes/token"
                )
    lines.append("dropped: " + ("none" if not found.dropped else ""))
    for reason, row in found.dropped.items():
        lines.append(f"  {reason}: " + ", ".join(f"{key} {value:,}" for key, value in row.items()))
    return "\n".join(lines)


def _row_text(view: RowView, *, tokens: bool) -> str:
    lines = [f"{view.split} row {view.row} of {view.rows:,}: {view.context} tokens, {view.labels} labels"]
    for segment in view.segments:
        document: Any = segment.document
        lines.append(f"━━ {document.path}  tokens {document.start}–{document.stop} of the row")
        body = "│".join(segment.tokens) if tokens else segment.text
        lines += [f"   {line}" for line in body.splitlines() or [""]]
    lines.append("━━ end of row")
    return "\n".join(lines)
