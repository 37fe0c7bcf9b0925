"""Break a small run on this machine in every way that a machine can, and see that nothing is lost."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codex_ml.checkpointing.layout import MODEL, OPTIMIZER, list_checkpoints
from codex_ml.interfaces.reporter import Reporter

_STEPS = 40
_WORDS = ("experiment=tiny", f"train.steps={_STEPS}", "checkpoint.every=5", "checkpoint.keep_last=3")
_WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Outcome:
    """One fault: what was done, whether the same command went on by itself to the same bits."""

    fault: str
    ok: bool
    detail: str
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Room:
    """A workspace of its own, where runs are started as a user starts them."""

    def __init__(self, home: Path, *, seed: int) -> None:
        self.home = home
        self.random = random.Random(seed)
        self._number = 0

    def new_name(self) -> str:
        self._number += 1
        return f"trial-{self._number}"

    def start(self, name: str, *, file_limit: int | None = None) -> subprocess.Popen[str]:
        """Start training in a session of its own, optionally with a largest file size."""
        return subprocess.Popen(
            [sys.executable, "-m", "codex_ml", "train", *_WORDS, f"name={name}", "--json", "--quiet"],
            env={**os.environ, "CODEX_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=None if file_limit is None else lambda: _limit_files(file_limit),  # noqa: PLW1509 - no threads here
        )

    def finish(self, name: str, **options: Any) -> tuple[int, dict[str, Any]]:
        """Train to the end: exit code and the JSON of the last line."""
        process = self.start(name, **options)
        try:
            out, _ = process.communicate(timeout=_WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill(process)
            return process.returncode, {}
        return process.returncode, json.loads(out.strip().splitlines()[-1]) if out.strip() else {}

    def kill(self, process: subprocess.Popen[str]) -> None:
        """SIGKILL to the whole group; one that has ended already is fine."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()

    def checkpoints(self, name: str) -> list[Path]:
        return list_checkpoints(self.home / "runs" / name / "checkpoints")

    def until(self, process: subprocess.Popen[str], seen: Callable[[], bool]) -> None:
        """Wait for a moment of the run, or for its end."""
        limit = time.monotonic() + _WAIT_SECONDS
        while process.poll() is None and not seen() and time.monotonic() < limit:
            time.sleep(0.001)

    def steps(self, name: str) -> int:
        journal = self.home / "runs" / name / "journal.jsonl"
        return journal.read_bytes().count(b"\n") if journal.exists() else 0


