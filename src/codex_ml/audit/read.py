"""Bytes to text to syntax: any encoding, any line ends, notebooks. What does not parse is said."""

from __future__ import annotations

import io
import json
import re
import tokenize
from dataclasses import dataclass
from typing import Any

from codex_ml.audit.source import Source
from codex_ml.audit.tree import File, Unread, read_bytes
from codex_ml.audit.walk import parse

_PYTHON_2 = re.compile(
    r"^[ \t]*(print\s+[\"'\w]|exec\s+[\"']|except\s+[\w.]+\s*,\s*\w+\s*:|raise\s+\w+\s*,)", re.MULTILINE
)
#: ``name?`` and ``name??``, for which IPython shows the documentation.
_HELP = re.compile(r"[ \t]*%?[\w.]+\?{1,2}[ \t]*$")


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook, numbered from 1."""

    number: int
    kind: str
    text: str
    run: bool


def decode(data: bytes) -> str | None:
    r"""Text of a file, its line ends as ``\\n`` and without a byte order mark; None for what is binary."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return _plain(data.decode("utf-16"))
        except UnicodeDecodeError:
            return None
    if b"\0" in data[:8192]:
        return None
    try:
        return _plain(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        return _plain(data.decode("latin-1"))


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def decode_python(data: bytes) -> str | None:
    """As `decode`, by the encoding that the file declares."""
    if b"coding" not in data[:200]:
        return decode(data)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return _plain(data.decode(encoding).removeprefix("\ufeff"))
    except (SyntaxError, UnicodeError, LookupError, ValueError):
        return decode(data)


def read_source(file: File) -> Source | Unread:
    """The facts of a Python file or of a notebook's code, or why there are none."""
    data = read_bytes(file)
    if data is None:
        return Unread(file.path, "could not be read")
    if file.suffix == ".ipynb":
        found = read_cells(file, data)
        return found if isinstance(found, Unread) else _parsed(file.path, *code_of(found))
    text = decode_python(data)
    if text is None or "\0" in text:
        return Unread(file.path, "binary, whatever its name says")
    return _parsed(file.path, text, ())


def _parsed(path: str, text: str, cells: tuple[tuple[int, int], ...]) -> Source | Unread:
    try:
        return parse(path, text, cells=cells)
    except SyntaxError as error:
        if _PYTHON_2.search(text):
            return Unread(path, f"Python 2 or no Python: line {error.lineno}: {error.msg}")
        return Unread(path, f"invalid syntax: line {error.lineno}: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return Unread(path, f"the parser gave up: {type(error).__name__}: {str(error)[:80]}")


def read_cells(file: File, data: bytes) -> list[Cell] | Unread:
    """The cells of a notebook of format 3 or 4."""
    try:
        body: Any = json.loads(data.decode("utf-8-sig"))
        sheets = body.get("worksheets") or [body]
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
        return [_cell(number, cell) for number, cell in enumerate(cells, start=1)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Unread(file.path, f"no notebook that can be read: {type(error).__name__}: {str(error)[:80]}")


def _cell(number: int, cell: dict[str, Any]) -> Cell:
    body = cell.get("source", cell.get("input", ""))
    text = "".join(body) if isinstance(body, list) else str(body)
    return Cell(number, str(cell.get("cell_type", "")), _plain(text), bool(cell.get("outputs")))


def code_of(cells: list[Cell]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The code of all cells as one text, and the (cell, line) of each of its lines.

    Magics and shell lines become comments, so that lines stay where they are.
    """
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    for cell in cells:
        if cell.kind != "code":
            continue
        whole = cell.text.startswith("%%")  # the cell is of another language
        for number, line in enumerate(cell.text.split("\n"), start=1):
            magic = whole or line.lstrip().startswith(("%", "!", "?")) or _HELP.match(line) is not None
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f"{indent}pass  # {line.strip()}" if magic and not whole else "#" if magic else line)
            places.append((cell.number, number))
    return "\n".join(lines) + "\n", tuple(places)
