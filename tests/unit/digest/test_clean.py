"""What a carrier adds to a line goes; the line's own indentation stays."""

from __future__ import annotations

import pytest

from codex_ml.digest.clean import clean, minute


@pytest.mark.parametrize(
    ("raw", "text", "stream", "mark"),
    [
        (b"2024-05-01T10:00:00.1234567Z   File x\n", "  File x", "", ""),
        (b"2024-05-01T10:00:00Z ##[error]bad\r\n", "bad", "", "error"),
        (b"::error file=a.py,line=3::bad", "bad", "", "error"),
        (b"::error::bad", "bad", "", "error"),
        (b"[12:30:01] bad", "bad", "", ""),
        (b"#9 2.345     indented", "    indented", "", ""),
        (b"[rank3]:   File x", "  File x", "[rank3]:", ""),
        (b"web_1  |   File x", "  File x", "web_1  |", ""),
        (b"(train pid=77)   File x", "  File x", "(train pid=77)", ""),
        (b"\x1b[31mred\x1b[0m\x1b]8;;http://x\x07link", "redlink", "", ""),
        (b" 10%\r 50%\r100% done\n", "100% done", "", ""),
        (b"nul\0byte \xff", "nul\ufffdbyte \ufffd", "", ""),
        (b"plain 2024", "plain 2024", "", ""),
    ],
)
def test_a_line_is_cleaned(raw: bytes, text: str, stream: str, mark: str) -> None:
    line = clean(raw, 7)
    assert (line.text, line.stream, line.mark, line.number) == (text, stream, mark, 7)


@pytest.mark.parametrize(
    ("stamp", "wanted"),
    [
        ("2025-09-05 10:22:31,789", "2025-09-05T10:22Z"),
        ("2025-09-05T10:22:31.7Z", "2025-09-05T10:22Z"),
        ("2025-09-05T10:22:31+02:00", None),
        ("", None),
    ],
)
def test_a_stamp_becomes_a_minute_of_utc_or_nothing(stamp: str, wanted: str | None) -> None:
    assert minute(stamp) == wanted
