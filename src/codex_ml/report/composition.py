"""What the model was trained and measured on, as tables and bars."""

from __future__ import annotations

from dataclasses import dataclass

from codex_ml.data.prepare import DatasetRef
from codex_ml.data.sft.prepare import SamplesRef
from codex_ml.data.stats import DatasetStats, Part, SplitStats, dataset_stats
from codex_ml.report.bars import Bar, bars
from codex_ml.report.numbers import number, percent, size

_MOST_LANGUAGES = 8


@dataclass(frozen=True)
class Composition:
    """``language`` is the one with the most bytes; *shares* are of languages, or of what samples hold."""

    summary: str
    columns: tuple[str, ...]
    splits: list[tuple[str, ...]]
    shares_title: str
    shares_note: str
    shares: list[Bar]
    groups: dict[str, list[Bar]]
    dropped: list[Bar]
    language: str


_SPLIT_COLUMNS = ("Split", "Documents", "Groups", "Bytes", "Tokens", "Bytes per token", "Rows")


_SAMPLE_COLUMNS = ("Split", "Samples", "Rows", "Tokens", "Trained tokens", "Padding", "Cut", "Left out")


def composition(dataset: DatasetRef | SamplesRef) -> Composition:
    """The composition of *dataset*; splits without a document are left out."""
    return _of_samples(dataset) if isinstance(dataset, SamplesRef) else _of_documents(dataset)


def _of_samples(dataset: SamplesRef) -> Composition:
    manifest = dataset.manifest
    splits = {name: row for name, row in manifest["splits"].items() if row["samples"]}
    kinds = {
        "trained": sum(row["trained_tokens"] for row in splits.values()),
        "masked": sum(row["tokens"] - row["trained_tokens"] for row in splits.values()),
        "padding": sum(row["padding"] for row in splits.values()),
    }
    total = sum(kinds.values())
    shares = [
        (name, float(count), f"{percent(count / total)} · {count:,} tokens") for name, count in kinds.items()
    ]
    dropped: dict[str, int] = {}
    for row in splits.values():
        for reason, count in row["dropped"].items():
            dropped[reason] = dropped.get(reason, 0) + count
    samples = sum(row["samples"] for row in splits.values())
    return Composition(
        summary=f"{samples:,} samples of the shape {manifest['format']}; only their answers are trained. "
        "Samples with the same prompt go to one split, so no prompt is in two.",
        columns=_SAMPLE_COLUMNS,
        splits=[
            (
                name,
                *(f"{row[key]:,}" for key in ("samples", "rows", "tokens", "trained_tokens", "padding")),
                f"{row['truncated']:,}",
                f"{sum(row['dropped'].values()):,}",
            )
            for name, row in splits.items()
        ],
        shares_title="Tokens",
        shares_note="Share of the positions of all rows.",
        shares=bars(shares, of="sum"),
        groups={},
        dropped=bars([(reason, float(n), f"{n:,}") for reason, n in sorted(dropped.items())], of="largest"),
        language="",
    )


def _of_documents(dataset: DatasetRef) -> Composition:
    stats = dataset_stats(dataset)
    used = [split for split in stats.splits if split.total.documents]
    languages = _languages(used)
    return Composition(
        summary=_summary(stats, used),
        columns=_SPLIT_COLUMNS,
        splits=[_split_row(split) for split in used],
        shares_title="Languages",
        shares_note="Share of bytes, all splits.",
        shares=_language_bars(languages),
        groups={split.name: _group_bars(split) for split in used},
        dropped=_dropped_bars(stats),
        language=next(iter(languages), ""),
    )


def _summary(stats: DatasetStats, used: list[SplitStats]) -> str:
    documents = sum(split.total.documents for split in used)
    left_out = sum(row["documents"] for row in stats.dropped.values())
    kept = sum(split.total.bytes for split in used)
    return (
        f"{stats.inputs:,} input files gave {documents:,} documents ({size(kept)}); "
        f"{left_out:,} were left out. Whole groups go to one split, so no group is in two."
    )


def _split_row(split: SplitStats) -> tuple[str, ...]:
    total = split.total
    return (
        split.name,
        f"{total.documents:,}",
        f"{split.groups:,}",
        size(total.bytes),
        f"{total.tokens:,}",
        number(total.bytes_per_token, digits=3),
        f"{split.rows:,}",
    )


def _languages(splits: list[SplitStats]) -> dict[str, Part]:
    """The languages of all splits together, the largest first."""
    sums: dict[str, Part] = {}
    for split in splits:
        for name, part in split.languages.items():
            one = sums.setdefault(name, Part())
            one.documents += part.documents
            one.bytes += part.bytes
            one.tokens += part.tokens
    return dict(sorted(sums.items(), key=lambda item: (-item[1].bytes, item[0])))


def _language_bars(languages: dict[str, Part]) -> list[Bar]:
    total = sum(part.bytes for part in languages.values())
    shown = list(languages.items())[:_MOST_LANGUAGES]
    rest = list(languages.values())[_MOST_LANGUAGES:]
    rows = [(name, float(part.bytes), _part(part, of=total)) for name, part in shown]
    if rest:
        others = Part(*(sum(getattr(part, key) for part in rest) for key in ("documents", "bytes", "tokens")))
        rows.append((f"{len(rest)} more", float(others.bytes), _part(others, of=total)))
    return bars(rows, of="sum")


def _group_bars(split: SplitStats) -> list[Bar]:
    total, groups = split.total.bytes, split.largest_groups
    rows = [(name, float(part.bytes), _part(part, of=total)) for name, part in groups.items()]
    return bars(rows, of="largest")


def _part(part: Part, *, of: int) -> str:
    share = percent(part.bytes / of) if of else "0 %"
    return f"{share} · {size(part.bytes)} · {part.documents:,} {'file' if part.documents == 1 else 'files'}"


def _dropped_bars(stats: DatasetStats) -> list[Bar]:
    rows = [
        (reason, float(row["documents"]), f"{row['documents']:,} · {size(row['bytes'])}")
        for reason, row in sorted(stats.dropped.items(), key=lambda item: (-item[1]["documents"], item[0]))
    ]
    return bars(rows, of="largest")
