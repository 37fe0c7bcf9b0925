"""Whether the same command may go on in a run, what it may change, and what is recorded of it."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.config.keys import to_dict
from codex_ml.config.schema import RunConfig
from codex_ml.core.redact import redact_value
from codex_ml.errors import UsageError
from codex_ml.provenance.facts import changes_since, latest_provenance, removed_since, run_facts
from codex_ml.provenance.opening import Asked, begin_segment, grade_of, lowered_since, open_run
from codex_ml.provenance.run_directory import RunDirectory

RESOLVED = {
    "device": "cpu",
    "dtype": "float32",
    "dtype_reason": "asked for",
    "threads": 1,
    "workers": 1,
    "grade": "bitwise",
    "lowered_by": [],
}
INPUTS = {"dataset": "d" * 64, "tokenizer": "e" * 64, "code": "f" * 64, "vocab_size": 300}
CONSTANT, WSD = "train.schedule.name=constant", "train.schedule.name=wsd"
ELASTIC = ("runtime.determinism=elastic", "runtime.shards=4")


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "runs" / "small")


@pytest.fixture
def asked_of(config_of) -> Callable[..., Asked]:
    """What a call with these words asks for; resolved values, inputs and provenance changed by name."""

    def build(*words: str, **changes: Any) -> Asked:
        return Asked(
            config=config_of(*words),
            resolved={name: changes.pop(name, value) for name, value in RESOLVED.items()},
            inputs={name: changes.pop(name, value) for name, value in INPUTS.items()},
            parents=changes.pop("parents", ()),
            provenance=changes,
        )

    return build


def growing(config: RunConfig) -> Callable[[int, int, int], bool]:
    """The rule that training goes by."""
    from codex_ml.training.schedule import may_grow

    return functools.partial(may_grow, cfg=config.train.schedule)


@pytest.fixture
def opened(directory: RunDirectory, asked_of) -> Callable[..., dict[str, Any]]:
    """Open the run as asked. Its journal exists afterwards, unless *begun* is False."""

    def call(*words: str, begun: bool = True, accept: Sequence[str] = (), **changes: Any) -> dict[str, Any]:
        asked = asked_of(*words, **changes)
        record = open_run(directory, asked, accept=accept, may_grow=growing(asked.config))
        if begun:
            directory.journal.touch()
        return record

    return call


@pytest.fixture
def started(directory: RunDirectory, opened, asked_of) -> Callable[..., dict[str, Any]]:
    """Open the run as asked and begin a segment; what is on the disk then."""

    def call(*words: str, from_step: int, accept: Sequence[str] = (), **changes: Any) -> dict[str, Any]:
        record = opened(*words, accept=accept, **changes)
        begin_segment(directory, record, asked_of(*words, **changes), from_step=from_step)
        return directory.read()

    return call


def checkpoint(directory: RunDirectory, step: int) -> None:
    (directory.checkpoints / f"step-{step:08d}").mkdir(parents=True)


def refused(act: Callable[..., Any], *words: str, **changes: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        act(*words, **changes)
    assert caught.value.exit_code == 2
    return caught.value


# ---- the same run --------------------------------------------------------------------------------


def test_the_same_identity_is_the_same_run_and_opening_it_changes_nothing(opened, directory) -> None:
    first = opened(git={"commit": "1"}, parents=[{"run": "old", "step": 3}])
    found = directory.read()
    assert {name: found[name] for name in first} == json.loads(json.dumps(first))
    assert found["parents"] == [{"run": "old", "step": 3}]
    before = directory.manifest.read_bytes()
    second = opened(git={"commit": "2"})
    assert (second["run_id"], second["created"]) == (first["run_id"], first["created"])
    assert second["provenance"] == {"git": {"commit": "1"}}
    assert directory.manifest.read_bytes() == before


def test_a_segment_records_where_training_goes_on_and_what_changed(started) -> None:
    first = {"git": {"commit": "1"}, "environment": {"cpu": "a"}}
    started("checkpoint.every=7", from_step=0, **first)
    record = started("checkpoint.every=7", from_step=20, **{**first, "git": {"commit": "2"}})
    assert [(row["from_step"], row["changed"], row["downgrades"]) for row in record["segments"]] == [
        (0, {}, []),
        (20, {"git": {"commit": "2"}}, []),
    ]
    assert record["config"]["checkpoint"]["every"] == 7
    assert record["provenance"] == first
    assert record["resolved"]["grade"] == "bitwise"
    assert record["accepted"] == []


@pytest.mark.parametrize(
    ("words", "changes", "named"),
    [
        (["train.lr=0.5"], {}, "config.train.lr: 0.003 -> 0.5"),
        (["seed=1", "model.layers=3"], {}, "config.model.layers: 2 -> 3"),
        ([], {"dtype": "bfloat16"}, "resolved.dtype: 'float32' -> 'bfloat16'"),
        ([], {"threads": 2}, "resolved.threads: 1 -> 2"),
        ([], {"workers": 2}, "resolved.workers: 1 -> 2"),
        ([], {"dataset": "0" * 64}, "inputs.dataset"),
        ([], {"code": "0" * 64}, "inputs.code"),
    ],
)
def test_another_identity_is_refused_and_the_difference_named(
    opened, directory, words: list[str], changes: dict[str, Any], named: str
) -> None:
    opened()
    before = directory.manifest.read_bytes()
    error = refused(opened, *words, **changes)
    assert error.code == "run.identity"
    assert named in str(error)
    assert "--fresh" in str(error)
    assert directory.manifest.read_bytes() == before


def test_a_run_refused_before_its_first_step_keeps_its_name_free(opened, directory) -> None:
    first = opened("train.lr=0.5", begun=False)
    second = opened()
    assert second["run_id"] != first["run_id"]
    assert directory.read()["config"]["train"]["lr"] == 0.003


@pytest.mark.parametrize("name", ["step-00000004", "step-00000004.r1", ".corrupt-step-00000004-ab"])
def test_a_run_that_lost_its_journal_is_still_a_run(name: str, opened, directory) -> None:
    opened("train.lr=0.5", begun=False)
    (directory.checkpoints / name).mkdir(parents=True)
    assert refused(opened).code == "run.identity"


def test_every_one_of_a_few_differences_is_named_and_many_are_counted(opened) -> None:
    opened()
    changed = [f"train.optimizer.{name}=0.5" for name in ("beta1", "beta2", "eps", "momentum", "matrix_lr")]
    error = refused(opened, "seed=1", "model.layers=3", "train.lr=0.5", *changed)
    assert "and 2 more" in str(error)


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (["checkpoint.every=7", "tracking.sinks=[ndjson]", "sample.max_tokens=3"], {}),
        (["checkpoint.background=false", "checkpoint.on_failure=continue", "train.init_from=x"], {}),
        ([], {"dtype_reason": "another", "grade": "statistical", "lowered_by": ["x"]}),
        ([], {"git": {"commit": "other"}}),
    ],
)
def test_operational_values_reasons_and_git_may_change(
    opened, directory, words: list[str], changes: dict[str, Any]
) -> None:
    opened()
    assert opened(*words, **changes)["run_id"] == directory.read()["run_id"]


# ---- accepted changes ----------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["train.lr", "config.train.lr"])
def test_an_accepted_change_goes_on_in_the_run_and_is_recorded_and_lowers_the_grade(
    field: str, started, opened
) -> None:
    first = started(from_step=0)
    record = started("train.lr=0.5", from_step=20, accept=[field])
    assert record["run_id"] == first["run_id"]
    (change,) = record["accepted"]
    assert change.pop("accepted") > first["created"]
    assert change == {"field": "config.train.lr", "old": 0.003, "new": 0.5}
    assert record["identity"]["config.train.lr"] == record["config"]["train"]["lr"] == 0.5
    assert record["identity_sha256"] != first["identity_sha256"]
    assert record["resolved"]["grade"] == "statistical"
    assert record["resolved"]["lowered_by"] == ["accepted change of config.train.lr"]
    assert lowered_since(record) == ["accepted change of config.train.lr"]
    assert opened("train.lr=0.5")["run_id"] == first["run_id"]
    assert refused(opened).code == "run.identity"


def test_a_grade_once_lowered_stays_lowered_and_every_change_is_kept(started) -> None:
    started(from_step=0)
    started("train.lr=0.5", from_step=10, accept=["train.lr"])
    record = started(from_step=20, accept=["train.lr"])
    record = started(from_step=30)
    assert [(row["old"], row["new"]) for row in record["accepted"]] == [(0.003, 0.5), (0.5, 0.003)]
    assert record["resolved"]["grade"] == "statistical"
    assert lowered_since(record) == ["accepted change of config.train.lr"]


def test_what_is_accepted_covers_nothing_else(opened, directory) -> None:
    opened()
    before = directory.manifest.read_bytes()
    error = refused(opened, "train.lr=0.5", "seed=1", accept=["train.lr"])
    assert "seed" in str(error) and "train.lr" not in str(error)
    assert "--accept-change config.seed" in str(error)
    assert directory.manifest.read_bytes() == before


def test_accepting_what_has_not_changed_changes_nothing(started, directory) -> None:
    started(from_step=0)
    record = started(from_step=5, accept=["train.lr"])
    assert (record["accepted"], record["resolved"]["grade"]) == ([], "bitwise")


@pytest.mark.parametrize("field", ["train.lrr", "config", "train", "checkpoint.every", ""])
def test_a_field_that_is_none_of_the_identity_is_refused(field: str, opened) -> None:
    opened()
    error = refused(opened, "train.lr=0.5", accept=["train.lr", field])
    assert error.code == "usage.accept-change"


# ---- workers -------------------------------------------------------------------------------------


def test_the_workers_of_an_elastic_run_may_change_and_cost_nothing(started) -> None:
    started(*ELASTIC, from_step=0, workers=4, grade="elastic")
    record = started(*ELASTIC, from_step=20, workers=2, grade="elastic")
    assert [row["workers"] for row in record["segments"]] == [4, 2]
    assert record["resolved"]["grade"] == "elastic"
    assert lowered_since(record) == []


def test_another_number_of_workers_in_an_exact_run_lowers_the_grade_when_it_is_accepted(started) -> None:
    started(from_step=0)
    record = started(from_step=20, workers=2, accept=["resolved.workers"])
    assert record["resolved"]["grade"] == "statistical"
    assert lowered_since(record) == ["accepted change of resolved.workers", "workers 1 -> 2"]


def test_another_number_of_workers_over_sharded_weights_needs_no_word_and_lowers_the_grade(started) -> None:
    words = ("train=adamw", "runtime.sharding=fsdp2", "runtime.shards=4")
    started(*words, from_step=0, workers=4)
    record = started(*words, from_step=20, workers=2)
    record = started(*words, from_step=30, workers=2)
    assert [row["downgrades"] for row in record["segments"]] == [[], ["workers 4 -> 2"], []]
    assert record["resolved"]["grade"] == "statistical"


# ---- the horizon ---------------------------------------------------------------------------------


def test_steps_may_grow_where_the_schedule_has_no_end(started, opened, directory) -> None:
    started(CONSTANT, "train.steps=40", from_step=0)
    checkpoint(directory, 40)
    started(CONSTANT, "train.steps=60", from_step=40)
    error = refused(opened, CONSTANT, "train.steps=39")
    assert error.code == "run.horizon"
    assert "train.steps: 60 -> 39" in str(error)
    assert opened(CONSTANT, "train.steps=50")


def test_steps_may_grow_up_to_the_decay_of_wsd(opened, directory) -> None:
    words = (WSD, "train.schedule.warmup_steps=2", "train.schedule.decay_share=0.5")
    opened(*words, "train.steps=40")
    checkpoint(directory, 20)
    assert opened(*words, "train.steps=60")
    checkpoint(directory, 25)
    assert refused(opened, *words, "train.steps=60").code == "run.horizon"
    assert opened(*words, "train.steps=40")


@pytest.mark.parametrize("steps", [39, 41])
def test_steps_are_fixed_once_the_schedule_that_ends_with_them_has_begun(
    steps: int, opened, directory
) -> None:
    words = ("train.schedule.name=cosine", "train.schedule.warmup_steps=2")
    opened(*words, "train.steps=40")
    checkpoint(directory, 20)
    before = directory.manifest.read_bytes()
    error = refused(opened, *words, f"train.steps={steps}")
    assert error.code == "run.horizon"
    assert "train.init_from=small" in str(error)
    assert directory.manifest.read_bytes() == before


def test_an_accepted_change_does_not_open_the_horizon(opened, directory) -> None:
    words = ("train.schedule.name=cosine", "train.schedule.warmup_steps=2")
    opened(*words, "train.steps=40")
    checkpoint(directory, 20)
    error = refused(opened, *words, "train.steps=60", "train.lr=0.5", accept=["train.lr"])
    assert error.code == "run.horizon"


# ---- what is recorded ----------------------------------------------------------------------------


def test_a_segment_holds_only_what_changed_of_code_and_environment(started) -> None:
    first = {"environment": {"packages": {"a": {"version": "1"}, "b": {"version": "1"}}, "cpu": "x"}}
    started(from_step=0, **first)
    now = {"environment": {"packages": {"a": {"version": "2"}}, "cpu": "x"}}
    record = started(from_step=20, **now)
    assert record["segments"][1]["changed"] == {
        "environment": {"packages": {"a": {"version": "2"}}},
    }
    assert record["segments"][1]["removed"] == [["environment", "packages", "b"]]
    assert record["provenance"] == first
    latest = latest_provenance(record)["environment"]
    assert latest == {"packages": {"a": {"version": "2"}}, "cpu": "x"}


def test_a_package_and_a_lock_that_are_gone_are_in_no_bill_statement_or_digest(started) -> None:
    from codex_ml.provenance.attestation import statement
    from codex_ml.provenance.environment import environment_digest
    from codex_ml.provenance.sbom import bill_of_materials

    package = {"version": "1", "record_sha256": None}
    first = {"packages": {"zope.a": package, "b": package}, "locks": {"x.lock": "0" * 64}, "conda": None}
    now = {"packages": {"b": package}, "locks": {}, "conda": None}
    started(from_step=0, environment=first)
    record = started(from_step=20, environment=now)
    assert run_facts(record)["environment_sha256"] == environment_digest(now)
    record["result"] = {"weights_sha256": "1" * 64, "metrics": {}}
    bill = bill_of_materials(record, finished=0.0)
    assert [part["name"] for part in bill["components"] if part["type"] == "library"] == ["b"]
    made = statement(record, over=[], finished=0.0)["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert [row["name"] for row in made] == ["dataset", "tokenizer", "codex-ml"]


def test_a_statement_names_no_home_and_follows_from_the_record_alone(started, monkeypatch) -> None:
    from codex_ml.provenance.attestation import statement

    record = started("data.source=files", "data.path=/home/ada/texts", "data.include=['a.py']", from_step=0)
    assert record["config"]["data"]["path"] == "/home/ada/texts"  # whoever goes on must find it
    record["result"] = {"weights_sha256": "1" * 64, "metrics": {}}
    made = statement(record, over=[], finished=0.0)
    config = made["predicate"]["buildDefinition"]["externalParameters"]["config"]
    assert config["data"]["path"] == "~/texts"
    monkeypatch.setenv("HOME", "/home/ada/texts")
    monkeypatch.setenv("DB_PASSWORD", "tokenizer-9")
    monkeypatch.setenv("APP_SECRET", str(record["config"]["data"]["source"]) + "-x")
    assert statement(record, over=[], finished=0.0) == made


_LEAVES = st.integers() | st.none()
_NESTED = st.dictionaries(st.sampled_from("xyz"), _LEAVES | st.dictionaries(st.sampled_from("p.q"), _LEAVES))


@given(
    st.dictionaries(st.sampled_from("abcd"), _LEAVES | _NESTED),
    st.dictionaries(st.sampled_from("abcd"), _LEAVES | _NESTED),
)
def test_first_record_and_changes_make_the_last_one(first: dict[str, Any], now: dict[str, Any]) -> None:
    segment = {"changed": changes_since(first, now), "removed": removed_since(first, now)}
    record = {"provenance": first, "segments": [segment]}
    assert latest_provenance(record) == now
    assert segment == {"changed": {}, "removed": []} or first != now


def test_texts_too_long_for_the_record_lie_beside_it(opened, asked_of, directory) -> None:
    record = opened()
    asked = dataclasses.replace(asked_of(), files={"code/diff-1.patch": "+line\n"})
    begin_segment(directory, record, asked, from_step=0)
    assert (directory.path / "code" / "diff-1.patch").read_text() == "+line\n"


def test_a_secret_in_the_config_is_not_written_down_and_is_no_change_of_identity(started, directory) -> None:
    words = (
        "tracking.mlflow.uri='https://me:{}@mlflow.example/x'".format("hunter2" * 2),
        "data.include=['token=swordfish99']",
    )
    started(*words, from_step=0)
    text = directory.manifest.read_text()
    assert "hunter2" not in text
    assert "swordfish99" not in text
    assert started(*words, from_step=3)["segments"][1]["from_step"] == 3


def test_a_secret_in_the_environment_that_is_a_word_of_the_config_changes_no_identity(
    asked_of, monkeypatch
) -> None:
    words = ("data.include=['python_stdlib']",)
    before = asked_of(*words).identity()
    monkeypatch.setenv("APP_SECRET", "python_stdlib")
    asked = asked_of(*words)
    assert asked.identity() == before
    assert asked.recorded_config()["data"]["source"] == "python_stdlib"
    monkeypatch.setenv("CODEX_TRACKER_PASSWORD", "S3cr3t!9")
    shown = asked_of("tracking.mlflow.uri='sqlite:///S3cr3t!9.db'").recorded_config()
    assert shown["tracking"]["mlflow"]["uri"] == "sqlite:///[redacted:password].db"


@pytest.mark.parametrize("experiment", ["demo", "tiny", "sft_lora"])
def test_nothing_of_the_shipped_experiments_is_taken_for_a_secret(experiment: str) -> None:
    from codex_ml.config.compose import compose

    more = [] if experiment != "sft_lora" else ["model.path=/models/base", "data.path=/data/samples.jsonl"]
    config = to_dict(compose([f"experiment={experiment}", *more], environ={}).config)
    assert redact_value(config) == config


def test_the_grade_of_a_start_with_other_workers_is_known_before_it_begins(started, asked_of) -> None:
    record = started(from_step=0)
    assert grade_of(record, asked_of()) == "bitwise"
    assert grade_of(record, asked_of(workers=2)) == "statistical"
    assert grade_of(record, asked_of(*ELASTIC, workers=2)) == "bitwise"


def test_the_facts_of_a_run_are_texts_and_those_of_the_last_start(started) -> None:
    code = {"commit": "a" * 40, "tags": ["v1", "v2"], "dirty": False}
    started(from_step=0, git=code, environment={"python": {"version": "3"}})
    first = run_facts(started(from_step=2, git=code, environment={"python": {"version": "3"}}))
    assert (first["commit"], first["tags"], first["dirty"]) == ("a" * 40, "v1,v2", "false")
    record = started(from_step=4, git={**code, "dirty": True}, environment={"python": {"version": "4"}})
    second = run_facts(record)
    assert second["dirty"] == "true"
    assert {name for name in first if first[name] != second[name]} == {"dirty", "environment_sha256"}
    assert all(isinstance(value, str) for value in second.values())
    bare = run_facts(record, {"code": {"commit": None, "tags": [], "dirty": None}})
    assert (bare["commit"], bare["tags"], bare["dirty"]) == ("", "", "")