def _limit_files(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def run_faults(home: Path, *, seed: int, quick: bool, reporter: Reporter) -> Iterator[Outcome]:
    """Every fault once or a few times (*quick*: two of them once); *home* is an empty directory."""
    room = Room(home, seed=seed)
    started = time.perf_counter()
    code, record = room.finish("whole")
    expected = str(record.get("weights_sha256"))
    yield Outcome("none", code == 0, f"weights {expected[:12]}", time.perf_counter() - started)
    if code != 0:
        return
    for name, fault in _QUICK if quick else _FAULTS:
        reporter.say(f"{name} …")
        started = time.perf_counter()
        ok, detail = fault(room, expected)
        yield Outcome(name, ok, detail, time.perf_counter() - started)


def _resumed(room: Room, name: str, expected: str, detail: str) -> tuple[bool, str]:
    code, record = room.finish(name)
    same = record.get("weights_sha256") == expected
    return code == 0 and same, f"{detail}; resumed: {'same bits' if same else f'exit {code}, other bits'}"


def _kill(room: Room, expected: str) -> tuple[bool, str]:
    name, step = room.new_name(), room.random.randrange(1, _STEPS - 1)
    process = room.start(name)
    room.until(process, lambda: room.steps(name) >= step)
    room.kill(process)
    return _resumed(room, name, expected, f"killed after step {room.steps(name)}")


def _kill_in_save(room: Room, expected: str) -> tuple[bool, str]:
    name = room.new_name()
    folder = room.home / "runs" / name / "checkpoints"
    process = room.start(name)
    room.until(process, lambda: any(folder.glob(".tmp-step-*")))
    room.kill(process)
    return _resumed(room, name, expected, f"{len(room.checkpoints(name))} checkpoints published before")


def _terminate(room: Room, expected: str) -> tuple[bool, str]:
    name = room.new_name()
    process = room.start(name)
    room.until(process, lambda: room.steps(name) >= 7)
    process.terminate()
    process.communicate()
    ok, detail = _resumed(room, name, expected, f"exit {process.returncode}")
    return ok and process.returncode == 75, detail


def _damage(change: Callable[[Path, random.Random], str]) -> Callable[[Room, str], tuple[bool, str]]:
    """Damage the newest checkpoint of a finished run; the one before must take over."""

    def fault(room: Room, expected: str) -> tuple[bool, str]:
        name = room.new_name()
        shutil.copytree(room.home / "runs" / "whole", room.home / "runs" / name)
        detail = change(room.checkpoints(name)[0], room.random)
        ok, text = _resumed(room, name, expected, detail)
        aside = any((room.home / "runs" / name / "checkpoints").glob(".corrupt-*"))
        return ok and aside, f"{text}{'' if aside else ', and the damage was not seen'}"

    return fault


def _flip(checkpoint: Path, rng: random.Random) -> str:
    file = checkpoint / rng.choice((MODEL, OPTIMIZER))
    raw = bytearray(file.read_bytes())
    at = rng.randrange(len(raw))
    raw[at] ^= 1 << rng.randrange(8)
    file.write_bytes(raw)
    return f"{file.name}, byte {at:,}"


def _truncate(checkpoint: Path, rng: random.Random) -> str:
    file = checkpoint / OPTIMIZER
    size = rng.randrange(file.stat().st_size)
    os.truncate(file, size)
    return f"{file.name} cut to {size:,} bytes"


def _all_bad(room: Room, _expected: str) -> tuple[bool, str]:
    name = room.new_name()
    shutil.copytree(room.home / "runs" / "whole", room.home / "runs" / name)
    for checkpoint in room.checkpoints(name):
        _flip(checkpoint, room.random)
    before = [path.name for path in room.checkpoints(name)]
    code, record = room.finish(name)
    kept = [path.name for path in room.checkpoints(name)] == before
    return code == 3 and kept, f"refused with exit {code} [{record.get('error', {}).get('code')}], all kept"


def _full_disk(room: Room, expected: str) -> tuple[bool, str]:
    name = room.new_name()
    limit = (room.checkpoints("whole")[0] / MODEL).stat().st_size // 2
    code, record = room.finish(name, file_limit=limit)
    detail = f"exit {code} [{record.get('error', {}).get('code')}]"
    ok, text = _resumed(room, name, expected, detail)
    return ok and code == 1, text


def _two_writers(room: Room, expected: str) -> tuple[bool, str]:
    name = room.new_name()
    process = room.start(name)
    room.until(process, lambda: room.steps(name) >= 1)
    os.kill(process.pid, signal.SIGSTOP)
    code, record = room.finish(name)
    os.kill(process.pid, signal.SIGCONT)
    out, _ = process.communicate()
    same = json.loads(out.strip().splitlines()[-1]).get("weights_sha256") == expected
    text = f"second refused with exit {code} [{record.get('error', {}).get('code')}], first unharmed"
    return code == 2 and same, text


_Fault = tuple[str, Callable[[Room, str], tuple[bool, str]]]
_QUICK: tuple[_Fault, ...] = (
    ("SIGKILL at a random step", _kill),
    ("one bit flipped in the newest checkpoint", _damage(_flip)),
)
_FAULTS: tuple[_Fault, ...] = (
    *((("SIGKILL at a random step", _kill),) * 3),
    *((("SIGKILL inside a save", _kill_in_save),) * 2),
    ("SIGTERM", _terminate),
    ("one bit flipped in the newest checkpoint", _damage(_flip)),
    ("newest checkpoint cut short", _damage(_truncate)),
    ("every checkpoint damaged", _all_bad),
    ("disk full in a save", _full_disk),
    ("two processes on one run", _two_writers),
)
