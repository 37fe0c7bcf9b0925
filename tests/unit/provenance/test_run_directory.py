from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_ml.core.paths import Home
from codex_ml.errors import IntegrityError, UsageError
from codex_ml.provenance.index import list_summaries
from codex_ml.provenance.run_directory import RunDirectory, find_run, list_runs


@pytest.fixture
def directory(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "runs" / "small")


@pytest.fixture
def opened(directory: RunDirectory, config_of) -> Callable[..., dict[str, Any]]:
    """Open the run with a config of these words; its journal exists afterwards, as after a first step."""
    from codex_ml.provenance.opening import Asked, open_run

    def call(*words: str) -> dict[str, Any]:
        inputs = {"dataset": "d" * 64, "vocab_size": 300}
        asked = Asked(config_of(*words), resolved={"dtype": "float32"}, inputs=inputs, provenance={})
        record = open_run(directory, asked, may_grow=lambda *_: False)
        directory.journal.touch()
        return record

    return call


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
        (row,) = list_summaries(Home(runs.parent))
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
    assert [(row["run"], row["state"]) for row in list_summaries(Home(directory.path.parent.parent))] == [
        ("small", "damaged")
    ]
