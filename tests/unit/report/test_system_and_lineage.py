from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.needs("train", "report")


def rows(*cells: tuple[float, float]) -> str:
    """Lines of system.ndjson: time, and per cent of the processor."""
    made = [
        {"run_id": "r", "ts": ts, "step": 1, "process_cpu_percent": cpu, "process_memory_bytes": 2e9}
        for ts, cpu in cells
    ]
    return "".join(f"{json.dumps(row)}\n" for row in made)


def test_the_machine_is_drawn_by_time_at_work_and_told_in_words(run_directory, page) -> None:
    (run_directory.path / "system.ndjson").write_text(
        rows((1000.0, 50.0), (1005.0, 150.0), (90_000.0, 100.0)), encoding="utf-8"
    )
    text = page(run_directory).text
    assert "this process 100 on average, 150 at most" in text
    assert "this process 2.00 on average" in text
    # The day between two starts is no time of the run.
    from codex_ml.report.facts import read_facts

    assert read_facts(run_directory).system["process_cpu_percent"].steps == (0, 5, 6)


def test_a_run_that_was_not_sampled_says_so(run_directory, page) -> None:
    assert "The machine was not sampled" in page(run_directory).text


def test_the_grade_and_the_lineage_are_sentences(run_directory, page) -> None:
    assert "bitwise: the same command on this machine gives the same bits" in page(run_directory).text
    assert "Not followed yet" in page(run_directory).text
    found = {
        "documents": 3,
        "sources": 4,
        "merkle_root": "ab" * 32,
        "licences": {"MIT": {"documents": 2, "tokens": 900}, "<b>odd</b>": {"documents": 1, "tokens": 100}},
        "parents": [{"run": "before", "step": 40, "weights_sha256": "cd" * 32}],
    }
    (run_directory.path / "lineage.json").write_text(json.dumps(found), encoding="utf-8")
    text = page(run_directory).text
    assert (
        "3 documents of 4 source files, whose Merkle root is abababababab" in text
        and "2 documents · 900 tokens" in text
    )
    assert "Goes on from before, step 40 (cdcdcdcdcdcd)." in text
