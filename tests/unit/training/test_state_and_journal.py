from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.errors import CheckpointLoadError, IntegrityError
from codex_ml.training.journal import Journal, last_head, read_journal
from codex_ml.training.state import Progress

pytestmark = pytest.mark.needs("train")
FULL = Progress(
    step=5,
    tokens=100,
    samples=20,
    skipped=1,
    recent_losses=[1.5, 0.1],
    best_loss=0.1,
    evaluations_without_gain=2,
    last_evaluation={"loss": 0.3, "step": 4},
    stopped_early=True,
    journal_head="ab",
)
PARTS = sorted(field.name for field in dataclasses.fields(Progress))


# ---- progress ------------------------------------------------------------------------------------


def test_progress_survives_json_bit_for_bit() -> None:
    assert Progress.from_dict(json.loads(json.dumps(FULL.as_dict()))) == FULL
    assert all(getattr(FULL, name) != getattr(Progress(), name) for name in PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_needed(part: str) -> None:
    values = FULL.as_dict()
    del values[part]
    with pytest.raises(CheckpointLoadError) as caught:
        Progress.from_dict(values)
    assert caught.value.code == "checkpoint.state"
    assert f"got {part};" in str(caught.value)
    values[part + "s"] = 0
    with pytest.raises(CheckpointLoadError):
        Progress.from_dict(values)


def test_an_unknown_part_is_refused_by_name() -> None:
    with pytest.raises(CheckpointLoadError) as caught:
        Progress.from_dict({**FULL.as_dict(), "momentum": 1})
    assert "got momentum;" in str(caught.value)


def test_a_copy_does_not_share_its_lists() -> None:
    copy = FULL.as_dict()
    copy["recent_losses"].append(9.0)
    assert FULL.recent_losses == [1.5, 0.1]


# ---- the journal ---------------------------------------------------------------------------------


def write(path: Path, steps: range, *, head: str = "", resume: int = 0) -> list[str]:
    """Append *steps*; returns the head after each."""
    journal = Journal(path, resume_step=resume, head=head)
    heads = []
    for step in steps:
        journal.append(step=step, samples=f"s{step}", loss=1 / step, grad_norm=0.1 * step, skipped=False)
        heads.append(journal.head)
    journal.sync()
    journal.close()
    return heads


def refused(path: Path, *, resume: int, head: str) -> IntegrityError:
    before = path.read_bytes()
    with pytest.raises(IntegrityError) as caught:
        Journal(path, resume_step=resume, head=head)
    assert caught.value.code == "journal.chain"
    assert path.read_bytes() == before
    return caught.value


def test_every_line_is_bound_to_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    heads = write(path, range(1, 6))
    lines = path.read_bytes().splitlines()
    assert heads == [hashlib.sha256(line).hexdigest() for line in lines]
    assert [json.loads(line)["previous"] for line in lines] == ["", *heads[:-1]]
    assert [record["step"] for record in read_journal(path)] == [1, 2, 3, 4, 5]
    assert last_head(path) == heads[-1]


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_floats_are_kept_to_the_last_bit(tmp_path_factory: pytest.TempPathFactory, value: float) -> None:
    path = tmp_path_factory.getbasetemp() / "bits.jsonl"
    path.unlink(missing_ok=True)
    journal = Journal(path, resume_step=0, head="")
    journal.append(step=1, samples="", loss=value, grad_norm=value, skipped=True)
    journal.close()
    (record,) = read_journal(path)
    found = float.fromhex(record["loss"])
    assert found == value or (math.isnan(found) and math.isnan(value))
    assert record["skipped"] is True


@pytest.mark.parametrize("line", [1, 3, 5])
def test_a_changed_a_dropped_and_a_swapped_line_break_the_chain(line: int, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, range(1, 7))
    lines = path.read_text().splitlines(keepends=True)
    changed = [*lines[: line - 1], lines[line - 1].replace(f'"s{line}"', '"other"'), *lines[line:]]
    dropped = [*lines[: line - 1], *lines[line:]]
    swapped = [*lines[: line - 1], lines[line], lines[line - 1], *lines[line + 1 :]]
    for number, content in ((line + 1, changed), (line, dropped), (line, swapped)):
        path.write_text("".join(content))
        with pytest.raises(IntegrityError) as caught:
            list(read_journal(path))
        assert f"{path}:{number}" in str(caught.value)


def test_what_a_kill_left_and_what_lies_beyond_the_loaded_step_is_cut(tmp_path: Path) -> None:
    path, whole = tmp_path / "journal.jsonl", tmp_path / "whole.jsonl"
    heads = write(path, range(1, 9))
    write(whole, range(1, 9))
    path.write_bytes(path.read_bytes()[:-5])
    write(path, range(4, 9), head=heads[2], resume=3)
    assert path.read_bytes() == whole.read_bytes()


def test_a_start_from_nothing_drops_what_no_checkpoint_has(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, range(1, 4))
    assert len(write(path, range(1, 3))) == 2
    assert [record["step"] for record in read_journal(path)] == [1, 2]


def test_a_foreign_journal_is_refused_and_kept_whole(tmp_path: Path) -> None:
    path, other = tmp_path / "journal.jsonl", tmp_path / "other.jsonl"
    heads = write(path, range(1, 6))
    foreign = write(other, range(2, 7))
    assert "--fresh" in str(refused(path, resume=3, head=foreign[2]))
    refused(path, resume=3, head=heads[3])
    refused(path, resume=3, head="")
    refused(path, resume=0, head=heads[0])
    path.write_text("")
    assert "an empty journal" in str(refused(path, resume=3, head=heads[2]))


@pytest.mark.parametrize("line", ["not json", "[1, 2]", '{"other": 1}', "\xff"])
def test_a_line_that_is_none_of_ours_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    heads = write(path, range(1, 3))
    path.write_bytes(path.read_bytes() + line.encode("latin-1") + b"\n")
    assert f"{path}:3" in str(refused(path, resume=2, head=heads[-1]))
    with pytest.raises(IntegrityError) as caught:
        list(read_journal(path))
    assert f"{path}:3" in str(caught.value)
