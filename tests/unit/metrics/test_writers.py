from __future__ import annotations

import csv
import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.errors import DataError, IntegrityError, StorageError
from codex_ml.metrics import CSVMetricsWriter, MetricRecord, NDJSONMetricsWriter
from codex_ml.metrics.writers import COLUMNS

WRITERS = [NDJSONMetricsWriter, CSVMetricsWriter]


def record(step: int, value: float = 1.0, *, phase: str = "train", **more: Any) -> MetricRecord:
    return MetricRecord("run", step, "train", phase, "loss", value, 123.5, **more)


def write(kind: Any, path: Path, *records: MetricRecord) -> None:
    writer = kind(path)
    for item in records:
        writer.write(item)
    writer.close()


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of either file as text, empty cells left out."""
    if path.suffix == ".csv":
        with path.open(newline="") as stream:
            return [{k: v for k, v in row.items() if v != ""} for row in csv.DictReader(stream)]
    return [
        {name: str(value) for name, value in json.loads(line).items()}
        for line in path.read_text().splitlines()
    ]


def file_of(kind: Any, tmp_path: Path) -> Path:
    return tmp_path / ("m.csv" if kind is CSVMetricsWriter else "m.ndjson")


@pytest.mark.parametrize("kind", WRITERS)
@given(data=st.data())
def test_after_a_kill_in_mid_line_the_file_goes_on_with_whole_rows(
    kind: Any, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = file_of(kind, tmp_path_factory.mktemp("cut"))
    write(kind, path, record(1), record(2))
    raw = path.read_bytes()
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    whole = path.read_bytes().count(b"\n") - (kind is CSVMetricsWriter)
    write(kind, path, record(3))
    assert [row["step"] for row in rows(path)] == [*["1", "2"][: max(whole, 0)], "3"]


def test_both_files_hold_the_same_rows(tmp_path: Path) -> None:
    records = [
        record(1, math.nan),
        record(2, -math.inf),
        record(2, 0.1 + 0.2),
        record(2, 5e-324, phase="eval", dataset="d" * 8, n=7, ci_low=1.0, ci_high=2.5),
    ]
    files = [file_of(kind, tmp_path) for kind in WRITERS]
    for kind, path in zip(WRITERS, files, strict=True):
        write(kind, path, *records)
    one, two = (rows(path) for path in files)
    assert one == two
    assert [row["value"] for row in one[:2]] == ["nan", "-inf"]
    assert [float(row["value"]) for row in one[2:]] == [0.1 + 0.2, 5e-324]
    assert set(one[0]).isdisjoint({"n", "ci_low", "dataset"})
    assert {"n": "7", "ci_low": "1.0"}.items() <= one[3].items()


@pytest.mark.parametrize("kind", WRITERS)
def test_two_phases_at_one_step_both_stay_and_what_lies_beyond_goes(kind: Any, tmp_path: Path) -> None:
    path = file_of(kind, tmp_path)
    write(kind, path, record(1), record(2), record(2, phase="eval"), record(3), record(4, phase="eval"))
    path.write_bytes(path.read_bytes() + b"torn")
    kind.cut(path, resume_step=2, again=None)
    assert [(row["step"], row["phase"]) for row in rows(path)] == [
        ("1", "train"),
        ("2", "train"),
        ("2", "eval"),
    ]
    write(kind, path, record(3))
    assert [row["step"] for row in rows(path)] == ["1", "2", "2", "3"]
    kind.cut(path, resume_step=0, again=None)
    assert rows(path) == []
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", WRITERS)
def test_nothing_to_drop_leaves_the_bytes_alone(kind: Any, tmp_path: Path) -> None:
    path = file_of(kind, tmp_path)
    kind.cut(path, resume_step=5, again="train/train")
    assert not path.exists()
    write(kind, path, record(1))
    before = path.read_bytes()
    kind.cut(path, resume_step=1, again="validation/train")
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", WRITERS)
def test_at_the_resumed_step_only_the_records_that_come_again_go(kind: Any, tmp_path: Path) -> None:
    path = file_of(kind, tmp_path)
    evaluated = {"step": 2, "split": "validation"}
    earlier = [record(1), dataclasses.replace(record(1), split="validation"), record(2)]
    write(kind, path, *earlier, *[dataclasses.replace(record(1), **evaluated)] * 3, record(3))
    kind.cut(path, resume_step=2, again="validation/train")
    assert [(row["step"], row["split"]) for row in rows(path)] == [
        ("1", "train"),
        ("1", "validation"),
        ("2", "train"),
    ]


@pytest.mark.parametrize("kind", WRITERS)
def test_flushed_records_are_in_the_file_while_it_is_open(kind: Any, tmp_path: Path) -> None:
    path = file_of(kind, tmp_path)
    writer = kind(path)
    writer.write(record(1))
    writer.sync()
    assert [row["step"] for row in rows(path)] == ["1"]
    writer.close()


def test_a_damaged_record_at_the_end_is_named_and_nothing_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "m.ndjson"
    path.write_bytes(b'{"step": 1}\n[2]\n')
    with pytest.raises(IntegrityError) as caught:
        NDJSONMetricsWriter.cut(path, resume_step=0, again=None)
    assert caught.value.code == "metrics.line"
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b'{"step": 1}\n[2]\n'


def test_a_csv_of_other_columns_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,value\n1,2\n")
    for act in (
        lambda: CSVMetricsWriter.cut(path, resume_step=0, again=None),
        lambda: CSVMetricsWriter(path),
    ):
        with pytest.raises(DataError) as caught:
            act()
        assert caught.value.code == "metrics.columns"
        assert ",".join(COLUMNS) in str(caught.value)
    assert path.read_text() == "step,value\n1,2\n"


def test_a_csv_of_an_earlier_version_goes_on_in_its_own_columns(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    earlier = COLUMNS[: COLUMNS.index("facts")]
    path.write_text(",".join(earlier) + "\nrun,1,train,train,loss,1.0,1.0,,,,\n")
    CSVMetricsWriter.cut(path, resume_step=1, again=None)
    write(CSVMetricsWriter, path, record(2, facts={"commit": "c"}))
    assert [row["step"] for row in rows(path)] == ["1", "2"]
    assert path.read_text().splitlines()[0] == ",".join(earlier)


def test_facts_are_an_object_in_one_file_and_its_text_in_the_other(tmp_path: Path) -> None:
    facts = {"commit": "c", "tags": 'a "quoted" one'}
    for kind in WRITERS:
        write(kind, file_of(kind, tmp_path), record(0, facts=facts))
    assert json.loads((tmp_path / "m.ndjson").read_text())["facts"] == facts
    assert json.loads(rows(tmp_path / "m.csv")[0]["facts"]) == facts


def test_a_header_that_a_kill_cut_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("run_id,step,spl")
    CSVMetricsWriter.cut(path, resume_step=0, again=None)
    write(CSVMetricsWriter, path, record(1))
    assert [row["step"] for row in rows(path)] == ["1"]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_place_that_cannot_be_written_is_a_storage_error(kind: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        kind(tmp_path / "file" / "metrics")
