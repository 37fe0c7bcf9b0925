from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.errors import CheckpointLoadError, IntegrityError
from codex_ml.training.journal import Journal, read_journal
from codex_ml.training.state import Progress

pytestmark = pytest.mark.needs("train")
FULL = Progress(
    step=5,
    tokens=100,
    samples=20,
    micro_steps=40,
    skipped=1,
    recent_losses=[1.5, 0.1],
    best_loss=0.1,
    evaluations_without_gain=2,
    last_evaluation={"loss": 0.3, "step": 4},
    stopped_early=True,
    journal_head="ab",
    journal_bytes=123,
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
    copy["last_evaluation"]["loss"] = 9.0
    assert FULL.recent_losses == [1.5, 0.1]
    assert FULL.last_evaluation == {"loss": 0.3, "step": 4}


def test_a_state_is_evaluated_when_its_last_evaluation_is_of_its_own_step() -> None:
    assert not Progress().evaluated
    assert not FULL.evaluated
    assert dataclasses.replace(FULL, step=4).evaluated


# ---- the journal ---------------------------------------------------------------------------------


Place = tuple[str, int]
START: Place = ("", 0)


def write(path: Path, steps: range, *, at: Place = START) -> list[Place]:
    """Append *steps* from head and length *at*; returns head and length after each."""
    head, length = at
    journal = Journal(path, length=length, head=head)
    places = []
    for step in steps:
        journal.append(step=step, samples=f"s{step}", loss=1 / step, grad_norm=0.1 * step, skipped=False)
        places.append((journal.head, journal.length))
    journal.sync()
    journal.close()
    return places


def refused(path: Path, at: Place) -> IntegrityError:
    before = path.read_bytes()
    with pytest.raises(IntegrityError) as caught:
        Journal(path, length=at[1], head=at[0])
    assert caught.value.code == "journal.chain"
    assert path.read_bytes() == before
    return caught.value


def test_every_line_is_bound_to_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    heads, lengths = zip(*write(path, range(1, 6)), strict=True)
    lines = path.read_bytes().splitlines(keepends=True)
    assert list(heads) == [hashlib.sha256(line[:-1]).hexdigest() for line in lines]
    assert list(lengths) == list(itertools.accumulate(len(line) for line in lines))
    assert [json.loads(line)["previous"] for line in lines] == ["", *heads[:-1]]
    assert [record["step"] for record in read_journal(path)] == [1, 2, 3, 4, 5]


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_floats_are_kept_to_the_last_bit(tmp_path_factory: pytest.TempPathFactory, value: float) -> None:
    path = tmp_path_factory.getbasetemp() / "bits.jsonl"
    path.unlink(missing_ok=True)
    journal = Journal(path, length=0, head="")
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
    places = write(path, range(1, 9))
    write(whole, range(1, 9))
    path.write_bytes(path.read_bytes()[:-5])
    assert write(path, range(4, 9), at=places[2]) == places[3:]
    assert path.read_bytes() == whole.read_bytes()


def test_a_start_from_nothing_drops_what_no_checkpoint_has(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, range(1, 4))
    assert len(write(path, range(1, 3))) == 2
    assert [record["step"] for record in read_journal(path)] == [1, 2]


def test_a_journal_at_its_end_goes_on_untouched(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    places = write(path, range(1, 4))
    before = path.read_bytes()
    assert write(path, range(4, 4), at=places[-1]) == []
    assert path.read_bytes() == before


def test_a_foreign_journal_is_refused_and_kept_whole(tmp_path: Path) -> None:
    path, other = tmp_path / "journal.jsonl", tmp_path / "other.jsonl"
    places = write(path, range(1, 6))
    foreign = write(other, range(2, 7))
    (head, length), (later, _) = places[2], places[3]
    assert "--fresh" in str(refused(path, (foreign[2][0], length)))
    refused(path, (later, length))
    refused(path, ("", length))
    refused(path, (head, 0))
    refused(path, (head, length - 1))
    refused(path, (head, length + 1))
    assert "at byte" in str(refused(path, (head, 10**9)))
    path.write_text("")
    assert "0 bytes" in str(refused(path, places[2]))
    path.unlink()
    with pytest.raises(IntegrityError):
        Journal(path, length=length, head=head)
    assert not path.exists()


@pytest.mark.parametrize("line", ["not json", "[1, 2]", '{"other": 1}', "\xff"])
def test_a_line_that_is_none_of_ours_is_named_by_who_reads_and_cut_by_who_goes_on(
    line: str, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    places = write(path, range(1, 3))
    path.write_bytes(path.read_bytes() + line.encode("latin-1") + b"\n")
    with pytest.raises(IntegrityError) as caught:
        list(read_journal(path))
    assert f"{path}:3" in str(caught.value)
    write(path, range(3, 4), at=places[-1])
    assert [record["step"] for record in read_journal(path)] == [1, 2, 3]


def test_opening_reads_the_end_alone_however_long_the_journal_is(tmp_path: Path) -> None:
    """In front stand 50 MB that are no journal, and 64 GiB that nobody could read in the time."""
    path = tmp_path / "journal.jsonl"
    write(path, range(1, 3))
    first, second = path.read_bytes().splitlines(keepends=True)
    with path.open("wb") as stream:
        stream.write(b"no journal at all " * (50 * 1000**2 // 18))
        stream.seek(1 << 36)
        stream.write(b"\n" + first + second)
    length = path.stat().st_size
    (_, end), *_ = write(path, range(3, 4), at=(hashlib.sha256(second[:-1]).hexdigest(), length))
    with path.open("rb") as stream:
        stream.seek(length)
        assert json.loads(stream.readline())["previous"] == hashlib.sha256(second[:-1]).hexdigest()
    assert path.stat().st_size == end
    refused_length = length - len(second)
    with pytest.raises(IntegrityError):
        Journal(path, length=refused_length, head=hashlib.sha256(second[:-1]).hexdigest())
    assert path.stat().st_size == end
