from __future__ import annotations

import math
from typing import Any

import pytest

from codex_ml.errors import IntegrityError
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.report.facts import read_facts
from codex_ml.report.figures import compression, evaluations, validation_points

pytestmark = pytest.mark.needs("train", "report")


def test_a_step_logged_twice_counts_as_logged_last(run_directory: RunDirectory, hand: Any) -> None:
    run_id = run_directory.read()["run_id"]
    hand.log_training(run_directory, run_id=run_id, steps=range(390, 410, 10), broken={400: 9.0})
    curve = read_facts(run_directory).curve("train", "loss")
    assert curve.steps == tuple(range(10, 410, 10))
    assert curve.values[-1] == 9.0


def test_nan_and_infinities_are_read_back_as_numbers(run_directory: RunDirectory, hand: Any) -> None:
    run_id = run_directory.read()["run_id"]
    broken = {410: math.nan, 420: math.inf}
    hand.log_training(run_directory, run_id=run_id, steps=range(410, 430, 10), broken=broken)
    last, infinite = read_facts(run_directory).curve("train", "loss").values[-2:]
    assert math.isnan(last) and infinite == math.inf


def test_a_damaged_line_of_the_metrics_is_named(run_directory: RunDirectory) -> None:
    lines = run_directory.metrics.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"value"', b'"valuf"')
    run_directory.metrics.write_bytes(b"".join(lines))
    with pytest.raises(IntegrityError) as caught:
        read_facts(run_directory)
    assert caught.value.code == "metrics.line"
    assert f"{run_directory.metrics}:5 is no record" in str(caught.value)


def test_the_samples_of_the_final_weights_are_shown_before_newer_ones(
    run_directory: RunDirectory, hand: Any
) -> None:
    hand.write_samples(run_directory, [("new", "er", True)], step=500, weights="00" * 32)
    assert read_facts(run_directory).samples_file == "samples/step-00000400.json"


def test_every_stored_evaluation_is_shown_and_unknown_metrics_by_their_own_name(
    run_directory: RunDirectory, hand: Any
) -> None:
    hand.write_evaluation(run_directory, step=200, split="test", brand_new=7.0)
    tables = evaluations(read_facts(run_directory))
    assert [table.title for table in tables] == ["Step 400, split validation", "Step 200, split test"]
    assert ("Held-out loss", "2.500", "2.400 to 2.600", "1,234") in tables[0].rows
    assert ("Parse rate", "25.0 %", "", "1,234") in tables[0].rows
    assert tables[1].rows[-1] == ("brand_new", "7.000", "", "1,234")


@pytest.mark.parametrize(
    ("bits", "verdict"),
    [
        (1.5, "The model needs 25.0 % fewer bits than xz -9."),
        (3.0, "The model needs 50.0 % more bits than xz -9."),
    ],
)
def test_the_verdict_beside_the_compressors_says_which_way(
    run_directory: RunDirectory, hand: Any, bits: float, verdict: str
) -> None:
    hand.finish(run_directory, bits_per_byte=bits)
    rows, said = compression(read_facts(run_directory))
    assert [row.label for row in rows] == ["this model", "xz -9", "gzip -9"]
    assert said == verdict
    assert max(float(row.width) for row in rows) == 100.0


def test_the_validation_table_is_short_and_ends_with_the_last_point(
    run_directory: RunDirectory, hand: Any
) -> None:
    run_id = run_directory.read()["run_id"]
    hand.log_training(run_directory, run_id=run_id, steps=range(500, 4100, 100))
    points = validation_points(read_facts(run_directory))
    assert 4 < len(points) <= 8
    assert points[-1][0] == "4,000"
    assert [int(step.replace(",", "")) for step, _, _ in points] == sorted(
        int(step.replace(",", "")) for step, _, _ in points
    )
