"""The fixture ``cli``: the command line, in processes forked from one that has imported everything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from conftest import THREADS, Result

TESTS = Path(__file__).resolve().parent


class CliServer:
    """Calls of the command line by a process that has imported everything and forks for each."""

    def __init__(self, room: Path) -> None:
        self._room = room
        path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
        self._server = subprocess.Popen(
            [sys.executable, "-m", "cli_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=room,
            env={**os.environ, **THREADS, "PYTHONPATH": path},
        )
        assert "ready" in self._answer()

    def __call__(
        self,
        home: Path,
        *words: str | Path,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        timeout: float = 300,
    ) -> Result:
        """``codex-ml words…`` in the workspace *home*, from *cwd* (default: the directory above it).

        A value None in *env* removes the variable.
        """
        merged: dict[str, str] = {**os.environ, **THREADS, "CODEX_HOME": str(home)}
        for name, value in (env or {}).items():
            merged.pop(name, None)
            if value is not None:
                merged[name] = value
        out, err = self._room / "out", self._room / "err"
        request = {
            "argv": [str(word) for word in words],
            "env": merged,
            "cwd": str(cwd or home.parent),
            "out": str(out),
            "err": str(err),
            "seconds": timeout,
        }
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        self._server.stdin.flush()
        code = self._answer()["code"]
        return Result(code, out.read_text(errors="replace"), err.read_text(errors="replace"))

    def _answer(self) -> dict[str, Any]:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        assert line, "the server of the command line has died"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(timeout=60)
        self._server.stdout.close()


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Result]]:
    """``codex-ml`` in a given workspace, in a process of its own that is forked from a warm one."""
    server = CliServer(tmp_path_factory.mktemp("cli"))
    yield server
    server.close()
