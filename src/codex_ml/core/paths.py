"""Where things live: CODEX_HOME (default: the current directory) holds runs/ and .codex/."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The directories of one workspace."""

    root: Path

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def store(self) -> Path:
        return self.root / ".codex" / "store"

    @property
    def compile_cache(self) -> Path:
        return self.root / ".codex" / "cache" / "inductor"

    @property
    def weights_cache(self) -> Path:
        """Weights of sharded checkpoints, put together; may be deleted at any time."""
        return self.root / ".codex" / "cache" / "weights"

    def sweep(self, name: str) -> Path:
        """What a sweep keeps beside its trials, which are ordinary runs."""
        return self.root / "sweeps" / name

    @property
    def runs_index(self) -> Path:
        """What `runs ls` knows of each run; rebuilt from the runs when it is lost."""
        return self.root / ".codex" / "cache" / "runs-index.json"

    def run(self, name: str) -> Path:
        return self.runs / name


def home() -> Home:
    """The workspace named by CODEX_HOME, else the current directory."""
    return Home(Path(os.environ.get("CODEX_HOME") or ".").expanduser().absolute())
