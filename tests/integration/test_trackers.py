"""The real command with every tracker: each is read back by its own reader, and has what the NDJSON has."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_ml.config.compose import compose
from codex_ml.core.ndjson import read
from codex_ml.tracking.context import TrackerContext
from codex_ml.tracking.keys import curve_of
from codex_ml.tracking.mlflow_utils import RUN_TAG, MlflowConfig, MlflowTracker, start_run
from codex_ml.tracking.opening import context_of, opened, read_health
from sinks import HIDDEN, LOGIN, record

pytestmark = pytest.mark.needs("train", "report", "tracking")
WORDS = (
    *(
        "experiment=tiny",
        "name=seen",
        "train.steps=8",
        "eval.every=4",
        "checkpoint.every=4",
        "eval.tasks=[lm]",
    ),
    *("tracking.sinks=[mlflow,wandb,tensorboard]", "tracking.patience=60", "tracking.system_every=0.5"),
)
Points = dict[str, dict[int, float]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, trained: Path, cli: Callable[..., Any]) -> Path:
    """The run ``seen``, trained, evaluated and reported with all trackers."""
    home = tmp_path_factory.mktemp("seen") / "home"
    home.mkdir()
    (home / ".codex").symlink_to(trained / ".codex")
    done = cli(home, "pipeline", "run", *WORDS, "--json")
    assert done.code == 0, done.err
    assert len(done.out.strip().splitlines()) == 1, "something else printed to stdout"
    assert "WARNING" not in done.err, done.err
    return home / "runs" / "seen"


def truth(run: Path) -> Points:
    """Every curve of the run's own files; the last value of a step counts."""
    from codex_ml.metrics import MetricRecord

    found: Points = {}
    for row in read(run / "metrics.ndjson"):
        if row["phase"] != "start":
            row["value"] = float(row["value"])
            found.setdefault(curve_of(MetricRecord(**row)), {})[row["step"]] = row["value"]
    for row in read(run / "system.ndjson"):
        for name in set(row) - {"run_id", "ts", "step"}:
            found.setdefault(f"system/{name}", {})[row["step"]] = row[name]
    return found


def from_mlflow(run: Path) -> Points:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{run.parent}/mlflow.db", f"sqlite:///{run.parent}/mlflow.db")
    found = mlflow_run(client)
    return {
        key: {
            row.step: row.value for row in sorted(client.get_metric_history(found.info.run_id, key), key=_age)
        }
        for key in found.data.metrics
    }


def _age(row: Any) -> int:
    return int(row.timestamp)


def mlflow_run(client: Any) -> Any:
    (found,) = client.search_runs([client.get_experiment_by_name("codex-ml").experiment_id])
    return found


def from_wandb(run: Path) -> Points:
    from wandb_file import rows

    found: Points = {}
    for row in rows(run):
        for key in set(row) - {"step", "ts", "_step", "_runtime", "_timestamp"}:
            found.setdefault(key, {})[row["step"]] = row[key]
    return found


