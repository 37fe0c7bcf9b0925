"""Read the metrics of a run that may still be growing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from codex_ml.core.ndjson import parse_line
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.report.numbers import number

#: Seconds between two looks at a file.
INTERVAL = 0.3


class Follower:
    """The records of one run, each once, in groups of one step, split and phase.

    A run that was killed and goes on cuts what it writes again; the follower then starts over at the new
    end of the file, and never shows a step of the past as new.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._offset = 0
        self._grew = True

    def read(self) -> list[dict[str, Any]]:
        """What was added since the last call. Raises IntegrityError for a line that is no record."""
        path = self._directory.metrics
        if not path.exists():
            self._grew = False
            return []
        size = path.stat().st_size
        if size < self._offset:
            self._offset = size
        with path.open("rb") as stream:
            stream.seek(self._offset)
            data = stream.read()
        whole = data[: data.rfind(b"\n") + 1]  # a kill may have left a last line without its end
        self._offset += len(whole)
        self._grew = bool(whole)
        rows = (parse_line(line, f"a line of {path}") for line in whole.splitlines(keepends=True))
        return list(_grouped(row for row in rows if row.get("phase") != "start"))

    def wait(self) -> bool:
        """Wait a little; False once no process is working on the run and nothing is left to read."""
        busy = self._directory.busy()
        time.sleep(INTERVAL if busy else 0)
        return busy or self._grew


def _grouped(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    group: dict[str, Any] | None = None
    for row in rows:
        key = {name: row.get(name) for name in ("step", "split", "phase")}
        if group is None or {name: group[name] for name in key} != key:
            if group is not None:
                yield group
            group = {**key, "ts": row.get("ts"), "values": {}}
        group["values"][row["metric"]] = row["value"]
    if group is not None:
        yield group


def told(group: dict[str, Any]) -> str:
    """One line for people."""
    values = "  ".join(f"{name} {number(float(value))}" for name, value in group["values"].items())
    kind = group["split"] if group["phase"] == "train" else f"{group['split']}, {group['phase']}"
    return f"step {group['step']:>7}  {kind:<16}  {values}"
