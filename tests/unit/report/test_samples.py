from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.report.facts import RunFacts
from codex_ml.report.highlight import Piece, highlight
from codex_ml.report.samples import MOST_CHARACTERS, samples

pytestmark = pytest.mark.needs("train", "report")


def facts(*rows: tuple[str, str, bool]) -> RunFacts:
    found: list[dict[str, Any]] = [{"prompt": p, "completion": c, "ended": e} for p, c, e in rows]
    return RunFacts("x", {}, {}, None, [], {"samples": found}, "")


def joined(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


@given(
    st.text(alphabet="def x(:\n\t\r'\"#1é\x00é", max_size=60),
    st.integers(0, 70),
    st.sampled_from(["python", "no such"]),
)
def test_the_pieces_are_the_text_cut_at_the_boundary(text: str, boundary: int, language: str) -> None:
    before, after = highlight(text, language=language, boundary=boundary)
    assert joined(before) == text[:boundary]
    assert joined(after) == text[boundary:]


def test_prompt_and_completion_are_coloured_as_one_text() -> None:
    before, after = highlight('x = "abc"', language="python", boundary=6)
    assert before[-1] == Piece("string", '"a')
    assert after == [Piece("string", 'bc"')]


def test_an_unknown_language_gives_plain_text() -> None:
    assert highlight("if x", language="no such language")[1] == [Piece("", "if x")]


@pytest.mark.parametrize(
    ("prompt", "completion", "ended", "parses"),
    [
        ("def f():\n", "    return 1\n", True, True),
        ("def f():\n", "    return (1\n", True, False),
        ("def f():\n", "    x = 1\n    return (1", False, True),  # only its cut line is not judged
        ("class A:\n", "    x = 1\n\n    @property\n    def f(self):\n        re(", False, True),
        ("def f():\n", "    x = = 1\n    return (1", False, False),
        ("", "", True, False),
    ],
)
def test_a_sample_is_marked_by_whether_it_parses(
    prompt: str, completion: str, ended: bool, parses: bool
) -> None:
    assert samples(facts((prompt, completion, ended)), language="python")[0].parses is parses


def test_only_python_is_parsed() -> None:
    assert samples(facts(("fn main() {", "}", True)), language="rust")[0].parses is None


def test_long_samples_are_shown_in_part_and_judged_whole() -> None:
    text = "x = 1\n" * MOST_CHARACTERS
    sample = samples(facts(("", text + "=", True)), language="python")[0]
    assert len(joined(sample.completion)) == MOST_CHARACTERS
    assert sample.left_out == len(text) + 1 - MOST_CHARACTERS
    assert sample.parses is False


def test_a_run_without_samples_has_none(tmp_path: Path) -> None:
    assert samples(RunFacts("x", {}, {}, None, [], None, ""), language="python") == []
