"""What a dataset is made of: documents, bytes and tokens by split and language; what was dropped and why."""

from __future__ import annotations

from dataclasses import dataclass, field

from codex_ml.core.languages import language
from codex_ml.data.columns import read_rows
from codex_ml.data.prepare import DatasetRef
from codex_ml.data.split import SPLITS
from codex_ml.data.tokenize import DOCUMENTS_FILE


@dataclass
class Part:
    """Sums over documents; *tokens* counts the end token of each."""

    documents: int = 0
    bytes: int = 0
    tokens: int = 0

    def add(self, size: int, tokens: int) -> None:
        self.documents += 1
        self.bytes += size
        self.tokens += tokens

    @property
    def bytes_per_token(self) -> float:
        return self.bytes / self.tokens if self.tokens else 0.0


@dataclass
class SplitStats:
    name: str
    rows: int
    groups: int
    total: Part = field(default_factory=Part)
    languages: dict[str, Part] = field(default_factory=dict)
    largest_groups: dict[str, Part] = field(default_factory=dict)


@dataclass
class DatasetStats:
    digest: str
    inputs: int
    splits: list[SplitStats]
    dropped: dict[str, dict[str, int]]


def dataset_stats(dataset: DatasetRef, *, groups: int = 10) -> DatasetStats:
    """The composition of *dataset*, with the *groups* largest groups of each split."""
    figures = dataset.manifest["splits"]
    splits = {name: SplitStats(name, figures[name]["rows"], figures[name]["groups"]) for name in SPLITS}
    by_group: dict[str, dict[str, Part]] = {name: {} for name in SPLITS}
    columns = ["split", "group", "path", "bytes", "token_count"]
    for split, group, path, size, tokens in read_rows(dataset.directory / DOCUMENTS_FILE, columns=columns):
        stats = splits[split]
        stats.total.add(size, tokens)
        stats.languages.setdefault(language(path), Part()).add(size, tokens)
        by_group[split].setdefault(group, Part()).add(size, tokens)
    for name, stats in splits.items():
        stats.languages = _largest(stats.languages, len(stats.languages))
        stats.largest_groups = _largest(by_group[name], groups)
    return DatasetStats(
        digest=dataset.digest,
        inputs=len(dataset.corpus.manifest["inputs"]),
        splits=list(splits.values()),
        dropped=dict(sorted(dataset.corpus.manifest["dropped"].items())),
    )


def _largest(parts: dict[str, Part], count: int) -> dict[str, Part]:
    ordered = sorted(parts.items(), key=lambda item: (-item[1].bytes, item[0]))
    return dict(ordered[:count])
