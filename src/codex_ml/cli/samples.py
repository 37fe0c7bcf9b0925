"""How `codex-ml data` shows samples: figures, and a row with trained, masked and padded text told apart."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codex_ml.data.sft.inspect import SampleRowView, SampleView, Segment
    from codex_ml.data.sft.prepare import SamplesRef

#: A record for --json and a text for people.
Shown = tuple[dict[str, Any], str]
_STYLES = {"trained": "green", "masked": "dim", "padding": "grey50"}
_MARGINS = {"trained": "trained │ ", "masked": "masked  │ ", "padding": "padding │ "}


def prepared(dataset: SamplesRef) -> Shown:
    """What `data prepare` says."""
    from codex_ml.data.split import SPLITS

    manifest = dataset.manifest
    record = {
        "dataset": dataset.digest,
        "path": str(dataset.directory),
        "tokenizer": dataset.tokenizer.digest,
        "format": manifest["format"],
        "template_sha256": manifest["template_sha256"],
        "splits": manifest["splits"],
        "dropped": manifest["dropped"],
    }
    lines = [f"samples {dataset.digest}", f"  {dataset.directory}", f"  format {manifest['format']}"]
    lines += [f"  {name:<12}{_figures(manifest['splits'][name])}" for name in SPLITS]
    lines.append(_dropped(manifest["dropped"]))
    return record, "\n".join(lines)


def stats(dataset: SamplesRef) -> Shown:
    """What `data stats` says."""
    from codex_ml.data.sft.inspect import sample_stats

    found = sample_stats(dataset)
    lines = [f"samples {found['digest']}", f"inputs: {found['inputs']:,} files, format {found['format']}"]
    for name, split in found["splits"].items():
        lengths = split["lengths"]
        lines.append(f"{name}: {_figures(split)}")
        lines.append(
            f"  trained {split['trained_share']:.1%} of the tokens, "
            f"padding {split['padding_share']:.1%} of the columns, {split['truncated']:,} samples cut"
        )
        lines.append(
            f"  tokens of a sample: {lengths['least']:,} to {lengths['most']:,}, "
            f"median {lengths['median']:,}, nine of ten below {lengths['p90'] + 1:,}"
        )
    lines.append(_dropped(found["dropped"]))
    return found, "\n".join(lines)


def row(dataset: SamplesRef, *, split: str, row: int, tokens: bool, colour: bool) -> Shown:
    """What `data inspect` says: coloured for a terminal, with a margin of words elsewhere."""
    from codex_ml.data.sft.inspect import inspect_samples

    view = inspect_samples(dataset, split=split, row=row)
    return dataclasses.asdict(view), (_coloured if colour else _plain)(view, tokens)


def _figures(split: dict[str, Any]) -> str:
    return (
        f"{split['samples']:>8,} samples  {split['tokens']:>11,} tokens  "
        f"{split['trained_tokens']:>11,} trained  {split['rows']:>8,} rows"
    )


def _dropped(dropped: dict[str, int]) -> str:
    if not dropped:
        return "dropped: none"
    return "dropped: " + ", ".join(f"{count:,} {reason}" for reason, count in dropped.items())


def _head(view: SampleRowView) -> str:
    return (
        f"{view.split} row {view.row} of {view.rows:,}: {view.context} columns, {len(view.samples)} samples, "
        f"{view.labels} trained, {view.padding} padding"
    )


def _title(sample: SampleView) -> str:
    return (
        f"━━ {sample.place}  columns {sample.start}–{sample.stop}, "
        f"{sample.trained} trained, {sample.masked} masked"
    )


def _padding(view: SampleRowView) -> str:
    return f"{view.padding} × {view.pad_token}"


def _body(segment: Segment, tokens: bool) -> str:
    return "│".join(segment.tokens) if tokens else segment.text


def _plain(view: SampleRowView, tokens: bool) -> str:
    lines = [_head(view)]
    for sample in view.samples:
        lines.append(_title(sample))
        for segment in sample.segments:
            margin = _MARGINS[segment.kind]
            lines += [margin + line for line in _body(segment, tokens).splitlines() or [""]]
    if view.padding:
        lines += ["━━ padding", _MARGINS["padding"] + _padding(view)]
    return "\n".join([*lines, "━━ end of row"])


def _coloured(view: SampleRowView, tokens: bool) -> str:
    import io

    from rich.console import Console
    from rich.text import Text

    text = Text(_head(view) + "\n")
    text.append("trained", style=_STYLES["trained"]).append(" · ").append("masked", style=_STYLES["masked"])
    text.append(" · ").append("padding\n", style=_STYLES["padding"])
    for sample in view.samples:
        text.append(_title(sample) + "\n", style="bold")
        for segment in sample.segments:
            text.append(_body(segment, tokens), style=_STYLES[segment.kind])
        if not text.plain.endswith("\n"):
            text.append("\n")
    if view.padding:
        text.append("━━ padding\n", style="bold").append(_padding(view) + "\n", style=_STYLES["padding"])
    text.append("━━ end of row", style="bold")
    # Wrapping is the terminal's: a line of code is copied as it is.
    console = Console(file=io.StringIO(), force_terminal=True, width=10**6, highlight=False)
    with console.capture() as captured:
        console.print(text, soft_wrap=True, end="")
    return captured.get()
