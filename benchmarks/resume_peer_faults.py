"""The faults of the resume comparison, done from outside to any arm; see `benchmarks.resume_peers`."""

from __future__ import annotations

import json
import math
import random
import re
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.resume_peer_arm import EVERY, STEPS
from benchmarks.resume_peer_client import Arm, Verdict, footprint

_SAVE = re.compile(r"^(?:step|checkpoint)-0*(\d+)(?:\.r\d+)?$")
_HUGE = ("model.safetensors", "optimizer.safetensors", "optimizer.pt")
_WAIT_SECONDS = 60.0


def baseline(arm: Arm) -> Verdict:
    """Two runs without a fault: what a trial is held against, and how long it is from save to save."""
    arm.finish("warm")  # the first run of codex-ml prepares its data
    (first, end, line), again = sorted((_observed(arm, "whole"), _observed(arm, "whole-again")))
    newest = arm.saves("whole")[0]
    arm.names = frozenset(path.name for path in newest.iterdir())
    arm.sizes = {name: (newest / name).stat().st_size for name in _HUGE if name in arm.names}
    arm.first, arm.interval = first, (end - first) / (STEPS // EVERY - 1)
    arm.expected, other = (json.loads(text)["weights_sha256"] for text in (line, again[2]))
    times = f"{end:.2f} s and {again[1]:.2f} s from fork to exit"
    return Verdict(True, arm.expected == other, None, f"weights {arm.expected[:12]}, {times}")


def _observed(arm: Arm, name: str) -> tuple[float, float, str]:
    """A whole run: seconds to its first save, seconds to its end, its last line."""
    started = time.monotonic()
    child = arm.start(name)
    child.until(lambda: bool(footprint(arm.folder(name))))
    first = time.monotonic() - started
    code = child.wait()
    if code != 0:
        raise RuntimeError(f"{arm.name} without a fault: exit {code}: {child.last_line()}")
    return first, time.monotonic() - started, child.last_line()


def _stop(arm: Arm, rng: random.Random, name: str, number: int) -> tuple[str, str]:
    """Signal a run at a random moment of training; drawn again where it ended before.

    The moment is counted from a random save, so that a busy machine does not move it to the beginning.
    """
    last = STEPS // EVERY - math.ceil(arm.grace / arm.interval)
    for attempt in range(20):
        run, nth, delay = f"{name}-{attempt}", rng.randrange(last), rng.uniform(0.0, arm.interval)
        child = arm.start(run)
        if nth:
            child.until(_nth_save(arm.folder(run), nth, 0))
        limit = time.monotonic() + delay + (0.0 if nth else arm.first - arm.interval)
        if child.until(lambda limit=limit: time.monotonic() >= limit):  # type: ignore[misc]
            code = child.kill(number)
            newest = [path.name for path in arm.saves(run)][:1]
            return run, f"{delay:.3f} s after save {nth} began: exit {code}, newest save {newest}"
        child.wait()
    raise RuntimeError(f"{arm.name}: every run ended before its signal")


def kill(arm: Arm, rng: random.Random, name: str) -> Verdict:
    return arm.resume(*_stop(arm, rng, name, signal.SIGKILL))


def terminate(arm: Arm, rng: random.Random, name: str) -> Verdict:
    """SIGTERM, and as much time as the program wants."""
    return arm.resume(*_stop(arm, rng, name, signal.SIGTERM))


def kill_in_save(arm: Arm, rng: random.Random, name: str) -> Verdict:
    """SIGKILL at the first file of a save or some changes later; drawn again until a save is cut in two."""
    for attempt in range(20):
        run, nth, extra = f"{name}-{attempt}", rng.randrange(1, STEPS // EVERY + 1), rng.randrange(3)
        child = arm.start(run)
        if cut := child.until(_nth_save(arm.folder(run), nth, extra)):
            child.kill()
        else:
            child.wait()
        if cut and (partial := arm.partial(run)):
            verdict = arm.resume(run, f"save {nth}, {extra} changes later, partial {partial}")
            return replace(verdict, detected=verdict.equal or not verdict.resumed)
    raise RuntimeError(f"{arm.name}: no kill landed inside a save")


def _nth_save(folder: Path, nth: int, extra: int) -> Callable[[], bool]:
    """True once the *nth* save has begun and its files have changed *extra* times more."""
    steps: set[int] = set()
    before: dict[str, int] = {}
    left = extra + 1

    def seen() -> bool:
        nonlocal before, left
        now = footprint(folder)
        steps.update(int(number) for key in now for number in re.findall(r"(?:step|checkpoint)-(\d+)", key))
        if len(steps) >= nth and now != before:
            left -= 1
        before = now
        return left == 0

    return seen


def _stopped_after(arm: Arm, rng: random.Random, name: str) -> str:
    """A run that SIGKILL stopped between two saves, with two whole checkpoints."""
    for attempt in range(20):
        run, nth = f"{name}-{attempt}", rng.randrange(2, 8)
        child = arm.start(run)
        child.until(_saved(arm, run, nth))
        child.kill()
        if len(arm.saves(run)) >= 2 and not arm.partial(run) and len(arm.saves(run)) < 4:
            return run
    raise RuntimeError(f"{arm.name}: no run stopped between two saves")


def _saved(arm: Arm, name: str, nth: int) -> Callable[[], bool]:
    """True once the *nth* save is whole."""

    def seen() -> bool:
        saves = arm.saves(name)
        return bool(saves) and _step(saves[0]) >= EVERY * nth and not arm.partial(name)

    return seen


def _step(save: Path) -> int:
    return int(re.findall(r"-(\d+)", save.name)[0])


def flip(arm: Arm, rng: random.Random, name: str) -> Verdict:
    """One bit of the newest checkpoint; noticed when the call fails or sets the checkpoint aside."""
    run = _stopped_after(arm, rng, name)
    file = arm.saves(run)[0] / rng.choice(sorted(arm.sizes))
    raw = bytearray(file.read_bytes())
    at = rng.randrange(len(raw))
    raw[at] ^= 1 << rng.randrange(8)
    file.write_bytes(raw)
    verdict = arm.resume(run, f"{file.parent.name}/{file.name}, byte {at:,} of {len(raw):,}")
    aside = any(arm.folder(run).glob(".corrupt-*"))
    return replace(verdict, detected=aside or not verdict.resumed)


def full_disk(arm: Arm, rng: random.Random, name: str) -> Verdict:
    """After some good saves no file may grow beyond half of the weights; noticed when the call fails."""
    child, nth = arm.start(name), rng.randrange(2, 6)
    child.until(_saved(arm, name, nth))
    limit = arm.sizes["model.safetensors"] // 2
    resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (limit, limit))
    code, line = child.wait(), child.last_line()
    verdict = arm.resume(name, f"limit after save {nth}: exit {code}: {line[:160]}")
    return replace(verdict, detected=code != 0)
