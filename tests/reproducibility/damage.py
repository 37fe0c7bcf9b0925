"""Flip bits in the files of a run, and see whether a resume would notice."""

from __future__ import annotations

import random
from pathlib import Path

from codex_ml.checkpointing.reader import newest_good
from codex_ml.core.publish import MANIFEST
from reproducibility.lab import Lab

PARTS = ("model.safetensors", "optimizer.safetensors", "state.json", MANIFEST)


def flip(path: Path, at: int, bit: int) -> None:
    with path.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ (1 << bit)]))


def offsets(path: Path, rng: random.Random, number: int) -> list[tuple[int, int]]:
    size = path.stat().st_size
    return [(rng.randrange(size), rng.randrange(8)) for _ in range(number)]


def accepted(folder: Path, *, refuse: str, name: str) -> list[str]:
    """Why the step that a resume would take, or what it says, is wrong; empty when *refuse* is refused."""
    said: list[str] = []
    good = newest_good(folder, set_aside=False, report=said.append)
    if good is None or good.path.name == refuse:
        return [f"{refuse} was accepted"]
    return [] if any(name in text for text in said) else [f"{name} is not named in {said}"]


def flips_not_seen(lab: Lab, parts: tuple[str, ...], number: int) -> tuple[int, list[str]]:
    name, rng = lab.copy("whole"), random.Random(1)
    newest = lab.checkpoints(name)[0]
    tried, unseen = 0, []
    for part in parts:
        for at, bit in offsets(newest / part, rng, number):
            flip(newest / part, at, bit)
            tried += 1
            unseen += [
                f"{part} {at}: {why}" for why in accepted(newest.parent, refuse=newest.name, name=part)
            ]
            flip(newest / part, at, bit)
    lab.drop(name)
    return tried, unseen
