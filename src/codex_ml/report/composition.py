"""What the model was trained and measured on, as tables and bars."""

from __future__ import annotations

from dataclasses import dataclass

from codex_ml.data.prepare import DatasetRef
from codex_ml.data.stats import DatasetStats, Part, SplitStats, dataset_stats
from codex_ml.report.bars import Bar, bars
from codex_ml.report.numbers import number, percent, size

_MOST_LANGUAGES = 8


@dataclass(frozen=True)
class Composition:
    """``language`` is the one with the most bytes."""

    summary: str
    splits: list[tuple[str, ...]]
    languages: list[Bar]
    groups: dict[str, list[Bar]]
    dropped: list[Bar]
    language: str


SPLIT_COLUMNS = ("Split", "Documents", "Groups", "Bytes", "Tokens", "Bytes per token", "Rows")


def composition(dataset: DatasetRef) -> Composition:
    """The composition of *dataset*; splits without a document are left out."""
    stats = dataset_stats(dataset)
    used = [split for split in stats.splits if split.total.documents]
    languages = _languages(used)
    return Composition(
        summary=_summary(stats, used),
        splits=[_split_row(split) for split in used],
        languages=_language_bars(languages),
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
