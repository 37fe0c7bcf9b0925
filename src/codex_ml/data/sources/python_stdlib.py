"""Source ``python_stdlib``: the running interpreter's own standard library, found on every machine."""

from __future__ import annotations

import sysconfig
from dataclasses import replace
from pathlib import Path

from codex_ml.config.schema.data import DataConfig
from codex_ml.data.sources.files import FilesSource


class PythonStdlibSource(FilesSource):
    """The library's Python files; installed packages are not part of it.

    It ships files in broken encodings on purpose, for its own tests, so what cannot be decoded is
    dropped and listed whatever ``data.on_error`` says.
    """

    honour_gitignore = False

    def __init__(self, cfg: DataConfig) -> None:
        super().__init__(replace(cfg, include=cfg.include or ("**/*.py",), on_error="skip"))

    def root(self) -> Path:
        return Path(sysconfig.get_path("stdlib"))
