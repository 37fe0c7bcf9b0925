"""verify, reproduce, runs diff, checkpoint verify|prune|diff: on a real run, good and tampered with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("train", "report")


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A workspace of one's own with the finished run."""
    home = tmp_path / "home"
    shutil.copytree(trained, home)
    return home


def flip(path: Path, at: int = -2) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def faults(record: dict) -> dict[str, str]:
    return {check["what"]: check["fault"] for check in record["checks"] if check["fault"]}


def test_a_finished_run_verifies_without_torch(trained, cli) -> None:
    done = cli(trained, "verify", "tiny", "--json", env={"PYTHONPROFILEIMPORTTIME": "1"})
    assert done.code == 0, done.err[-2000:]
    assert faults(done.json) == {}
    assert not [line for line in done.err.splitlines() if line.endswith("| torch")]


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("run.json", "run.json"),
        ("journal.jsonl", "journal"),
        ("metrics.ndjson", "metrics.ndjson"),
        ("metrics.csv", "metrics.csv"),
        ("report.html", "report.html"),
        ("export/model.safetensors", "export"),
        ("export/README.md", "export"),
        ("checkpoints/step-00000040/state.json", "checkpoints/step-00000040"),
        ("checkpoints/step-00000020/optimizer.safetensors", "checkpoints/step-00000020"),
    ],
)
def test_one_changed_bit_anywhere_is_found_and_named(file: str, named: str, copy, cli) -> None:
    flip(copy / "runs" / "tiny" / file)
    done = cli(copy, "verify", "tiny", "--json")
    assert done.code == 3
    found = faults(done.json)
    assert any(what.startswith(named) for what in found), found


def test_a_changed_dataset_is_found(copy, cli) -> None:
    shard = next((copy / ".codex" / "store" / "datasets").glob("*/**/*.bin"))
    flip(shard)
    done = cli(copy, "verify", "tiny", "--json")
    assert done.code == 3
    assert any(what.startswith("dataset") for what in faults(done.json))


def test_a_pointer_that_leads_nowhere_is_named(copy, cli) -> None:
    (copy / "runs" / "tiny" / "checkpoints" / "latest").write_text("step-99999999\n")
    done = cli(copy, "checkpoint", "verify", "tiny", "--json")
    assert done.code == 3
    assert "step-99999999" in done.json["pointers"][0]


def test_a_run_comes_out_again_with_the_same_bits_from_the_start_and_from_a_checkpoint(trained, cli) -> None:
    whole = cli(trained, "reproduce", "tiny", "--from-step", "0", "--json")
    assert (whole.code, whole.json["steps"], whole.json["checkpoints_compared"]) == (0, 40, 2), whole.err
    part = cli(trained, "reproduce", "tiny", "--from-step", "25", "--steps", "5", "--json")
    assert (part.code, part.json["from_step"], part.json["steps"]) == (0, 20, 5)


def test_a_forged_journal_is_found_out_at_its_step(copy, cli) -> None:
    journal = copy / "runs" / "tiny" / "journal.jsonl"
    forge(journal, step=23)
    done = cli(copy, "reproduce", "tiny", "--from-step", "20", "--json")
    assert done.code == 3
    assert (done.json["divergence"]["step"], done.json["divergence"]["field"]) == (23, "loss")


def forge(journal: Path, *, step: int) -> None:
    """Another loss at one step, with a chain that holds."""
    import hashlib

    from codex_ml.core.digest import canonical_json

    lines, previous = [], ""
    for line in journal.read_text().splitlines():
        record = {**json.loads(line), "previous": previous}
        if record["step"] == step:
            record["loss"] = (float.fromhex(record["loss"]) + 1.0).hex()
        lines.append(canonical_json(record))
        previous = hashlib.sha256(lines[-1].encode()).hexdigest()
    journal.write_text("".join(f"{line}\n" for line in lines))


def test_two_runs_differ_first_where_their_configs_made_them_differ(copy, cli) -> None:
    assert cli(copy, "train", "experiment=tiny", "name=other", "train.clip_norm=0.1").code == 0
    done = cli(copy, "runs", "diff", "tiny", "other", "--json")
    assert done.code == 0
    changed = {row["key"] for row in done.json["differences"] if row["part"] == "config"}
    assert changed == {"name", "train.clip_norm"}
    # Step 1 has the same loss and norm and another update; the loss of step 2 shows it.
    assert done.json["common_steps"] == 1
    assert done.json["diverged"]["step"] == 2


def test_the_differences_of_two_checkpoints_are_counters_weights_and_moments(trained, cli) -> None:
    folder = trained / "runs" / "tiny" / "checkpoints"
    done = cli(trained, "checkpoint", "diff", folder / "step-00000020", folder / "step-00000040", "--json")
    parts = {row["part"] for row in done.json["differences"]}
    assert parts == {"state", "model.safetensors", "optimizer.safetensors"}
    assert {"step", "tokens"} <= {row["name"] for row in done.json["differences"]}


def test_pruning_keeps_the_newest_and_says_what_went(copy, cli) -> None:
    folder = copy / "runs" / "tiny" / "checkpoints"
    words = ("checkpoint", "prune", "tiny", "--keep-last", "1", "--keep-best", "0", "--json")
    assert cli(copy, *words, "--dry-run").json["removed"] == ["step-00000020"]
    assert (folder / "step-00000020").is_dir()
    assert cli(copy, *words).json["removed"] == ["step-00000020"]
    assert [path.name for path in folder.glob("step-*")] == ["step-00000040"]


