from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_ml.errors import IntegrityError, UsageError
from codex_ml.provenance.index import list_summaries
from codex_ml.provenance.run_directory import RunDirectory, begin_segment, find_run, list_runs, open_run

RESOLVED = {
    "device": "cpu",
    "dtype": "float32",
    "dtype_reason": "asked for",
    "threads": 1,
    "grade": "bitwise",
}
INPUTS = {"dataset": "d" * 64, "tokenizer": "e" * 64, "code": "f" * 64, "vocab_size": 300}
CONSTANT = "train.schedule.name=constant"


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "runs" / "small")


@pytest.fixture
def opened(directory: RunDirectory, config_of) -> Callable[..., dict[str, Any]]:
    """Open the run with a config of these words, and resolved values or inputs changed by name.

    Its journal exists afterwards, as after the first step of training, unless *begun* is False.
    """

    def call(*words: str, begun: bool = True, **changes: Any) -> dict[str, Any]:
        record = open_run(
            directory,
            config=config_of(*words),
            resolved={name: changes.pop(name, value) for name, value in RESOLVED.items()},
            inputs={name: changes.pop(name, value) for name, value in INPUTS.items()},
            provenance=changes,
        )
        if begun:
            directory.journal.touch()
        return record

    return call


def refused(act: Callable[..., Any], *words: str, **changes: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        act(*words, **changes)
    assert caught.value.exit_code == 2
    return caught.value


def test_the_same_identity_is_the_same_run_and_opening_it_changes_nothing(opened, directory) -> None:
    first = opened(git={"commit": "1"})
    assert directory.read() == json.loads(json.dumps(first))
    before = directory.manifest.read_bytes()
    second = opened(git={"commit": "2"})
    assert (second["run_id"], second["created"]) == (first["run_id"], first["created"])
    assert second["provenance"] == {"git": {"commit": "1"}}
    assert directory.manifest.read_bytes() == before


def test_a_segment_records_where_training_goes_on_and_what_changed(opened, directory, config_of) -> None:
    first = {"git": {"commit": "1"}, "environment": {"cpu": "a"}}
    for step, commit in ((0, "1"), (20, "2")):
        begin_segment(
            directory,
            opened(**first),
            from_step=step,
            config=config_of("checkpoint.every=7"),
            provenance={**first, "git": {"commit": commit}},
        )
    record = directory.read()
    assert [(row["from_step"], row["changed"]) for row in record["segments"]] == [
        (0, {}),
        (20, {"git": {"commit": "2"}}),
    ]
    assert record["config"]["checkpoint"]["every"] == 7
    assert record["provenance"] == first


@pytest.mark.parametrize(
    ("words", "changes", "named"),
    [
        (["train.lr=0.5"], {}, "config.train.lr: 0.003 -> 0.5"),
        (["seed=1", "model.layers=3"], {}, "config.model.layers: 2 -> 3"),
        ([], {"dtype": "bfloat16"}, "resolved.dtype: 'float32' -> 'bfloat16'"),
        ([], {"threads": 2}, "resolved.threads: 1 -> 2"),
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


def test_every_one_of_a_few_differences_is_named_and_many_are_counted(opened) -> None:
    opened()
    changed = [f"train.optimizer.{name}=0.5" for name in ("beta1", "beta2", "eps", "momentum", "matrix_lr")]
    error = refused(opened, "seed=1", "model.layers=3", "train.lr=0.5", *changed)
    assert "and 2 more" in str(error)


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (["checkpoint.every=7", "tracking.sinks=[ndjson]", "sample.max_tokens=3"], {}),
        ([], {"dtype_reason": "another", "grade": "statistical"}),
        ([], {"git": {"commit": "other"}}),
    ],
)
def test_operational_values_reasons_and_git_may_change(
    opened, directory, words: list[str], changes: dict[str, Any]
) -> None:
    opened()
    assert opened(*words, **changes)["run_id"] == directory.read()["run_id"]


def test_steps_may_grow_where_the_schedule_has_no_end(opened, directory, config_of) -> None:
    opened(CONSTANT, "train.steps=40")
    record = opened(CONSTANT, "train.steps=60")
    begin_segment(
        directory, record, from_step=40, config=config_of(CONSTANT, "train.steps=60"), provenance={}
    )
    error = refused(opened, CONSTANT, "train.steps=50")
    assert error.code == "run.horizon"
    assert "train.steps: 60 -> 50" in str(error)


@pytest.mark.parametrize("steps", [39, 41])
def test_steps_are_fixed_where_the_schedule_ends_with_them(opened, steps: int) -> None:
    opened("train.steps=40")
    assert refused(opened, f"train.steps={steps}").code == "run.horizon"


def test_a_manifest_of_another_format_or_none_is_told_apart(opened, directory) -> None:
    with pytest.raises(UsageError) as missing:
        directory.read()
    assert missing.value.code == "run.missing"
    opened()
    directory.manifest.write_text(directory.manifest.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(IntegrityError) as other:
        directory.read()
    assert other.value.code == "run.format"
    directory.manifest.write_text("{")
    with pytest.raises(IntegrityError) as damaged:
        opened()
    assert damaged.value.code == "integrity.json"
    assert "run.json" in str(damaged.value)


HOLDER = """
import sys
from pathlib import Path
from codex_ml.provenance.run_directory import RunDirectory
with RunDirectory(Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_in_the_run_is_an_error_until_it_is_gone(directory) -> None:
    import subprocess

    words = [sys.executable, "-c", HOLDER, str(directory.path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError) as caught, directory.locked():
            raise AssertionError("two writers")
        assert caught.value.code == "run.locked"
        assert "'small'" in str(caught.value)
        holder.kill()
        holder.wait()
    with directory.locked():
        pass


def test_an_archived_run_is_whole_and_its_name_is_free(opened, directory) -> None:
    assert directory.archive() is None
    first = opened()
    with directory.locked():
        moved = directory.archive()
    assert moved is not None and moved.parent == directory.path.parent
    assert RunDirectory(moved).read()["run_id"] == first["run_id"]
    assert not directory.path.exists()
    assert opened("train.lr=0.5")["run_id"] != first["run_id"]
    assert len(list_runs(directory.path.parent)) == 2


def test_a_run_is_found_by_name_and_a_typo_gets_the_nearest(opened, directory) -> None:
    runs = directory.path.parent
    assert list_runs(runs) == []
    opened()
    assert find_run(runs, "small") == directory
    with pytest.raises(UsageError) as caught:
        find_run(runs, "smal")
    assert caught.value.code == "run.missing"
    assert "did you mean 'small'?" in str(caught.value)


def test_a_summary_tells_how_far_a_run_is(opened, directory) -> None:
    opened("train.steps=40")
    runs = directory.path.parent

    def state() -> tuple[str, int]:
        (row,) = list_summaries(runs)
        return row["state"], row["step"]

    assert state() == ("unfinished", 0)
    (directory.checkpoints / "step-00000020").mkdir(parents=True)
    assert state() == ("unfinished", 20)
    (directory.checkpoints / "step-00000040").mkdir()
    assert state() == ("trained", 40)


@pytest.mark.parametrize("content", ["[1]", '{"format": 1}', '{"format": 1, "identity": null}'])
def test_a_manifest_of_another_shape_is_named_and_only_its_row_is_damaged(
    content: str, opened, directory
) -> None:
    from codex_ml.errors import IntegrityError
    from codex_ml.provenance.index import list_summaries

    opened()
    directory.manifest.write_text(content, encoding="utf-8")
    with pytest.raises(IntegrityError) as caught:
        directory.read()
    assert caught.value.code in ("run.damaged", "run.format")
    assert [(row["run"], row["state"]) for row in list_summaries(directory.path.parent)] == [
        ("small", "damaged")
    ]
