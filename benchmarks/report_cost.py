"""The report of a long run: 2,000 logged steps, 5,000 samples of the machine, on a real small run.

python -m benchmarks report_cost
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

STEPS, SAMPLES, ROUNDS = 2_000, 5_000, 3
WANTED_SECONDS, WANTED_BYTES = 3.0, 1_000_000
#: In a process of its own, as the pipeline's last stage has it once torch and matplotlib are loaded.
PROGRAM = """
import sys, time
import torch  # loaded by the stages before it
from pathlib import Path
from codex_ml.config.validate import decode_saved
from codex_ml.core.paths import Home
from codex_ml.data.select import prepare_for
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.report.page import write_report
home = Home(Path(sys.argv[1]))
directory = RunDirectory(home.run("tiny"))
dataset = prepare_for(decode_saved(directory.read()["config"]), home=home)
started = time.perf_counter()
write_report(directory, dataset=dataset)
print(time.perf_counter() - started)
"""


def lengthen(run: Path) -> None:
    """More steps and more samples of the machine, in the form that the run itself wrote."""
    metrics, system = run / "metrics.ndjson", run / "system.ndjson"
    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    logged = [row for row in rows if row["phase"] == "train" and row["step"] == 40]
    with metrics.open("a", encoding="utf-8") as stream:
        for step in range(41, 41 + STEPS):
            for row in logged:
                value = float(row["value"]) * (1 + (step * 7919 % 100) / 1000)
                stream.write(json.dumps({**row, "step": step, "value": value}) + "\n")
    sample = json.loads(system.read_text(encoding="utf-8").splitlines()[-1])
    with system.open("a", encoding="utf-8") as stream:
        for number in range(SAMPLES):
            stream.write(json.dumps({**sample, "ts": sample["ts"] + 5.0 * number}) + "\n")


def main(argv: Sequence[str] | None = None) -> None:  # noqa: ARG001 - every benchmark is called alike
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "CODEX_HOME": folder}
        words = [sys.executable, "-m", "codex_ml", "pipeline", "run", "experiment=tiny", "--quiet"]
        subprocess.run(words, env=environment, check=True, capture_output=True)
        run = Path(folder) / "runs" / "tiny"
        lengthen(run)
        call = [sys.executable, "-c", PROGRAM, folder]
        took = [
            float(subprocess.run(call, env=environment, check=True, capture_output=True, text=True).stdout)
            for _ in range(ROUNDS)
        ]
        size = (run / "report.html").stat().st_size
    spread = " ".join(f"{seconds:.2f}" for seconds in took)
    print(f"report of {STEPS:,} steps and {SAMPLES:,} samples: {statistics.median(took):.2f} s ({spread})")
    print(f"  {size / 1e3:.0f} kB; wanted: at most {WANTED_SECONDS:g} s and {WANTED_BYTES / 1e3:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
