"""Source ``git``: the files of a repository at one commit, read from the object store, not the work tree."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from codex_ml.config.schema.data import DataConfig
from codex_ml.core.digest import digest_bytes
from codex_ml.data.document import Document, Dropped, InputFile
from codex_ml.data.sources.common import as_document, given_path, nothing_found, wanted_globs
from codex_ml.data.sources.walk import globs
from codex_ml.errors import DataError

_REGULAR = ("100644", "100755")  # symbolic links and submodules are no files of this repository


class GitSource:
    """Blobs of the commit ``data.revision`` that the globs take."""

    def __init__(self, cfg: DataConfig) -> None:
        self.cfg = cfg
        self.root = given_path(cfg)
        self.commit = self._resolve()
        self._blobs: list[tuple[str, str]] | None = None  # (name, object id)

    @property
    def origin(self) -> dict[str, str]:
        return {"commit": self.commit}

    def inputs(self) -> list[InputFile]:
        return [InputFile(name, len(raw), digest_bytes(raw)) for name, raw in self._contents()]

    def documents(self) -> Iterator[Document | Dropped]:
        for name, raw in self._contents():
            yield as_document(raw, name=name, cfg=self.cfg)

    def _resolve(self) -> str:
        done = _git(self.root, "rev-parse", "--verify", "--end-of-options", f"{self.cfg.revision}^{{commit}}")
        if done.returncode == 0:
            return done.stdout.decode().strip()
        message = done.stderr.decode("utf-8", "replace").strip()
        if _git(self.root, "rev-parse", "--git-dir").returncode != 0:
            raise DataError(
                "data.path is no git repository",
                code="data.git",
                got=f"{self.root}: {message}",
                next_step="give a clone, or use data.source=files",
            )
        raise DataError(
            "data.revision names no commit of this repository",
            code="data.revision",
            got=self.cfg.revision,
            next_step="give a branch, a tag or a commit that `git rev-parse` knows",
        )

    def _select(self) -> list[tuple[str, str]]:
        if self._blobs is not None:
            return self._blobs
        done = _git(self.root, "ls-tree", "-r", "-z", "--full-tree", self.commit)
        if done.returncode != 0:
            raise _failed(done.stderr)
        include, exclude = globs(wanted_globs(self.cfg)), globs(self.cfg.exclude)
        blobs = []
        for record in done.stdout.split(b"\0")[:-1]:
            head, _, raw_name = record.partition(b"\t")
            mode, _, oid = head.decode().split(" ")
            name = raw_name.decode("utf-8", "backslashreplace")
            if mode in _REGULAR and include.match_file(name) and not exclude.match_file(name):
                blobs.append((name, oid))
        if not blobs:
            raise nothing_found(self.cfg, f"{self.root} at {self.commit[:12]}")
        self._blobs = sorted(blobs)
        return self._blobs

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        blobs = self._select()
        with subprocess.Popen(
            _command(self.root, "cat-file", "--batch"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        ) as process:
            asked, answers = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
            for name, oid in blobs:
                yield name, _ask(asked, answers, oid=oid)


def _ask(asked: IO[bytes], answers: IO[bytes], *, oid: str) -> bytes:
    try:
        asked.write(f"{oid}\n".encode())
        asked.flush()
    except OSError as error:
        raise _failed(str(error).encode()) from error
    head = answers.readline().split()
    if len(head) != 3 or head[0] != oid.encode():
        raise _failed(b" ".join(head) or b"no answer")
    size = int(head[2])
    raw = answers.read(size + 1)
    if len(raw) != size + 1:
        raise _failed(b"a short answer")
    return raw[:-1]


def _failed(message: bytes) -> DataError:
    return DataError(
        "git could not read the repository",
        code="data.git",
        got=message.decode("utf-8", "replace").strip(),
        next_step="run `git fsck` there; a partial clone must be completed first",
    )


def _environment() -> dict[str, str]:
    # A hook sets GIT_DIR and the like, which would point elsewhere; nothing may be fetched or asked.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    quiet = {"GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_REPLACE_OBJECTS": "1"}
    return {**kept, **quiet, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def _command(root: Path, *arguments: str) -> list[str]:
    return ["git", "-C", str(root), *arguments]


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            _command(root, *arguments), capture_output=True, check=False, env=_environment()
        )
    except FileNotFoundError as error:
        raise DataError(
            "data.source=git needs the program git",
            code="data.git",
            next_step="install git, or use data.source=files",
        ) from error