def test_a_checkpoint_says_which_code_and_run_it_belongs_to(trained) -> None:
    run = json.loads((trained / "runs" / "tiny" / "run.json").read_text())
    manifest = json.loads(
        (trained / "runs" / "tiny" / "checkpoints" / "step-00000040" / "MANIFEST.json").read_text()
    )
    assert manifest["owner"] == {"run_id": run["run_id"]}
    assert manifest["facts"]["identity_sha256"] == run["identity_sha256"]
    assert manifest["facts"]["code_sha256"] == run["inputs"]["code"]


def test_running_the_same_command_again_does_not_bless_a_changed_file(copy, cli) -> None:
    flip(copy / "runs" / "tiny" / "metrics.ndjson", at=-20)
    again = cli(copy, "train", "experiment=tiny", "--json")
    assert (again.code, again.json["already_finished"]) == (0, True), again.err
    done = cli(copy, "verify", "tiny", "--json")
    assert done.code == 3
    assert list(faults(done.json)) == ["metrics.ndjson"]


def test_a_changed_key_name_in_the_manifest_is_a_difference_and_no_fault_of_the_program(copy, cli) -> None:
    manifest = copy / "runs" / "tiny" / "run.json"
    manifest.write_text(manifest.read_text().replace('"dataset"', '"eataset"'))
    done = cli(copy, "verify", "tiny", "--json")
    assert (done.code, list(faults(done.json))) == (3, ["run.json"])


def test_a_metric_that_does_not_exist_prunes_nothing(copy, cli) -> None:
    done = cli(copy, "checkpoint", "prune", "tiny", "--metric", "los", "--json")
    assert done.code == 2
    assert len(list((copy / "runs" / "tiny" / "checkpoints").glob("step-*"))) == 2


def test_pruning_by_accuracy_keeps_the_highest_without_being_told(copy, cli) -> None:
    found = cli(copy, "checkpoint", "ls", "tiny", "--json").json["checkpoints"]
    best = max(found, key=lambda row: row["metrics"]["token_accuracy"])["name"]
    words = ("checkpoint", "prune", "tiny", "--metric", "token_accuracy", "--keep-best", "1")
    assert cli(copy, *words).code == 0
    pointer = copy / "runs" / "tiny" / "checkpoints" / "best"
    assert pointer.read_text().strip() == best


def test_a_run_of_another_workspace_is_named_by_its_directory(trained, tmp_path, cli) -> None:
    (tmp_path / "elsewhere").mkdir()
    run = trained / "runs" / "tiny"
    assert cli(tmp_path / "elsewhere", "checkpoint", "verify", run, "--json").code == 0
    shown = cli(tmp_path / "elsewhere", "runs", "show", run, "--json")
    assert shown.json["run"] == "tiny"
    assert cli(tmp_path / "elsewhere", "runs", "diff", run, run, "--json").json["differences"] == []


def test_a_run_in_progress_is_not_called_bad(copy, cli) -> None:
    import fcntl

    with (copy / "runs" / "tiny" / ".lock").open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        done = cli(copy, "verify", "tiny", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "run.locked")


def test_another_library_is_named_and_keeps_the_run_from_going_on_unless_accepted(copy, cli) -> None:
    from importlib.metadata import version

    from codex_ml.core.digest import digest_json
    from codex_ml.provenance.run_directory import RunDirectory

    directory = RunDirectory(copy / "runs" / "tiny")
    record = directory.read()
    key = "inputs.libraries.numpy"
    assert record["identity"][key].split()[0] == version("numpy")
    # As if the run had been made with another numpy.
    record["inputs"]["libraries.numpy"] = record["identity"][key] = "1.0.0 0123456789abcdef"
    record["identity_sha256"] = digest_json(record["identity"])
    directory.write(record)
    done = cli(copy, "verify", "tiny", "--json")
    assert done.code == 0
    notes = {check["what"]: check["note"] for check in done.json["checks"] if check["note"]}
    assert notes["library numpy"].startswith("another one is installed: 1.0.0 ")
    again = cli(copy, "train", "experiment=tiny", "--json")
    assert (again.code, again.json["error"]["code"]) == (2, "run.identity")
    assert key in again.json["error"]["got"]
    assert cli(copy, "train", "experiment=tiny", "--accept-change", key, "--json").code == 0


def test_a_run_of_an_earlier_version_lacks_keys_that_came_since_and_is_read_all_the_same(copy, cli) -> None:
    from codex_ml.provenance.run_directory import RunDirectory

    directory = RunDirectory(copy / "runs" / "tiny")
    record = directory.read()
    record["config"]["tracking"] = {"sinks": ["ndjson", "csv"]}
    directory.write(record)
    assert cli(copy, "generate", "tiny", "--prompt", "x", "--max-tokens", "1", "--json").code == 0
    del record["config"]["train"]["lr"]  # what can change a run is never made up
    directory.write(record)
    done = cli(copy, "generate", "tiny", "--prompt", "x", "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "config.missing")


def test_figures_written_elsewhere_begin_with_the_facts_of_their_run(copy, cli, tmp_path) -> None:
    record = json.loads((copy / "runs" / "tiny" / "run.json").read_text(encoding="utf-8"))
    for target in ("tiny", str(copy / "runs" / "tiny" / "export")):
        out = tmp_path / Path(target).name
        assert cli(copy, "eval", target, "--task", "lm", "--out", str(out), "--json").code == 0
        first = json.loads((out / "metrics.ndjson").read_text(encoding="utf-8").splitlines()[0])
        assert (first["phase"], first["facts"]["identity_sha256"]) == ("start", record["identity_sha256"])
