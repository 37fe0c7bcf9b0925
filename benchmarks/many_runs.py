"""`runs ls` over 10,000 runs: the first look, and every later one, as a process of its own.

python -m benchmarks many_runs
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

COUNT, LOOKS, WANTED = 10_000, 5, 0.3


def write_runs(home: Path, count: int) -> None:
    """Manifests of the size of a real one's facts that a listing reads; one in ten runs is unfinished."""
    from codex_ml.core.digest import digest_json

    for number in range(count):
        folder = home / "runs" / f"run-{number:05d}"
        (folder / "checkpoints" / "step-00000400").mkdir(parents=True)
        record = {
            "format": 1,
            "name": folder.name,
            "run_id": f"{number:032x}",
            "created": 1.7e9 + number,
            "identity": {},
            "identity_sha256": "",
            "config": {"train": {"steps": 400 if number % 10 else 800}},
            "resolved": {"grade": "bitwise"},
            "inputs": {},
            "provenance": {},
            "segments": [],
        }
        if number % 10:
            metrics = {"loss": 2 + number / count, "bits_per_byte": 1.5, "perplexity": 9.0}
            record["result"] = {"metrics": metrics, "weights_sha256": f"{number:064x}"}
        record["manifest_sha256"] = digest_json(record)
        (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
        (folder / ".lock").touch()


def look(home: Path) -> float:
    """Seconds of one whole call."""
    words = [sys.executable, "-m", "codex_ml", "runs", "ls"]
    started = time.perf_counter()
    done = subprocess.run(words, env={**os.environ, "CODEX_HOME": str(home)}, capture_output=True, check=True)
    seconds = time.perf_counter() - started
    assert done.stdout.count(b"\n") == COUNT + 1, done.stdout[-200:]
    return seconds


def main(argv: Sequence[str] | None = None) -> None:  # noqa: ARG001 - every benchmark is called alike
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_runs(home, COUNT)
        first = look(home)
        later = [look(home) for _ in range(LOOKS)]
    spread = " ".join(f"{seconds:.2f}" for seconds in later)
    median = statistics.median(later)
    print(f"runs ls over {COUNT:,} runs: first {first:.2f} s, later {median:.2f} s ({spread})")
    print(f"  wanted: at most {WANTED} s")


if __name__ == "__main__":
    main(sys.argv[1:])
