"""What a library says of a damaged signature, as people read it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from codex_ml.provenance.signing import readable


@given(st.binary(max_size=3000))
def test_a_message_that_quotes_bytes_is_one_short_printable_line(raw: bytes) -> None:
    line = readable(f"cannot parse {raw.decode('latin-1')}")
    assert line.startswith("cannot parse")
    assert line.isprintable() and len(line) <= 302
    assert readable(line) == line
