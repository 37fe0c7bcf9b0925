"""The five-line block, and what it never holds."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from codex_ml.digest.analyse import digest_log
from codex_ml.digest.blocks import QUESTION, block_record, fenced, make_error_block, render_record

TOKEN = "ghp_" + "a1B2" * 9


def test_the_block_of_the_seed_comes_out_line_by_line() -> None:
    error = "ERROR tests/test_cli.py\nE   ModuleNotFoundError: No module named 'click'"
    block = make_error_block("3:nox -s tests", error, "no `click`;\nCLI tests abort", ts="2025-09-05")
    assert block.splitlines() == [
        "Question for ChatGPT @codex 2025-09-05:",
        "While performing [3:nox -s tests], encountered the following error:",
        *error.splitlines(),
        "Context: no `click`; CLI tests abort",
        QUESTION,
    ]


def test_without_a_time_and_a_step_the_block_says_so() -> None:
    lines = make_error_block("", "x", "").splitlines()
    assert lines[0] == "Question for ChatGPT @codex:"
    assert lines[1].startswith("While performing [1:unknown step]")


def test_a_secret_in_any_part_of_a_block_is_taken_out() -> None:
    block = make_error_block(f"step {TOKEN}", f"error {TOKEN}", f"context {TOKEN}")
    assert TOKEN not in block
    assert block.count("[redacted:github-token]") == 3


@given(st.text("`ab \n", max_size=60))
def test_a_fence_is_longer_than_any_run_of_back_ticks_within(text: str) -> None:
    first, *_, last = fenced(text).splitlines()
    assert first == last == "`" * len(first)
    assert first not in text or len(first) > max(map(len, text.replace("ab", " ").split()), default=0)


def test_a_secret_where_a_long_text_is_cut_leaves_no_half() -> None:
    for pad in range(3900, 4100, 7):
        log = f"ERROR: {'word ' * (pad // 5)}{'x' * (pad % 5)} {TOKEN} and more {'tail ' * 99}\n"
        (block,) = digest_log(io.BytesIO(log.encode())).blocks
        assert TOKEN[:12] not in str(block_record(block, ts=None))


def test_failures_that_differ_in_a_secret_alone_are_one() -> None:
    other = "ghp_" + "c3D4" * 9
    log = "".join(f"ERROR: push with {token} was refused\n" for token in (TOKEN, other, TOKEN))
    found = digest_log(io.BytesIO(log.encode()))
    assert [(block.occurrences, block.lines) for block in found.blocks] == [(3, (1, 2, 3))]


def test_repetitions_beyond_what_is_kept_are_counted_with_their_like(monkeypatch) -> None:
    from codex_ml.digest import kept

    monkeypatch.setattr(kept, "MOST_FAILURES", 3)
    log = b"ERROR: one\nERROR: two\nERROR: one\n" + b"ERROR: one\nERROR: three\n" * 5
    found = digest_log(io.BytesIO(log))
    assert [(block.failure.root.text, block.occurrences) for block in found.blocks] == [
        ("ERROR: one", 7),
        ("ERROR: two", 1),
    ]
    assert found.notes == ("5 further failures are counted and not shown",)


def test_a_rendered_record_tells_status_occurrences_and_fingerprint() -> None:
    block = digest_log(io.BytesIO(b"ERROR: no disk\n" * 2)).blocks[0]
    text = render_record({**block_record(block, ts=None), "status": "Resolved", "resolution": "bought one"})
    assert "- Status: Resolved — bought one" in text
    assert "- Occurrences: 2" in text
    assert f"`{block.fingerprint}`" in text
