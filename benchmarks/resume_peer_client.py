"""The client of a warm arm of the resume comparison: start, watch and end one training call."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.resume_peer_arm import STEPS

_SAVE = re.compile(r"^(?:step|checkpoint)-0*(\d+)(?:\.r\d+)?$")
_HUGE = ("model.safetensors", "optimizer.safetensors", "optimizer.pt")
_WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Verdict:
    """What one trial showed; *detected* is None where nothing could be."""

    resumed: bool
    equal: bool
    detected: bool | None
    detail: str


@dataclass(frozen=True)
class Child:
    """One training call."""

    pid: int
    answers: Any
    log: Path

    def ended(self) -> bool:
        return bool(select.select([self.answers], [], [], 0)[0])

    def until(self, seen: Callable[[], bool]) -> bool:
        """Poll each millisecond; False when the call ended first."""
        limit = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < limit and not self.ended():
            if seen():
                return True
            time.sleep(0.001)
        return False

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Signal the process and wait for its end."""
        if not self.ended():
            os.kill(self.pid, number)
        return self.wait()

    def wait(self) -> int:
        return int(json.loads(self.answers.readline())["code"])

    def last_line(self) -> str:
        """The record of a run that ended well, or the line of its error."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else ""


class Arm:
    """A fork server of one program, and where its runs and their checkpoints lie."""

    def __init__(self, name: str, work: Path) -> None:
        self.name, self.home = name, work / name
        self.jit = name == "hf-jit"
        self.grace = 3.5 if self.jit else 0.0  # its handler waits 3 s before it asks for a save
        (self.home / "logs").mkdir(parents=True)
        env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
        env.pop("CODEX_HOME", None)
        self.server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("resume_peer_arm.py")), name],
            env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        assert self.server.stdout is not None
        self.server.stdout.readline()
        self.calls = 0
        self.expected, self.names = "", frozenset[str]()
        self.sizes: dict[str, int] = {}
        self.first, self.interval = 0.0, 0.0

    def start(self, name: str) -> Child:
        self.calls += 1
        log = self.home / "logs" / f"{self.calls:04d}-{name}.log"
        request = {"folder": str(self.home / "runs" / name), "log": str(log), "jit": self.jit}
        request["pace"] = 0.15 if self.jit else 0.0
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(f"{json.dumps(request)}\n".encode())
        return Child(json.loads(self.server.stdout.readline())["pid"], self.server.stdout, log)

    def finish(self, name: str) -> tuple[int, str, str]:
        """The documented call once more: exit code, digest of the last step's weights, last line."""
        child = self.start(name)
        code, line = child.wait(), child.last_line()
        record = json.loads(line) if code == 0 and line.startswith("{") else {}
        return code, record.get("weights_sha256", "") if record.get("step") == STEPS else "", line

    def resume(self, name: str, detail: str) -> Verdict:
        code, digest, line = self.finish(name)
        text = detail if digest else f"{detail}; resume: exit {code}: {line[:200]}"
        return Verdict(bool(digest), bool(digest) and digest == self.expected, None, text)

    def folder(self, name: str) -> Path:
        path = self.home / "runs" / name
        return path / "checkpoints" if self.name == "codex-ml" else path

    def saves(self, name: str) -> list[Path]:
        """Directories that a reader takes for checkpoints, newest first."""
        found = [path for path in list_directory(self.folder(name)) if _SAVE.match(path.name)]
        return sorted(found, key=lambda path: int(_SAVE.match(path.name).group(1)), reverse=True)  # type: ignore[union-attr]

    def partial(self, name: str) -> list[str]:
        """Saves that are not complete, whatever they are called."""
        found = [path.name for path in self.folder(name).glob(".tmp-step-*")]
        return found + [path.name for path in self.saves(name) if not self.complete(path)]

    def complete(self, save: Path) -> bool:
        files = sizes_in(save)
        if frozenset(files) != self.names or any(files[key] != size for key, size in self.sizes.items()):
            return False
        state = save / ("state.json" if self.name == "codex-ml" else "trainer_state.json")
        try:
            json.loads(state.read_text())
        except (OSError, ValueError):
            return False
        return True

    def close(self) -> None:
        assert self.server.stdin is not None
        self.server.stdin.close()
        self.server.wait()


def list_directory(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError:
        return []


def sizes_in(directory: Path) -> dict[str, int]:
    """File name -> size; a file that goes away meanwhile is left out."""
    sizes = {}
    for file in list_directory(directory):
        with contextlib.suppress(OSError):
            sizes[file.name] = file.stat().st_size
    return sizes


def footprint(folder: Path) -> dict[str, int]:
    """Every file of every save, published or not, with its size."""
    saves = [path for path in list_directory(folder) if re.search(r"(?:step|checkpoint)-\d", path.name)]
    return {f"{save.name}/{name}": size for save in saves for name, size in sizes_in(save).items()}
