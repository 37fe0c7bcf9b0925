"""The same faults on codex-ml and on HF Trainer, counted side by side.

Each arm trains a Llama of the same shape (2 layers, dim 64, context 64, dropout 0.1) for 40 steps of
8 rows with AdamW in fp32 on one thread, saves every 5 steps and keeps 2. An arm is held against its own
uninterrupted run only, which must first repeat itself. HF Trainer has every option that helps: full
determinism, seedable sampler, `model_init`, `resume_from_checkpoint=True`; ``hf-jit`` adds
`enable_jit_checkpoint` for SIGTERM, with steps of 0.15 s because its handler waits 3 s.

Per cell: trials / resumed / equal / detected.
- resumed: the same documented call went on by itself to the last step, nobody removed a directory.
- equal: the final weights have the bits of the uninterrupted run.
- detected: a flipped bit was noticed (an error, or the checkpoint set aside); a partial save was never
  trained from; a failed save ended the call with an error. ``-`` where there is nothing to detect.

What HF Trainer does better: a whole run of this size is shorter, also because codex-ml digests its code
and its data at each start and syncs each save to the disk; it never trained on from a partial
checkpoint; it runs nearly every model that exists, on many machines and devices. This comparison is one
process on one CPU with map-style data, and crosses no epoch edge.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks import resume_peer_faults as faults
from benchmarks.resume_peer_client import Arm, Verdict

Fault = Callable[[Arm, random.Random, str], Verdict]
ARMS = ("codex-ml", "hf", "hf-jit")
#: Title, what is done, share of --trials.
FAULTS: tuple[tuple[str, Fault, float], ...] = (
    ("SIGKILL at a random moment", faults.kill, 1.0),
    ("SIGKILL inside a save", faults.kill_in_save, 1.0),
    ("one bit flipped in the newest checkpoint", faults.flip, 1.0),
    ("a save fails (file-size limit)", faults.full_disk, 0.25),
    ("SIGTERM", faults.terminate, 0.25),
)
NO_FAULT = "none (the run repeats itself)"
PACKAGES = ("torch", "transformers", "accelerate", "safetensors", "codex-ml")


def main(argv: Sequence[str] = ()) -> None:
    options = parse(argv)
    versions = {"python": sys.version.split()[0], **{name: metadata.version(name) for name in PACKAGES}}
    rows: list[dict[str, Any]] = []
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="resume-peers-") as work, options.out.open("w") as stream:
        head = {"versions": versions, "seed": options.seed, "trials": options.trials}
        stream.write(json.dumps(head) + "\n")
        for name in ARMS:
            arm = Arm(name, Path(work))
            try:
                for row in measure(arm, trials=options.trials, seed=options.seed):
                    rows.append(row)
                    stream.write(json.dumps(row) + "\n")
                    stream.flush()
            finally:
                arm.close()
    show(rows)
    print(f"\n{'  '.join(f'{name} {version}' for name, version in versions.items())}")
    print(f"raw results: {options.out}")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="resume_peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10, help="of each kill and of the bit flips")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("artifacts/resume_peers.jsonl"))
    return parser.parse_args(list(argv))


def measure(arm: Arm, *, trials: int, seed: int) -> Iterator[dict[str, Any]]:
    """Every fault on one arm; an arm that does not repeat itself is left out, for nothing can be said."""
    rows = [timed(arm, NO_FAULT, 0, lambda: faults.baseline(arm))]
    print(f"{arm.name}: {rows[0]['detail']}, repeats itself: {rows[0]['equal']}", flush=True)
    yield rows[0]
    if not rows[0]["equal"]:
        return
    for number, (title, fault, share) in enumerate(FAULTS):
        if arm.jit and fault is not faults.terminate:
            continue  # the option changes nothing else
        for trial in range(max(2, round(trials * share))):
            rng, name = random.Random(f"{seed}/{title}/{trial}"), f"fault{number}-{trial}"
            rows.append(timed(arm, title, trial, lambda: fault(arm, rng, name)))  # noqa: B023 - called at once
            yield rows[-1]
        print(f"{arm.name}: {title}: {cell(rows, arm.name, title)}", flush=True)


def timed(arm: Arm, title: str, trial: int, work: Callable[[], Verdict]) -> dict[str, Any]:
    started = time.perf_counter()
    verdict = work()
    seconds = round(time.perf_counter() - started, 3)
    return {"arm": arm.name, "fault": title, "trial": trial, **asdict(verdict), "seconds": seconds}


def cell(rows: Sequence[dict[str, Any]], arm: str, title: str) -> str:
    """Trials / resumed / equal / detected."""
    mine = [row for row in rows if row["arm"] == arm and row["fault"] == title]
    if not mine:
        return ""
    seen = [row["detected"] for row in mine if row["detected"] is not None]
    counts = [len(mine), sum(row["resumed"] for row in mine), sum(row["equal"] for row in mine)]
    return " / ".join([*(str(count) for count in counts), str(sum(seen)) if seen else "-"])


def show(rows: Sequence[dict[str, Any]]) -> None:
    """The table, with faults as rows and arms as columns."""
    print()
    line("trials / resumed / equal / detected", ARMS)
    line("-" * 42, ["-" * 17 for _ in ARMS])
    for title in (NO_FAULT, *(title for title, _, _ in FAULTS)):
        line(title, [cell(rows, arm, title) for arm in ARMS])
    line("SIGTERM, stop and resume: median time", [median(rows, arm, FAULTS[-1][0]) for arm in ARMS])


def line(title: str, cells: Sequence[str]) -> None:
    print("| " + " | ".join([f"{title:<42}", *(f"{text:<17}" for text in cells)]) + " |")


def median(rows: Sequence[dict[str, Any]], arm: str, title: str) -> str:
    seconds = [row["seconds"] for row in rows if row["arm"] == arm and row["fault"] == title]
    return f"{statistics.median(seconds):.1f} s" if seconds else ""


if __name__ == "__main__":
    main(sys.argv[1:])
