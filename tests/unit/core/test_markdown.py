"""Whatever a text holds, Markdown shows it, and nothing else comes of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.core.markdown import code_span, escaped, fenced, unescaped

_TEXT = st.text("ab:` *_[]()<>!\\\\&#;1.~|-", max_size=40)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("<img src=x>", "\\<img src=x\\>"),
        ("![a](b)", "\\!\\[a\\](b)"),
        ("a_b and __init__", "a_b and \\_\\_init\\_\\_"),
        ("1 & 2 &lt;", "1 & 2 \\&lt;"),
        ("plain words, a-b: c", "plain words, a-b: c"),
    ],
)
def test_what_would_be_markup_is_escaped_and_nothing_else(text: str, wanted: str) -> None:
    assert escaped(text) == wanted


@given(_TEXT)
def test_what_was_escaped_comes_back(text: str) -> None:
    assert unescaped(escaped(text)) == text


@given(_TEXT)
def test_the_fence_of_code_is_longer_than_any_within(text: str) -> None:
    for shown in (code_span(text), fenced(text)):
        fence = shown[: len(shown) - len(shown.lstrip("`"))]
        assert shown.endswith(fence)
        assert fence not in shown[len(fence) : -len(fence)]
