"""Write a fine-tuning task from real code: docstring -> function, from the interpreter's own library.

    python tools/stdlib_functions.py OUT.jsonl [--limit N]

One chat a line: the user gives the signature's name and the docstring, the assistant writes the function. The
group of a line is its top package, so that a split by group keeps whole packages apart.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

#: A line with its end, where Python sees one.
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)?")
_SKIPPED = ("test", "tests", "idlelib", "lib2to3", "site-packages", "__pycache__", "turtledemo")


def functions(root: Path, *, most_characters: int) -> Iterator[dict[str, object]]:
    """The documented functions of every module below *root*, in the order of paths and lines."""
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if set(relative.parts) & set(_SKIPPED):
            continue
        try:
            source = path.read_text(encoding="utf-8")
            tree = ast.parse(source)
        except (UnicodeDecodeError, SyntaxError):
            continue
        lines = _LINE.findall(source)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (sample := _sample(node, lines, most_characters)):
                yield {**sample, "group": relative.parts[0].removesuffix(".py")}


def _segment(node: ast.FunctionDef, lines: list[str]) -> str:
    """The text of a function, as `ast.get_source_segment` gives it, which splits the whole file each time."""
    own = lines[node.lineno - 1 : node.end_lineno]
    own[-1] = own[-1].encode()[: node.end_col_offset].decode()
    own[0] = own[0].encode()[node.col_offset :].decode()
    return "".join(own)


def _sample(node: ast.FunctionDef, source: list[str], most_characters: int) -> dict[str, object] | None:
    doc = ast.get_docstring(node)
    if doc is None or len(node.body) < 2:
        return None
    text = _segment(node, source)
    if len(text) > most_characters:
        return None
    lines = text.splitlines()
    body = [line[node.col_offset :] if line[: node.col_offset].isspace() else line for line in lines[1:]]
    function = "\n".join([lines[0], *body])
    asked = f"Write the Python function `{node.name}`.\n\n{doc}"
    return {
        "messages": [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": f"```python\n{function}\n```"},
        ]
    }


def write(out: Path, *, limit: int | None, most_characters: int = 1500) -> int:
    """Write at most *limit* lines, spread evenly over the library; returns their number."""
    rows = list(functions(Path(sysconfig.get_paths()["stdlib"]), most_characters=most_characters))
    if limit is not None and len(rows) > limit:
        rows = [rows[at * len(rows) // limit] for at in range(limit)]
    out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return len(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--limit", type=int)
    given = parser.parse_args()
    print(f"{write(given.out, limit=given.limit):,} functions written to {given.out}")
