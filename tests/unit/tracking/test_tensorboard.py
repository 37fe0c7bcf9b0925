from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_ml.tracking.context import TrackerContext
from codex_ml.tracking.tensorboard_sink import FOLDER, TensorBoardTracker
from sinks import record

pytestmark = pytest.mark.needs("tracking")


def float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


def curves(directory: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(directory / FOLDER), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    return found


def test_values_read_back_as_float32_under_their_curves(context_for: Callable[..., TrackerContext]) -> None:
    context = context_for()
    tracker = TensorBoardTracker(context)
    rows = [
        record(1, 0.1 + 0.2),
        record(2, 1e-30),
        record(2, 0.5, split="validation"),
        record(3, float("inf")),
    ]
    tracker.write(rows)
    tracker.sync()
    tracker.close("finished", [])
    found = curves(context.run_directory)
    assert [(row.step, row.value, row.wall_time) for row in found.Scalars("train/loss")] == [
        (1, float32(0.1 + 0.2), 1.7e9 + 1),
        (2, float32(1e-30), 1.7e9 + 2),
        (3, float("inf"), 1.7e9 + 3),
    ]
    assert [(row.step, row.value) for row in found.Scalars("validation/loss")] == [(2, 0.5)]
    (facts,) = found.Tensors("start/facts")
    told = json.loads(facts.tensor_proto.string_val[0])
    assert told["tags"]["codex_ml.commit"] == "c" * 40
    assert told["config"]["train.lr"] == 0.003
    assert found.PluginTagToContent("text") == {"start/facts": b""}


def test_a_resumed_run_forgets_the_steps_that_come_again(context_for: Callable[..., TrackerContext]) -> None:
    first = TensorBoardTracker(context_for())
    first.write([record(step, float(step)) for step in range(1, 7)])
    first.close("interrupted", [])
    context = context_for(resume_step=4)
    second = TensorBoardTracker(context)
    second.write([record(step, step + 0.5) for step in range(5, 8)])
    second.close("finished", [])
    found = [(row.step, row.value) for row in curves(context.run_directory).Scalars("train/loss")]
    assert found == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 5.5), (6, 6.5), (7, 7.5)]


def test_without_a_record_there_is_no_file_and_its_name_tells_no_host(
    context_for: Callable[..., TrackerContext],
) -> None:
    context = context_for()
    TensorBoardTracker(context).close("finished", [])
    assert not (context.run_directory / FOLDER).exists()
    tracker = TensorBoardTracker(context)
    tracker.write([record(1)])
    tracker.close("finished", [])
    (file,) = (context.run_directory / FOLDER).iterdir()
    assert socket.gethostname() not in file.name
    assert socket.gethostname().encode() not in file.read_bytes()


def test_once_left_behind_it_writes_nothing_into_the_run(context_for: Callable[..., TrackerContext]) -> None:
    context = context_for()
    tracker = TensorBoardTracker(context)
    tracker.write([record(1, 0.5)])
    (file,) = (context.run_directory / FOLDER).iterdir()
    before = file.read_bytes()
    tracker.abandon()
    tracker.write([record(2, 0.25)])
    tracker.sync()
    tracker.close("finished", [])
    assert file.read_bytes() == before
    late = TensorBoardTracker(context)
    late.abandon()
    with pytest.raises(RuntimeError, match="left behind"):
        late.write([record(3, 0.5)])
    assert list((context.run_directory / FOLDER).iterdir()) == [file]
