"""What must be equal between two runs, and how many trials of each kind are done and counted."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codex_ml.checkpointing.digest import weights_digest
from codex_ml.checkpointing.layout import list_checkpoints, step_of
from codex_ml.checkpointing.reader import newest_good, open_checkpoint
from codex_ml.core.publish import read_json
from codex_ml.errors import CheckpointLoadError

FULL = os.environ.get("CODEX_TORTURE") == "full"
ROOT = Path(__file__).parents[2]
COUNTS = Path(os.environ.get("CODEX_TORTURE_COUNTS", ROOT / "artifacts" / "torture.jsonl"))
_CLOCK = frozenset({"tokens_per_second", "memory_bytes"})


def count(sample: int, full: int) -> int:
    """How many trials: few in every test run, all of them in ``nox -s torture``."""
    return full if FULL else sample


def chosen(points: list[Any], sample: int, *, full: int | None = None, seed: int = 7) -> list[Any]:
    """*points*, or as many of them as the present kind of run looks at; always the same ones."""
    number = min(len(points), count(sample, len(points) if full is None else full))
    picked = set(random.Random(seed).sample(range(len(points)), number))
    return [point for at, point in enumerate(points) if at in picked]


@dataclass
class Row:
    """One row of the acceptance matrix: every trial is counted, the failed ones are named."""

    name: str
    trials: int = 0
    failures: list[str] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)

    def check(self, good: bool, what: object) -> None:
        self.trials += 1
        if not good:
            self.failures.append(str(what)[:2000])


@contextlib.contextmanager
def counted(name: str, **detail: Any) -> Iterator[Row]:
    """Count the trials of the block; the full counts are written down. Fails when one trial failed."""
    row, started = Row(name, detail=detail), time.perf_counter()
    yield row
    if FULL:
        COUNTS.parent.mkdir(parents=True, exist_ok=True)
        line = {
            "row": name,
            "trials": row.trials,
            "passed": row.trials - len(row.failures),
            "seconds": round(time.perf_counter() - started, 1),
            "detail": {**row.detail, **({"failures": row.failures[:5]} if row.failures else {})},
        }
        with COUNTS.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
    assert row.trials, f"{name}: nothing was tried"
    assert not row.failures, f"{name}: {len(row.failures)} of {row.trials} failed: {row.failures[:3]}"


def fingerprint(run: Path) -> dict[str, Any]:
    """Everything that must be equal between a disturbed run and one left alone."""
    folder = run / "checkpoints"
    newest = list_checkpoints(folder)[0]
    digest = _shards_digest if (newest / "shards").is_dir() else _file_digest
    lines = [json.loads(line) for line in (run / "metrics.ndjson").read_text().splitlines()]
    return {
        "weights": digest(newest, "model"),
        "optimizer": digest(newest, "optimizer"),
        "state": read_json(newest / "state.json"),
        "journal": (run / "journal.jsonl").read_bytes(),
        "metrics": [
            (line["step"], line["split"], line["phase"], line["metric"], line["value"])
            for line in lines
            if line["metric"] not in _CLOCK
        ],
        "kept": sorted({step_of(path) for path in list_checkpoints(folder)}),
        "best": step_of(folder / pointer(folder, "best")),
        "latest": step_of(folder / pointer(folder, "latest")),
    }


def _file_digest(checkpoint: Path, part: str) -> str:
    return weights_digest(checkpoint / f"{part}.safetensors")


def _shards_digest(checkpoint: Path, part: str) -> str:
    """Of the tensors that the shards make up; they must be those that were alive at the save."""
    from codex_ml.checkpointing.shards import whole_tensors
    from codex_ml.checkpointing.snapshot import tensors_digest

    found = tensors_digest(whole_tensors(checkpoint / "shards" / part))
    name = "weights_sha256" if part == "model" else "optimizer_sha256"
    assert found == read_json(checkpoint / "MANIFEST.json")[name], f"stale shards of {part}"
    return found


def pointer(folder: Path, name: str) -> str:
    path = folder / name
    return path.read_text().strip() if path.is_file() else ""


def unequal(run: Path, expected: dict[str, Any]) -> list[str]:
    """The names of the parts that differ; empty for equal runs."""
    found = fingerprint(run)
    return [f"{name} of {run.name}" for name, value in expected.items() if found[name] != value]


def unsound(run: Path) -> list[str]:
    """What stands under the name of a checkpoint and is none: after a kill there must be nothing."""
    bad = []
    for path in list_checkpoints(run / "checkpoints"):
        try:
            open_checkpoint(path)
        except CheckpointLoadError as error:
            bad.append(error.line())
    return bad


def good_step(run: Path) -> int:
    """The step that a resume would go on from; 0 without a checkpoint."""
    found = newest_good(run / "checkpoints", set_aside=False, report=lambda _: None)
    return 0 if found is None else found.step


def journal_steps(run: Path) -> int:
    path = run / "journal.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def until(seen: Callable[[], bool], *, seconds: float = 60) -> bool:
    limit = time.monotonic() + seconds
    while not seen():
        if time.monotonic() > limit:
            return False
        time.sleep(0.0005)
    return True
