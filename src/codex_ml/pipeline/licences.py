"""The licences of a run's documents: what their own text states, else a licence file beside the source."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codex_ml.core.paths import Home
from codex_ml.data.columns import read_rows
from codex_ml.safety.licences import UNKNOWN, licence_above, stated_in

if TYPE_CHECKING:
    from codex_ml.pipeline.lineage import TrainData

log = logging.getLogger(__name__)


class Licences:
    """Looks a document's licence up; "unknown" wherever it is not stated plainly.

    The text of a document comes from the corpus in the store, byte for byte what was trained on. A licence
    file is looked for where the source lay, and counts only while it lies there: its path is given.
    """

    def __init__(self, corpus: Path | None, root: Path | None) -> None:
        self._corpus, self._root = corpus, root
        self._folders: dict[str, tuple[str, str]] = {}
        self._known: dict[str, str] | None = None

    @classmethod
    def of(cls, record: dict[str, Any], data: TrainData, home: Home) -> Licences:
        corpus = None if data.samples else home.store / "corpora" / str(data.manifest["corpus"])
        return cls(corpus if corpus is not None and corpus.is_dir() else None, _root(record))

    def look_up(self, names: Collection[str]) -> None:
        """Read the texts of these documents alone, where the others' licences are not asked for."""
        self._known = self._read(set(names))

    def of_document(self, name: str, path: str) -> tuple[str, str]:
        """Licence and where it is stated ("document", the path of a licence file, or "")."""
        if self._known is None:
            self._known = self._read(None)
        stated = self._known.get(name)
        if stated is not None:
            return stated, "document"
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            self._folders[folder] = self._beside(path)
        return self._folders[folder]

    def _read(self, wanted: set[str] | None) -> dict[str, str]:
        """Document -> the licence in its own text, where it has one; None asks for all documents."""
        if self._corpus is None:
            return {}
        found, left = {}, None if wanted is None else len(wanted)
        for name, text in read_rows(self._corpus / "train.parquet", columns=["id", "text"]):
            if left == 0:
                break
            if wanted is not None and name not in wanted:
                continue
            left = None if left is None else left - 1
            if (licence := stated_in(text)) is not None:
                found[name] = licence
        return found

    def _beside(self, path: str) -> tuple[str, str]:
        if self._root is None:
            return UNKNOWN, ""
        try:
            found = licence_above(self._root, path)
        except OSError as error:
            log.info("no licence file could be read for %s: %s", path, error)
            return UNKNOWN, ""
        return (found[0], str(found[1])) if found else (UNKNOWN, "")


def _root(record: dict[str, Any]) -> Path | None:
    """The folder that paths of documents start from, while it is there."""
    data = record["config"]["data"]
    if data["source"] == "python_stdlib":
        import sysconfig

        return Path(sysconfig.get_paths()["stdlib"])
    if data["path"] is None:
        return None
    path = Path(data["path"]).expanduser()
    folder = path if path.is_dir() else path.parent
    return folder if folder.is_dir() else None


def licence_shares(licences: Licences, documents: list[tuple[str, str, int]]) -> dict[str, dict[str, int]]:
    """Licence -> documents and tokens, the most tokens first; *documents* are id, path and tokens."""
    counts: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    for name, path, size in documents:
        licence, _ = licences.of_document(name, path)
        counts[licence] += 1
        tokens[licence] += size
    return {name: {"documents": counts[name], "tokens": size} for name, size in tokens.most_common()}
