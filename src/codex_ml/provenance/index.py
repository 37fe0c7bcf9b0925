"""One line of facts for each run of a workspace, from an index that follows the files.

The index holds a row and a stamp for each run. A stamp is what the file system says of ``run.json`` and of
the folder of checkpoints, both of which are only ever replaced as a whole; where it differs the run is read
again. So the index may be lost, damaged or old, and the rows are the same.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codex_ml.core.paths import Home
from codex_ml.core.publish import write_file
from codex_ml.errors import CodexError, StorageError
from codex_ml.provenance.run_directory import RunDirectory

log = logging.getLogger(__name__)
#: Of the rows below; an index of another version is written again.
VERSION = 2
Row = dict[str, Any]
#: Stamp and row of one run; a list, as JSON has it.
Entry = list[Any]


def list_summaries(home: Home) -> list[Row]:
    """Every run by name, with its state.

    finished, trained (not evaluated yet), running, unfinished (interrupted or never begun), damaged.
    """
    known = _read(home.runs_index)
    kept: dict[str, Entry] = {}
    changed = False
    for name, stamp in _stamps(home.runs):
        entry = known.get(name)
        if entry is None or entry[0] != stamp:
            entry, changed = [stamp, _summary(RunDirectory(home.runs / name))], True
        kept[name] = entry
    if changed or len(kept) != len(known):
        _write(home.runs_index, kept)
    held = locked_inodes()
    rows = (kept[name][1] for name in sorted(kept))
    return [
        _with_life(row, home.runs, held) if row["state"] in ("unfinished", "trained") else row for row in rows
    ]


def _stamps(runs: Path) -> Iterator[tuple[str, str]]:
    """Name and stamp of every run below *runs*."""
    try:
        entries = os.scandir(runs)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            try:
                manifest = os.stat(f"{entry.path}/run.json")  # noqa: PTH116 - a Path for each of 10,000 costs more
            except OSError:
                continue
            try:
                saved = os.stat(f"{entry.path}/checkpoints").st_mtime_ns  # noqa: PTH116 - as above
            except OSError:
                saved = 0
            yield entry.name, f"{manifest.st_mtime_ns}.{manifest.st_ino}.{manifest.st_size}.{saved}"


def _read(index: Path) -> dict[str, Entry]:
    """What the index holds; nothing when it is lost, damaged or of another version."""
    try:
        stored = json.loads(index.read_bytes())
        if stored["version"] == VERSION and all(len(entry) == 2 for entry in stored["runs"].values()):
            return dict(stored["runs"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.info("%s is read no further and written again: %s", index, error)
    return {}


def _write(index: Path, rows: dict[str, Entry]) -> None:
    """Keep the index; where nothing can be written, the next call reads the runs again."""
    try:
        write_file(index, json.dumps({"version": VERSION, "runs": rows}, separators=(",", ":")))
    except StorageError as error:
        log.info("the index of runs is not kept: %s", error)


def locked_inodes(table: Path = Path("/proc/locks")) -> set[int] | None:
    """Inodes that any process holds a lock of, as the system lists them; None where it does not."""
    try:
        rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()]
        return {int(row[-3].rpartition(":")[2]) for row in rows}
    except (OSError, ValueError, IndexError):
        return None


def _with_life(row: Row, runs: Path, held: set[int] | None) -> Row:
    """A run at work right now is running, which no stamp tells; a lock is tried where there may be one."""
    if held is not None:
        try:
            inode = os.stat(f"{runs}/{row['run']}/.lock").st_ino  # noqa: PTH116 - as above
        except OSError:
            return row
        if inode not in held:
            return row
    return {**row, "state": "running"} if RunDirectory(runs / row["run"]).busy() else row


def _summary(directory: RunDirectory) -> Row:
    try:
        return _facts(directory, directory.read())
    except (CodexError, OSError, KeyError, TypeError, AttributeError) as error:
        log.warning("the run '%s' cannot be read: %s", directory.name, error)
    empty = dict.fromkeys(("steps", "created", "grade", "weights_sha256", "base_weights"))
    return {"run": directory.name, "state": "damaged", "step": 0, "metrics": {}, "parents": [], **empty}


def _facts(directory: RunDirectory, record: Row) -> Row:
    result = record.get("result") or {}
    step = directory.newest_step()
    planned = record["config"]["train"]["steps"]
    state = "finished" if result else "trained" if step >= planned else "unfinished"
    return {
        "run": directory.name,
        "state": state,
        "step": step,
        "metrics": result.get("metrics", {}),
        "parents": [parent["run"] for parent in record.get("parents", [])],
        "steps": planned,
        "created": record.get("created"),
        "grade": record["resolved"].get("grade"),
        "weights_sha256": result.get("weights_sha256"),
        "base_weights": record["inputs"].get("base_weights"),
    }
