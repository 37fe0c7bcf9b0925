"""Training speed and memory of a 14 M-parameter Llama against HF Trainer, arms interleaved."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ARM = Path(__file__).with_name("training_arm.py")
ARMS = ("ours", "hf-bf16-compile", "hf-default")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))


def run(arm: str, cache: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, str(ARM), arm, cache], capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> None:
    """Each round runs every arm once; ratios are taken within a round, then their median is shown."""
    from codex_ml.config.compose import compose
    from codex_ml.modeling.size import model_size

    words = ("model=small", "model.layers=6", "model.dim=384", "model.heads=6", "model.kv_heads=6")
    shape = compose([*words, "model.ffn_dim=1024"], environ={}).config.model
    flop = model_size(shape, vocab_size=8192).flop_per_token
    ratios: dict[str, list[float]] = {"hf-bf16-compile": [], "hf-default": [], "matmul": [], "memory": []}
    with tempfile.TemporaryDirectory() as cache:
        for number in range(ROUNDS):
            speed = {arm: run(arm, f"{cache}/{arm}") for arm in ARMS}
            rate = run("matmul", cache)["flops"]
            own = speed["ours"]
            for arm in ARMS[1:]:
                ratios[arm].append(own["tokens_per_second"] / speed[arm]["tokens_per_second"])
            ratios["matmul"].append(own["tokens_per_second"] * flop / rate)
            ratios["memory"].append(own["peak_bytes"] / speed["hf-bf16-compile"]["peak_bytes"])
            text = "  ".join(f"{arm} {row['tokens_per_second']:,.0f} tokens/s" for arm, row in speed.items())
            print(f"round {number + 1}: {text}  bare bf16 products {rate / 1e9:,.0f} GFLOP/s", flush=True)
    print("\nratio of codex-ml in exact mode to          median   rounds")
    for name, values in ratios.items():
        spread = " ".join(f"{value:.2f}" for value in values)
        print(f"  {name:<40}{statistics.median(values):>8.2f}   {spread}")


if __name__ == "__main__":
    main()
