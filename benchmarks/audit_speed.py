"""How fast a repository is audited: lines of Python a second, 5,000 files, memory; beside parsing alone.

    python -m benchmarks.audit_speed [FILE]

Arms, interleaved: the audit of a copy of the installed transformers (a million lines), `ast.parse` of the
same files in as many processes, and the audit of 5,000 small files. With FILE each round is appended to it
as one line of JSON.
"""

from __future__ import annotations

import ast
import gc
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path

ROUNDS, FILES = 3, 5_000
_MODULE = '''import json


def read(path):
    with open(path) as stream:
        return json.load(stream)


class Table:
    """Rows by name."""

    def __init__(self, rows):
        self.rows = rows

    def first(self):
        return self.rows[0]
'''


def parse(path: str) -> int:
    """The lines of one file, parsed and thrown away."""
    text = Path(path).read_text(encoding="utf-8")
    ast.parse(text)
    return text.count("\n")


def timed(work: Callable[[], int]) -> tuple[int, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def main(output: str | None = None) -> None:
    from codex_ml.audit.audit import audit

    spec = find_spec("transformers")
    assert spec is not None
    assert spec.origin is not None
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder) / "large", Path(folder) / "small"
        shutil.copytree(Path(spec.origin).parent, large, ignore=shutil.ignore_patterns("__pycache__"))
        for number in range(FILES):
            place = small / f"part_{number // 100}" / f"module_{number}.py"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(_MODULE)
        paths = sorted(str(path) for path in large.rglob("*.py"))
        workers = len(os.sched_getaffinity(0))
        rounds = []
        for _ in range(ROUNDS):
            with ProcessPoolExecutor(workers, initializer=gc.disable) as pool:
                lines, parsing = timed(lambda: sum(pool.map(parse, paths, chunksize=16)))
            _, auditing = timed(lambda: audit(large).index.lines)
            _, many = timed(lambda: audit(small).index.lines)
            peak = max(
                resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
            )
            row = {
                "benchmark": "audit_speed",
                "workers": workers,
                "lines": lines,
                "parse_lines_per_s": round(lines / parsing),
                "audit_lines_per_s": round(lines / auditing),
                "of_parsing": round(parsing / auditing, 2),
                "files_5000_s": round(many, 2),
                "peak_mb": round(peak / 1e3),
            }
            rounds.append(row)
            print(json.dumps(row))
            if output:
                with Path(output).open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(row) + "\n")
    for name in ("audit_lines_per_s", "of_parsing", "files_5000_s", "peak_mb"):
        print(f"{name}: {statistics.median(row[name] for row in rounds)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
