"""runs/<name>/: who made it, whether the same command may go on in it, and one writer at a time."""

from __future__ import annotations

import fcntl
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_ml.core.digest import digest_file, digest_json
from codex_ml.core.publish import exclusive, fsync_path, make_directory, read_json, write_json, writing
from codex_ml.errors import IntegrityError, UsageError, did_you_mean

FORMAT = 1
OWN_DIGEST = "manifest_sha256"
#: Seconds for which a lock that cannot be had may be that of a mere reader.
_LOOKING = 0.2
#: Folders whose files are listed in manifests of their own.
_OWN_MANIFEST = ("checkpoints", "export")

#: What a manifest holds, and of which type.
_PARTS = {
    "run_id": str,
    "identity": dict,
    "identity_sha256": str,
    "config": dict,
    "resolved": dict,
    "inputs": dict,
    "provenance": dict,
    "segments": list,
}


@dataclass(frozen=True)
class RunDirectory:
    """The paths of one run."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def manifest(self) -> Path:
        return self.path / "run.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def newest_step(self) -> int:
        """The step of the newest checkpoint by name, not verified; 0 without any."""
        names = [path.name[5:].partition(".")[0] for path in self.checkpoints.glob("step-*")]
        return max((int(name) for name in names if name.isdigit()), default=0)

    @property
    def journal(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.ndjson"

    @property
    def evaluations(self) -> Path:
        return self.path / "eval"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def export(self) -> Path:
        return self.path / "export"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def read(self) -> dict[str, Any]:
        """The run's manifest. Raises UsageError when there is none, IntegrityError for another format."""
        if not self.manifest.is_file():
            raise UsageError(
                f"there is no run in {self.path}",
                code="run.missing",
                next_step="list the runs with `codex-ml runs ls`",
            )
        record: Any = read_json(self.manifest)
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise IntegrityError(
                f"{self.manifest} is of another format",
                code="run.format",
                got=record.get("format") if isinstance(record, dict) else type(record).__name__,
                wanted=FORMAT,
                next_step="use the version of codex-ml that wrote it",
            )
        for name, kind in _PARTS.items():
            if not isinstance(record.get(name), kind):
                raise IntegrityError(
                    f"{self.manifest} is damaged: '{name}' is not what it must be",
                    code="run.damaged",
                    got=type(record.get(name)).__name__,
                    wanted=kind.__name__,
                    next_step="restore the file, or start again with --fresh (which keeps this directory)",
                )
        return record

    def write(self, record: Mapping[str, Any]) -> None:
        """Replace the manifest; its last key is the digest of all others."""
        bare = {name: value for name, value in record.items() if name != OWN_DIGEST}
        write_json(self.manifest, {**bare, OWN_DIGEST: digest_json(bare)})

    def loose_files(self) -> dict[str, str]:
        """sha256 of every file of the run that no manifest of its own covers, by relative path."""
        found = {}
        for path in sorted(self.path.rglob("*")):
            relative = path.relative_to(self.path)
            if path.is_dir() or relative.parts[0] in (*_OWN_MANIFEST, "run.json"):
                continue
            if path.is_symlink():
                found[relative.as_posix()] = f"link to {path.readlink()}"
            elif not any(part.startswith(".") for part in relative.parts):
                found[relative.as_posix()] = digest_file(path)
        return found

    def seal(self, record: dict[str, Any]) -> None:
        """Bind every file of a run at rest into its manifest.

        What is bound already stays bound to the same bytes, until `unseal` says that a stage writes.
        """
        files = {**self.loose_files(), **record.get("files", {})}
        if record.get("files") != files:
            record["files"] = files
            self.write(record)

    def unseal(self, record: dict[str, Any]) -> None:
        """Say that the run's files are about to change."""
        if record.pop("files", None) is not None:
            self.write(record)

    def busy(self) -> bool:
        """Whether a process is working on the run right now; also for who may only read it."""
        lock = self.path / ".lock"
        if not lock.is_file():
            return False
        with lock.open() as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only writer of this run; raises UsageError when another process is."""
        with writing(self.path):
            make_directory(self.path)
        taken = UsageError(
            f"another process is working on the run '{self.name}'",
            code="run.locked",
            next_step="wait for it, or choose another name=…",
        )
        with exclusive(self.path / ".lock", taken=taken, patience=_LOOKING):
            yield

    def archive(self) -> Path | None:
        """Move an existing run aside (``--fresh``); returns where it went."""
        if not self.path.exists():
            return None
        target = self.path.with_name(
            f"{self.name}.archived-{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"
        )
        with writing(self.path):
            os.rename(self.path, target)
            fsync_path(target.parent)
        return target


def find_run(runs: Path, name: str) -> RunDirectory:
    """The run *name*, or the one in the directory *name*, of this or another workspace.

    Raises UsageError, with the nearest name, when there is none.
    """
    for directory in (RunDirectory(runs / name), RunDirectory(Path(name).expanduser())):
        if directory.manifest.is_file():
            return directory
    raise UsageError(
        f"there is no run '{name}'",
        code="run.missing",
        got=str(runs),
        next_step=did_you_mean(name, list_runs(runs)),
    )


def list_runs(runs: Path) -> list[str]:
    """Names of the runs below *runs*, sorted."""
    if not runs.is_dir():
        return []
    return sorted(path.parent.name for path in runs.glob("*/run.json"))