def from_tensorboard(run: Path) -> Points:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: {row.step: row.value for row in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


def test_mlflow_wandb_and_tensorboard_read_back_the_numbers_of_the_ndjson(seen: Path) -> None:
    expected = truth(seen)
    assert {"train/loss", "validation/loss", "eval/validation/loss", "system/cpu_percent"} <= set(expected)
    assert from_mlflow(seen) == expected
    assert from_wandb(seen) == expected
    rounded = {key: {step: float32(value) for step, value in row.items()} for key, row in expected.items()}
    assert from_tensorboard(seen) == rounded


def test_the_summary_says_how_each_tracker_fared_and_how_the_machine_was_used(seen: Path) -> None:
    health = json.loads((seen / "trackers.json").read_text())
    assert {name: row["state"] for name, row in health.items()} == dict.fromkeys(
        ("ndjson", "csv", "mlflow", "wandb", "tensorboard"), "ok"
    )
    assert not any(row["dropped"] for row in health.values())
    lines = len((seen / "metrics.ndjson").read_text().splitlines())
    assert health["ndjson"]["written"] == lines - 1  # but for the first record
    system = json.loads((seen / "run.json").read_text())["result"]["system"]
    assert system["samples"] == len(list(read(seen / "system.ndjson"))) >= 1
    assert system["peak"]["process_memory_bytes"] > 100 << 20
    assert all(math.isfinite(value) for part in ("mean", "peak") for value in system[part].values())


def test_the_first_record_of_the_files_and_each_tracker_say_which_code_it_was(seen: Path) -> None:
    from mlflow import MlflowClient
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from wandb_file import records

    first = next(read(seen / "metrics.ndjson"))
    facts, record = first["facts"], json.loads((seen / "run.json").read_text())
    assert facts["identity_sha256"] == record["identity_sha256"]
    assert facts["code_sha256"] == record["inputs"]["code"]
    uri = f"sqlite:///{seen.parent}/mlflow.db"
    tags = mlflow_run(MlflowClient(uri, uri)).data.tags
    wanted = {f"codex_ml.{name}": value for name, value in facts.items()} | {
        "codex_ml.run_id": record["run_id"]
    }
    assert wanted.items() <= tags.items()
    runs = [row.run for row in records(seen) if row.WhichOneof("record_type") == "run"]
    assert {run.run_id for run in runs} == {record["run_id"]}
    config = {item.key: json.loads(item.value_json) for item in runs[0].config.update}
    assert wanted.items() <= config.items()
    events = EventAccumulator(str(seen / "tensorboard"))
    events.Reload()
    text = events.Tensors("start/facts")[0].tensor_proto.string_val[0]
    assert wanted == json.loads(text)["tags"]


def test_mlflow_holds_the_files_for_people(seen: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{seen.parent}/mlflow.db"
    client = MlflowClient(uri, uri)
    run = mlflow_run(client)
    assert run.info.status == "FINISHED"
    assert {"run.json", "report.html", "metrics.ndjson", "system.ndjson"} <= {
        item.path for item in client.list_artifacts(run.info.run_id)
    }
    assert run.info.artifact_uri.startswith(f"file://{seen.parent}/mlflow-artifacts/")


def _blocks() -> list[str]:
    page = Path(__file__).parents[2] / "docs" / "tracking.md"
    return re.findall(r"^```py\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_python_of_the_page_reads_a_real_run_back(seen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = _blocks()
    assert len(blocks) == 5
    monkeypatch.chdir(seen.parents[1])
    for block in blocks:
        exec(block.replace("runs/demo", "runs/seen").replace("'demo'", "'seen'"), {})


def test_every_file_of_the_run_is_bound_and_verifies(seen: Path) -> None:
    from codex_ml.core.paths import Home
    from codex_ml.pipeline.verify import verify_run
    from codex_ml.provenance.run_directory import RunDirectory

    checks = verify_run(RunDirectory(seen), home=Home(seen.parents[1]))
    assert [check for check in checks if check.fault] == []
    bound = {check.what for check in checks if check.note is None}
    assert {"system.ndjson", "trackers.json"} <= bound
    assert any(what.startswith("wandb/") for what in bound)


def test_a_store_that_cannot_be_used_is_refused_before_anything_is_done(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from codex_ml.cli import main

    monkeypatch.setenv("CODEX_MLFLOW_URI", f"https://{LOGIN}@tracker.example.org")
    assert main(["train", "experiment=tiny", "tracking.sinks=[mlflow]", "--json"]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[-1])["error"]["code"] == "tracking.network"
    assert HIDDEN not in said.out + said.err
    assert not (workspace / "runs").exists()


def test_the_log_file_of_a_command_begins_with_its_code(tmp_path: Path, cli: Callable[..., Any]) -> None:
    home = tmp_path / "home"
    home.mkdir()
    env = {"CODEX_LOG_FILE": str(tmp_path / "codex.log"), "CODEX_SEDE": "1", "CODEX_LOG_FORMAT": "ndjson"}
    done = cli(home, "config", "validate", env=env)
    assert done.code == 0
    first, second = [json.loads(line) for line in (tmp_path / "codex.log").read_text().splitlines()]
    assert len(first["facts"]["code_sha256"]) == 64
    assert "CODEX_SEDE" in second["message"]
    assert second["message"] in [
        json.loads(line)["message"] for line in done.err.splitlines() if line[:1] == "{"
    ]


@pytest.fixture(scope="module")
def store(seen: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A copy of the run's store, whose tables are there: making them takes seconds."""
    copy = tmp_path_factory.mktemp("store") / "mlflow.db"
    shutil.copyfile(seen.parent / "mlflow.db", copy)
    return f"sqlite:///{copy}"


@pytest.fixture
def context_for(tmp_path: Path) -> Callable[..., TrackerContext]:
    """``context_for("tracking.queue=5", resume_step=3)``: the run ``runs/tiny`` of a test."""

    def build(*words: str, **options: Any) -> TrackerContext:
        directory = tmp_path / "runs" / "tiny"
        directory.mkdir(parents=True, exist_ok=True)
        config = compose(["experiment=tiny", *words], environ={}).config
        given = {"resume_step": 0, "facts": {"commit": "c" * 40, "seed": "0"}, "run_id": "a" * 32, **options}
        return context_of(config, directory=directory, **given)

    return build


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(uri, uri)


@pytest.mark.parametrize(
    ("error", "status"), [(None, "FINISHED"), (KeyboardInterrupt(), "KILLED"), (ValueError(), "FAILED")]
)
def test_a_run_of_the_api_says_how_its_block_ended(
    error: BaseException | None, status: str, store: str, tmp_path: Path
) -> None:
    config = MlflowConfig(store, run_name="mine", params={"lr": "0.1"}, artifacts=tmp_path / "kept")
    file = tmp_path / "note.txt"
    file.write_text("kept")
    ids: list[str] = []

    def work() -> None:
        with start_run(config) as run:
            assert run is not None
            ids.append(run.id)
            run.log_metrics({"loss": 2.5}, step=1)
            run.log_artifact(file)
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(type(error)):
            work()
    found = client(store).get_run(ids[0])
    assert (found.info.status, found.info.run_name, found.info.user_id) == (status, "mine", "unknown")
    assert (found.data.params, found.data.metrics) == ({"lr": "0.1"}, {"loss": 2.5})


def test_a_resumed_run_is_the_same_run_with_every_value_params_and_tags(
    store: str, context_for: Callable[..., TrackerContext]
) -> None:
    values = [0.1 + 0.2, 1e-300, -5.0, math.nan, 123456789.123456789]
    context = context_for(f"tracking.mlflow.uri={store}")
    file = context.run_directory / "run.json"
    file.write_text("{}")
    first = MlflowTracker(context)
    first.write([record(step, value) for step, value in enumerate(values)])
    first.close("interrupted", [])
    second = MlflowTracker(context_for(f"tracking.mlflow.uri={store}", resume_step=4))
    second.write([record(5, 7.0), record(5, 8.0, split="validation"), record(5, 9.0, phase="eval")])
    second.close("finished", [file])
    api = client(store)
    (run,) = api.search_runs(
        [api.get_experiment_by_name("codex-ml").experiment_id], f"tags.`{RUN_TAG}` = '{'a' * 32}'"
    )
    history = {row.step: row.value for row in api.get_metric_history(run.info.run_id, "train/loss")}
    assert math.isnan(history.pop(3))
    assert history == {0: values[0], 1: values[1], 2: values[2], 4: values[4], 5: 7.0}
    assert run.data.metrics["validation/loss"] == 8.0
    assert run.data.metrics["eval/train/loss"] == 9.0
    assert run.info.status == "FINISHED"
    assert run.data.params["train.lr"] == "0.003"
    assert {f"codex_ml.{name}" for name in ("commit", "seed", "run_id")} <= set(run.data.tags)
    assert [item.path for item in api.list_artifacts(run.info.run_id)] == ["run.json"]


def test_more_params_than_one_call_takes_all_arrive(store: str) -> None:
    with start_run(MlflowConfig(store, params={f"key.{n}": str(n) for n in range(250)})) as run:
        assert run is not None
    assert len(client(store).get_run(run.id).data.params) == 250


def test_nothing_is_left_in_the_folder_of_the_call_and_no_telemetry_runs(workspace: Path, store: str) -> None:
    with start_run(MlflowConfig(store)) as run:
        assert run is not None
    assert list(workspace.iterdir()) == []
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_place_that_cannot_be_written_is_the_trackers_failure_alone(
    context_for: Callable[..., TrackerContext], caplog: pytest.LogCaptureFixture
) -> None:
    context = context_for("tracking.sinks=[mlflow]", "tracking.mlflow.uri=sqlite:////proc/no/mlflow.db")
    with opened(context) as tracker:
        tracker.log({"loss": 1.0}, step=1, split="train", phase="train")
    health = read_health(context.run_directory)["mlflow"]
    assert (health["state"], health["dropped"]) == ("failed", 1)
    assert len([line for line in caplog.messages if "'mlflow'" in line]) == 1
