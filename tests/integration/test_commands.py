"""Every command of the tree: help, --json, one good and one wrong call, the exit codes of the contract."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from codex_ml.cli.app import app

pytestmark = pytest.mark.needs("train", "report")

#: command -> (words of a good call, words of a wrong call, exit code of the wrong one)
CALLS = {
    "attest key": (["{new}"], ["surplus", "surplus"], 2),
    "attest sign": (["tiny", "--key", "{key}"], ["tyni", "--key", "{key}"], 2),
    "attest verify": (["tiny"], ["tyni"], 2),
    "audit rules": ([], ["surplus"], 2),
    "audit run": (["{sources}", "--date", "2026-01-31"], ["/nowhere"], 2),
    "audit schema": ([], ["surplus"], 2),
    "checkpoint diff": (["tiny", "tiny"], ["tiny", "tyni"], 2),
    "checkpoint digest": (["tiny"], ["tyni"], 2),
    "checkpoint ls": (["tiny"], ["tyni"], 2),
    "checkpoint prune": (["tiny", "--dry-run"], ["tiny", "--keep-last", "0"], 2),
    "checkpoint verify": (["tiny"], ["tyni"], 2),
    "completion": (["bash"], ["tcsh"], 2),
    "config diff": (["experiment=demo", "experiment=tiny"], ["experiment=demo", "seed=x"], 2),
    "config explain": (["train.lr", "experiment=tiny"], ["train.lrr"], 2),
    "config schema": ([], ["surplus"], 2),
    "config show": (["experiment=tiny", "train.lr=1e-3"], ["experiment=tyni"], 2),
    "config validate": (["experiment=tiny"], ["train.lr=-1"], 2),
    "data inspect": (["experiment=tiny", "--row", "3"], ["experiment=tiny", "--row", "999999"], 2),
    "data prepare": (["experiment=tiny"], ["data.source=files", "data.path=/nowhere"], 2),
    "data stats": (["experiment=tiny"], ["experiment=tiny", "data.include=[nothing.py]"], 2),
    "digest": (["{log}"], ["/nowhere"], 2),
    "doctor": (["experiment=tiny"], ["experiment=tyni"], 2),
    "env check": (["tiny"], ["tyni"], 2),
    "env diff": (["tiny", "tiny"], ["tiny", "tyni"], 2),
    "env snapshot": (["--out", "{new}"], ["surplus"], 2),
    "errors export": (["--format", "json"], ["--format", "xml"], 2),
    "errors ls": (["--open"], ["surplus"], 2),
    "errors resolve": (["{error}", "--reason", "fixed"], ["zzzz", "--reason", "fixed"], 2),
    "errors show": (["{error}"], ["zzzz"], 2),
    "eval": (["tiny", "--task", "lm"], ["tiny", "--task", "lmm"], 2),
    "generate": (["tiny", "--prompt", "def", "--max-tokens", "4"], ["tyni", "--prompt", "def"], 2),
    "lineage": (["tiny", "--step", "2"], ["tiny", "--step", "0"], 2),
    "model export": (
        ["{export}", "--format", "merged", "--out", "{new}"],
        ["{export}", "--format", "adapter", "--out", "{new}"],
        2,
    ),
    "model import": (["{export}", "--out", "{new}"], ["/nowhere", "--out", "{new}"], 2),
    "model inspect": (["{export}"], ["/nowhere"], 2),
    "model merge": (
        ["{export}", "{adapter}", "--out", "{new}"],
        ["{export}", "/nowhere", "--out", "{new}"],
        2,
    ),
    "pipeline plan": (["experiment=tiny"], ["experiment=tiny", "model.heads=3"], 2),
    "pipeline run": (["experiment=tiny"], ["experiment=tiny", "data.source=filse"], 2),
    "plugins check": (["trackers=codex_ml.tracking.file_sinks:CsvTracker"], ["nothing"], 2),
    "plugins doctor": ([], ["surplus"], 2),
    "plugins info": (["metrics=codex_ml.metrics.functions:token_accuracy"], ["nothing"], 2),
    "plugins ls": (["--kind", "trackers"], ["--kind", "trakers"], 2),
    "plugins new": (["my-parts", "--dir", "{new}"], ["class"], 2),
    "reproduce": (["tiny", "--steps", "2"], ["tyni"], 2),
    "runs archive": (["tiny", "--to", "{new}"], ["tyni"], 2),
    "runs best": ([], ["--metric", "los"], 2),
    "runs compare": (["tiny", "tiny"], ["tiny", "tyni"], 2),
    "runs diff": (["tiny", "tiny"], ["tiny", "tyni"], 2),
    "runs gc": (["--dry-run"], ["--older-than", "-1"], 2),
    "runs ls": ([], ["surplus"], 2),
    "runs plot": (["tiny"], ["tiny", "--metric", "los"], 2),
    "runs schema": ([], ["surplus"], 2),
    "runs show": (["tiny"], ["tyni"], 2),
    "runs tail": (["tiny"], ["tyni"], 2),
    "runs watch": (["tiny", "--port", "0", "--seconds", "0.2"], ["tyni"], 2),
    "scaffold": (["plugin", "my-parts", "--dir", "{new}", "--dry-run"], ["metric", "mine"], 2),
    "selftest": (["--faults", "--quick"], [], 2),
    "store gc": (["--dry-run"], ["--dry"], 2),
    "store ls": ([], ["surplus"], 2),
    "sweep": (["experiment=tiny", "seed=1,2", "--dry-run"], ["experiment=tiny", "seed=1"], 2),
    "tokenizer decode": (["{tokenizer}", "300", "301"], ["{tokenizer}", "99999"], 2),
    "tokenizer encode": (["{tokenizer}", "def f():"], ["/nowhere", "def"], 2),
    "tokenizer eval": (
        ["experiment=tiny", "--against", "{tokenizer}"],
        ["experiment=tiny", "--against", "/no"],
        2,
    ),
    "tokenizer train": (["experiment=tiny"], ["experiment=tiny", "tokenizer.vocab_size=3"], 2),
    "train": (["experiment=tiny"], ["experiment=tiny", "--resume-from", "/nowhere"], 2),
    "verify": (["tiny"], ["tyni"], 2),
}


def leaves(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        path = f"{prefix}{name}"
        if isinstance(found, click.Group):
            yield from leaves(found, path + " ")
        else:
            yield path, found


def test_the_table_names_every_command() -> None:
    assert sorted(CALLS) == sorted(path for path, _ in leaves(app))


@pytest.mark.parametrize("path", sorted(CALLS))
def test_every_command_explains_itself_and_speaks_json(path: str) -> None:
    command = dict(leaves(app))[path]
    assert command.help, path
    assert any("--json" in parameter.opts for parameter in command.params), path


@pytest.mark.parametrize("path", sorted(CALLS))
def test_a_good_call_ends_with_one_json_object(path: str, trained, cli) -> None:
    done = cli(trained, *path.split(), *_filled(CALLS[path][0], trained), "--json")
    assert done.code == 0, done.err
    assert isinstance(done.json, dict)
    assert "error" not in done.json


@pytest.mark.parametrize("path", sorted(CALLS))
def test_a_wrong_call_is_one_line_with_a_code(path: str, trained, cli) -> None:
    _, words, code = CALLS[path]
    done = cli(trained, *path.split(), *_filled(words, trained), "--json")
    assert done.code == code, done.err
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in done.err
    assert done.json["exit_code"] == code
    assert f"[{done.json['error']['code']}]" in errors[0]


def _filled(words: list[str], home: Path) -> list[str]:
    places = {
        "tokenizer": lambda: next((home / ".codex" / "store" / "tokenizers").iterdir()),
        "export": lambda: home / "runs" / "tiny" / "export",
        "adapter": lambda: _adapter(home),
        "error": lambda: _error(home),
        "key": lambda: _key(home),
        "log": lambda: Path(__file__).resolve().parents[1] / "fixtures" / "digest" / "nox-sessions.log",
        "sources": lambda: Path(__file__).resolve().parents[2] / "tools",
        "new": lambda: home / f"new-{uuid.uuid4().hex[:8]}",
    }
    found = {name: str(place()) for name, place in places.items() if f"{{{name}}}" in " ".join(words)}
    return [word.format(**found) if word.startswith("{") else word for word in words]


def _error(home: Path) -> str:
    """The id of an error in the store."""
    from codex_ml.digest.store import ErrorStore

    store = ErrorStore(home / ".codex" / "errors.ndjson")
    return store.add([{"step": "1:test", "error": "planted"}])[0].fingerprint


def _key(home: Path) -> Path:
    """A private key."""
    from codex_ml.provenance.signing import make_key

    path = home / "signing.key"
    if not path.exists():
        make_key(path)
    return path


def _adapter(home: Path) -> Path:
    """An adapter that does something, on the export of the run."""
    from codex_ml.modeling.codex_model_loader import load_model_with_optional_lora
    from codex_ml.modeling.lora import adapter_tensors, save_adapter

    directory = home / "adapter"
    if not directory.exists():
        base = home / "runs" / "tiny" / "export"
        loaded = load_model_with_optional_lora(base, dtype="float32", device="cpu", lora_enabled=True)
        for name, value in adapter_tensors(loaded.model).items():
            value.fill_(0.01 if "lora_B" in name else 0.1)
        save_adapter(loaded.model, directory, loaded.weights_sha256)
    return directory


@pytest.mark.parametrize("words", [(), ("pipeline",), ("pipeline", "run"), ("config", "show")])
def test_help_is_quick(words: tuple[str, ...], trained, cli) -> None:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        done = cli(trained, *words, "--help", env={"COVERAGE_PROCESS_CONFIG": None})
        times.append(time.perf_counter() - started)
        assert done.code == 0
    # The promise is 100 ms on a quiet machine; this guards against an import that costs seconds.
    assert min(times) < 0.5


def test_json_output_of_an_error_is_machine_readable(trained, cli) -> None:
    done = cli(trained, "config", "validate", "train.lrr=1", "--json")
    assert json.loads(done.out)["error"]["next"] == "did you mean 'train.lr'?"


def test_quiet_silences_progress(trained, cli) -> None:
    done = cli(trained, "pipeline", "run", "experiment=tiny", "--quiet", "--json")
    assert done.code == 0
    assert done.err == ""


def test_an_unknown_variable_is_reported_with_the_nearest_name(trained, cli) -> None:
    done = cli(trained, "config", "validate", env={"CODEX_HOEM": "x"})
    assert done.code == 0
    assert "did you mean CODEX_HOME" in done.err
    done = cli(trained, "config", "validate", env={"CODEX_TRAIN__LRR": "1"})
    assert done.code == 2
    assert "CODEX_TRAIN__LR" in done.err
