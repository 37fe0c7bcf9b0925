"""A data source: the text files of a folder, each line numbered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from codex_ml.config.schema.data import DataConfig
from codex_ml.core.digest import digest_file
from codex_ml.data.document import Document, Dropped, InputFile
from codex_ml.data.sources.common import given_path, group_of

CODEX_ML_CONTRACT = {"data_sources": 1}


class NumberedSource:
    """``data.source=numbered data.path=FOLDER``; without ``data.include`` all ``*.txt`` and ``*.py``."""

    def __init__(self, cfg: DataConfig) -> None:
        self._cfg = cfg
        self._root = given_path(cfg)

    @property
    def origin(self) -> dict[str, str]:
        return {"numbered": "1"}

    def inputs(self) -> list[InputFile]:
        return [
            InputFile(path.relative_to(self._root).as_posix(), path.stat().st_size, digest_file(path))
            for path in self._files()
        ]

    def documents(self) -> Iterator[Document | Dropped]:
        for path in self._files():
            name = path.relative_to(self._root).as_posix()
            lines = path.read_text(encoding="utf-8").splitlines()
            text = "".join(f"{number}: {line}\n" for number, line in enumerate(lines, start=1))
            yield Document(name, group_of(name, depth=self._cfg.group_depth), name, text.encode())

    def _files(self) -> list[Path]:
        globs = self._cfg.include or ("**/*.txt", "**/*.py")
        return sorted({path for glob in globs for path in self._root.glob(glob) if path.is_file()})
