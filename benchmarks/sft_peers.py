"""LoRA fine-tuning of a real model on a real task against TRL, arms interleaved.

    python -m benchmarks sft_peers --model DIR [--rounds 3] [--out FILE]

DIR: SmolLM2-135M-Instruct, as `codex-ml model import` writes it. The data: the documented functions of the
standard library (tools/stdlib_functions.py).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ARM = Path(__file__).with_name("sft_arm.py")
TASK = Path(__file__).parents[1] / "tools" / "stdlib_functions.py"
PEERS = ("trl-padded", "trl-bfd", "trl-wrapped")
WANTED = {"trl-padded": 3.0, "trl-bfd": 2.0}


def run(arm: str, model: str, data: Path) -> dict[str, float]:
    words = [sys.executable, str(ARM), arm, model, str(data)]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{arm} failed:\n{done.stderr[-3000:]}")
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Each round runs every arm once; ratios are taken within a round, then their median is shown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=argv is not None, help="directory of SmolLM2-135M-Instruct")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="raw results, one JSON object a line")
    given = parser.parse_args(argv if argv is not None else [])
    if given.model is None:
        print("sft_peers needs --model DIR; left out")
        return
    speed: dict[str, list[float]] = {arm: [] for arm in PEERS}
    memory: dict[str, list[float]] = {arm: [] for arm in PEERS}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "functions.jsonl"
        subprocess.run([sys.executable, str(TASK), str(data), "--limit", "2900"], check=True)
        for number in range(given.rounds):
            rows = {arm: run(arm, given.model, data) for arm in ("codex-ml", *PEERS)}
            own = rows["codex-ml"]
            for arm in PEERS:
                speed[arm].append(own["tokens_per_second"] / rows[arm]["tokens_per_second"])
                memory[arm].append(own["peak_bytes"] / rows[arm]["peak_bytes"])
            for arm, row in rows.items():
                print(
                    f"round {number + 1}: {arm:<12}{row['tokens_per_second']:>8.0f} real tokens/s"
                    f"{row['peak_bytes'] / 1e9:>8.2f} GB",
                    flush=True,
                )
                if given.out:
                    with given.out.open("a", encoding="utf-8") as stream:
                        stream.write(json.dumps({"round": number + 1, **row}) + "\n")
    print("\ncodex-ml (exact, compiled) against     speed   rounds                memory")
    for arm in PEERS:
        spread = " ".join(f"{value:.2f}" for value in speed[arm])
        wanted = f"(wanted {WANTED[arm]:g})" if arm in WANTED else ""
        print(
            f"  {arm:<36}{statistics.median(speed[arm]):>6.2f}   {spread:<20}"
            f"{statistics.median(memory[arm]):>6.2f}  {wanted}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
