"""The main job end to end on real input: finish, find finished, survive kills, export, evaluate again."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("train", "report")
NAMES = [
    "loss",
    "perplexity",
    "bits_per_byte",
    "gzip_bits_per_byte",
    "xz_bits_per_byte",
    "token_accuracy",
    "parse_rate",
    "tokens_per_second",
]
#: A run that is long enough to be caught in the middle.
SLOW = ("experiment=tiny", "name=slow", "train.steps=150", "checkpoint.every=10", "eval.every=50")


def weights(cli, home: Path, name: str) -> str:
    return cli(home, "train", *(SLOW if name == "slow" else ("experiment=tiny",)), "--json").json[
        "weights_sha256"
    ]


def test_the_run_has_every_file_and_figure_of_the_contract(trained, cli) -> None:
    shown = cli(trained, "runs", "show", "tiny", "--json").json
    assert set(NAMES) <= set(shown["metrics"])
    assert len(shown["weights_sha256"]) == 64
    run = trained / "runs" / "tiny"
    for name in ("run.json", "journal.jsonl", "metrics.ndjson", "metrics.csv", "report.html"):
        assert (run / name).stat().st_size > 0, name
    assert {"latest", "best"} <= {path.name for path in (run / "checkpoints").iterdir()}
    assert len((run / "journal.jsonl").read_text().splitlines()) == 40


def test_metrics_are_the_same_rows_in_ndjson_and_csv(trained) -> None:
    run = trained / "runs" / "tiny"
    lines = [json.loads(line) for line in (run / "metrics.ndjson").read_text().splitlines()]
    with (run / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(str(r["step"]), r["phase"], r["metric"]) for r in lines] == [
        (r["step"], r["phase"], r["metric"]) for r in rows
    ]
    final = [r for r in lines if r["phase"] == "eval" and r["metric"] == "loss"]
    assert len(final) == 1
    assert final[0]["ci_low"] < final[0]["value"] < final[0]["ci_high"]
    assert final[0]["n"] > 1000


def test_run_again_it_says_that_it_is_finished_and_changes_nothing(trained, cli) -> None:
    run = trained / "runs" / "tiny"
    kept = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = cli(trained, "pipeline", "run", "experiment=tiny", "--json")
    assert done.code == 0
    assert done.json["already_finished"] is True
    assert "finished already" in done.err
    assert {path: path.read_bytes() for path in kept} == kept
    assert len(json.loads((run / "run.json").read_text())["segments"]) == 1


def test_another_identity_is_refused_by_name(trained, cli) -> None:
    done = cli(trained, "train", "experiment=tiny", "train.lr=0.5", "--json")
    assert done.code == 2
    assert "config.train.lr: 0.003 -> 0.5" in done.json["error"]["got"]


def test_the_export_loads_in_transformers_with_equal_logits(trained) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from codex_ml.core.paths import Home
    from codex_ml.evaluation.target import find_target

    export = trained / "runs" / "tiny" / "export"
    theirs = AutoModelForCausalLM.from_pretrained(export).eval()
    tokenizer = AutoTokenizer.from_pretrained(export)
    target = find_target(str(export), home=Home(trained))
    ours = target.load_model(device=torch.device("cpu"))
    text = "def read(path):\n    return path.read_text()\n"
    ids = tokenizer(text, return_tensors="pt").input_ids
    assert ids[0].tolist() == target.load_tokenizer().encode(text)
    with torch.no_grad():
        expected, got = theirs(ids).logits, ours(ids)
    assert torch.equal(expected.argmax(-1), got.argmax(-1))
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_run_checkpoint_and_export_evaluate_to_the_same_figures(trained, cli) -> None:
    run = trained / "runs" / "tiny"
    shown = cli(trained, "runs", "show", "tiny", "--json").json["metrics"]
    for target in (str(run / "checkpoints" / "step-00000040"), str(run / "export")):
        done = cli(trained, "eval", target, "--task", "lm", "--json")
        assert done.code == 0, done.err
        assert done.json["metrics"]["loss"] == shown["loss"]


def test_generation_repeats_and_depends_on_the_seed(trained, cli) -> None:
    words = ("generate", "tiny", "--prompt", "import ", "--max-tokens", "12", "--json", "--seed")
    first, again, other = (cli(trained, *words, seed).json["text"] for seed in ("1", "1", "2"))
    assert first == again
    assert first != other


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_stopped_run_goes_on_to_the_same_bits(number: signal.Signals, tmp_path, trained, cli) -> None:
    reference = tmp_path / "whole"
    stopped = tmp_path / "stopped"
    for home in (reference, stopped):
        home.mkdir()
        (home / ".codex").symlink_to(trained / ".codex")
    expected = cli(reference, "train", *SLOW, "--json")
    assert expected.code == 0, expected.err
    code = _stop_in_the_middle(stopped, number)
    assert code == (75 if number == signal.SIGTERM else -signal.SIGKILL)
    done = cli(stopped, "train", *SLOW, "--json")
    assert done.code == 0, done.err
    assert "going on from step" in done.err
    assert done.json["weights_sha256"] == expected.json["weights_sha256"]
    journals = [(home / "runs" / "slow" / "journal.jsonl").read_bytes() for home in (reference, stopped)]
    assert journals[0] == journals[1]
    steps = [
        tuple(json.loads(line)[key] for key in ("step", "split", "phase", "metric"))
        for line in (stopped / "runs" / "slow" / "metrics.ndjson").read_text().splitlines()
    ]
    assert len(steps) == len(set(steps))


def _stop_in_the_middle(home: Path, number: signal.Signals) -> int:
    """Start the slow run and signal it once its second checkpoint is there; its exit code."""
    env = {**os.environ, "CODEX_HOME": str(home), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "codex_ml", "train", *SLOW],
        env=env,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    limit = time.monotonic() + 120
    while not (home / "runs" / "slow" / "checkpoints" / "step-00000020").exists():
        assert process.poll() is None, "the run ended before it could be stopped"
        assert time.monotonic() < limit
        time.sleep(0.005)
    process.send_signal(number)
    return process.wait(60)
