"""A workspace, and training processes in it that are forked from one warm server."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_ml.checkpointing.layout import list_checkpoints
from corpora import write_packages
from reproducibility.harness import ROOT

_WORDS = (
    *("experiment=tiny", "data.source=files", "data.include=[]", "tokenizer.vocab_size=300"),
    *("model.layers=1", "model.dim=32", "model.heads=2", "model.kv_heads=1", "model.ffn_dim=64"),
    *("model.context=32", "model.dropout=0.1", "train.steps=16", "train.log_every=2"),
    *("runtime.shards=4", "checkpoint.every=4", "eval.every=8", "eval.max_rows=16"),
)


@dataclass(frozen=True)
class Done:
    """How one training process ended."""

    code: int
    said: dict[str, Any]

    @property
    def error(self) -> str:
        return str(self.said.get("error", {}).get("code", ""))

    @property
    def text(self) -> str:
        return json.dumps(self.said)


class Lab:
    """A workspace and the server that forks a training process per trial."""

    def __init__(self, home: Path) -> None:
        self.home, self.names = home, 0
        keep = {
            name: value for name, value in os.environ.items() if not name.startswith(("CODEX_", "COVERAGE"))
        }
        paths = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "src")])
        self.server = subprocess.Popen(
            [sys.executable, "-m", "reproducibility.forkserver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=home,
            env={**keep, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        )
        assert "ready" in self._answer()

    def close(self) -> None:
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.close()
        self.server.wait(timeout=60)
        self.server.stdout.close()

    def _answer(self) -> dict[str, Any]:
        assert self.server.stdout is not None
        line = self.server.stdout.readline()
        assert line, "the fork server has died"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps(request).encode() + b"\n")
        self.server.stdin.flush()
        return self._answer()

    def words(self) -> list[str]:
        """What every run of this workspace has in common."""
        return [*_WORDS, f"data.path={self.home / 'code'}"]

    def run(self, name: str) -> Path:
        return self.home / "runs" / name

    def checkpoints(self, name: str) -> list[Path]:
        return list_checkpoints(self.run(name) / "checkpoints")

    def new(self) -> str:
        self.names += 1
        return f"trial-{self.names}"

    def start(self, name: str, *words: str, faults: dict[str, Any] | None = None, **options: Any) -> int:
        """Begin to train; the process id, which is the process group too."""
        asked = {
            "name": name,
            "home": str(self.home),
            "log": str(self.home / f"{name}.log"),
            "words": [*self.words(), *words],
            "faults": faults or {},
        }
        return int(self._ask({**asked, **options})["pid"])

    def wait(self, pid: int) -> Done:
        said = self._ask({"wait": pid})
        return Done(said.pop("code"), said)

    def train(self, name: str, *words: str, **options: Any) -> Done:
        return self.wait(self.start(name, *words, **options))

    def whole(self, name: str, *words: str) -> Path:
        """An uninterrupted run, made once and kept."""
        if not (self.run(name) / "run.json").exists():
            done = self.train(name, *words)
            assert done.code == 0, done.text
        return self.run(name)

    def copy(self, source: str) -> str:
        name = self.new()
        shutil.copytree(self.run(source), self.run(name))
        return name

    def drop(self, name: str) -> None:
        shutil.rmtree(self.run(name), ignore_errors=True)

    def workers(self, name: str, size: int, *words: str, **options: Any) -> list[Done]:
        """The processes that torchrun would start, with the variables that it sets."""
        return [self.wait(pid) for pid in self.start_workers(name, size, *words, **options)]

    def start_workers(
        self, name: str, size: int, *words: str, faults: dict[int, dict[str, Any]] | None = None
    ) -> list[int]:
        common = {"WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1"}
        common["MASTER_PORT"] = str(free_port())
        ranks = [{**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(size)]
        given = faults or {}
        return [
            self.start(name, *words, env=env, faults=given.get(rank, {})) for rank, env in enumerate(ranks)
        ]


@functools.cache
def laboratory() -> Lab:
    """The one of this process, made at first use and removed at its end."""
    home = Path(tempfile.mkdtemp(prefix="codex-lab-"))
    write_packages(home / "code", packages=12, modules=2)
    lab = Lab(home)
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    atexit.register(lab.close)
    return lab


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
