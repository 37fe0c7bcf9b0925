"""Source ``files``: the files of a folder that globs name, .gitignore honoured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from codex_ml.config.schema.data import DataConfig
from codex_ml.data.document import Document, Dropped, InputFile
from codex_ml.data.sources.common import (
    given_path,
    hash_input,
    nothing_found,
    posix_name,
    read_document,
    unreadable,
    wanted_globs,
)
from codex_ml.data.sources.walk import globs, walk


class FilesSource:
    """Every file below ``data.path`` that the globs take; one file is a source of its own."""

    honour_gitignore = True

    def __init__(self, cfg: DataConfig) -> None:
        self.cfg = cfg
        self._found: list[tuple[InputFile, Path]] | None = None

    @property
    def origin(self) -> dict[str, str]:
        return {}

    def root(self) -> Path:
        return given_path(self.cfg)

    def inputs(self) -> list[InputFile]:
        return [item for item, _ in self._files()]

    def documents(self) -> Iterator[Document | Dropped]:
        for item, path in self._files():
            if not item.sha256:
                problem = unreadable(path, OSError("it could not be hashed"))
                yield Dropped(item.path, item.path, 0, problem.code, problem.what)
            else:
                yield read_document(path, item=item, cfg=self.cfg)

    def _files(self) -> list[tuple[InputFile, Path]]:
        if self._found is None:
            skip = self.cfg.on_error == "skip"
            self._found = [(hash_input(path, name=name, skip=skip), path) for name, path in self._select()]
        return self._found

    def _select(self) -> list[tuple[str, Path]]:
        root = self.root()
        if not root.is_dir():
            return [(posix_name(root.name), root)]
        include, exclude = globs(wanted_globs(self.cfg)), globs(self.cfg.exclude)
        chosen = [
            (name, path)
            for name, path in walk(root, honour_gitignore=self.honour_gitignore)
            if include.match_file(name) and not exclude.match_file(name)
        ]
        if not chosen:
            raise nothing_found(self.cfg, root)
        return chosen
