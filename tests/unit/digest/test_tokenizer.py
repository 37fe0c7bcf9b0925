"""Tokens are lossless by offsets, of the kinds that they look like, and cost time linear in the text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.digest.tokenizer import Kind, tokenize

_LOGGY = st.text(alphabet="aZ_09./\\:-+ \t\r\n'\"<>|xX\x1béß中\u2028\0", max_size=200)


@given(st.one_of(st.text(), _LOGGY))
def test_the_spans_follow_each_other_and_make_up_the_text(text: str) -> None:
    tokens = list(tokenize(text))
    assert "".join(token.of(text) for token in tokens) == text
    ends = [0, *(token.end for token in tokens)]
    assert [token.start for token in tokens] == ends[:-1]
    assert all(token.end > token.start for token in tokens)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("failed", Kind.WORD),
        ("Größe", Kind.WORD),
        ("snake_case", Kind.IDENTIFIER),
        ("CamelCase", Kind.IDENTIFIER),
        ("module.attr", Kind.IDENTIFIER),
        ("x86", Kind.IDENTIFIER),
        ("42", Kind.NUMBER),
        ("3.5e-4", Kind.NUMBER),
        ("0x7f00ab12", Kind.NUMBER),
        ("1.2.3", Kind.NUMBER),
        ("src/codex_ml/core", Kind.PATH),
        ("/usr/lib/python3.12", Kind.PATH),
        ("C:\\app\\run.py", Kind.PATH),
        ("./run.sh", Kind.PATH),
        ("\r\n", Kind.NEWLINE),
        (" \t", Kind.SPACE),
        (":", Kind.PUNCTUATION),
    ],
)
def test_a_text_of_one_token_has_its_kind(text: str, kind: Kind) -> None:
    assert [(token.kind, token.of(text)) for token in tokenize(text)] == [(kind, text)]


@pytest.mark.parametrize("unit", ["1.", "a/", "a.", "-", "_", "0x", "\\", "a1", "..", "/", "1.1.1.1a"])
def test_a_hostile_repetition_takes_time_linear_in_its_length(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    began = time.perf_counter()
    assert sum(token.end - token.start for token in tokenize(text)) == len(text)
    assert time.perf_counter() - began < 5  # seconds; a quadratic one takes minutes
