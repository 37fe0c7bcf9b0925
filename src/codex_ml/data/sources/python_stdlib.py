"""Source ``python_stdlib``: the running interpreter's own standard library, found on every machine."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from codex_ml.data.sources.files import FilesSource


class PythonStdlibSource(FilesSource):
    """The library's source files; installed packages are not part of it."""

    honour_gitignore = False

    def root(self) -> Path:
        return Path(sysconfig.get_path("stdlib"))
