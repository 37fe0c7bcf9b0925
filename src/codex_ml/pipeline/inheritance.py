"""Which runs go on from weights that saw a document, and through which run."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codex_ml.checkpointing.layout import list_checkpoints, step_of
from codex_ml.core.paths import Home
from codex_ml.core.publish import MANIFEST, read_json
from codex_ml.errors import IntegrityError
from codex_ml.provenance.keeping import original_name
from codex_ml.provenance.run_directory import RunDirectory

log = logging.getLogger(__name__)
Records = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Sighting:
    """What one run had to do with a document.

    *state*: trained (at *steps*), unseen (in the train split, its rows not reached yet), held out (of another
    split), left out (and why), or inherited (the run goes on from weights that saw it: *through*).
    """

    run: str
    state: str
    document: str
    sha256: str
    steps: tuple[int, ...] = ()
    epochs: float = 0.0
    detail: str = ""
    through: str = ""
    export: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def inherited(records: Records, direct: Sequence[Sighting], home: Home) -> Iterator[Sighting]:
    """Runs that go on from weights of a run that had seen the document by then, however many lie between.

    *direct* are the runs that were trained on it themselves.
    """
    through = {seen.run: seen for seen in direct}
    exporters = _exporters(home, records)
    origins = {name: list(_origins(record, records, home, exporters)) for name, record in records.items()}
    grew = True
    while grew:
        grew = False
        for name, found in origins.items():
            parent = next(
                (run for run, step in found if run in through and _had_seen(through[run], step)), None
            )
            if parent is None or name in through:
                continue
            export = RunDirectory(home.runs / name).export
            seen = through[parent]
            through[name] = Sighting(
                name,
                "inherited",
                seen.document,
                seen.sha256,
                through=parent,
                export=str(export) if export.is_dir() else None,
            )
            yield through[name]
            grew = True


def _had_seen(seen: Sighting, step: int | None) -> bool:
    """Whether a run had seen the document when it was at *step*; None: at its end."""
    return seen.state == "inherited" or step is None or any(at <= step for at in seen.steps)


def _origins(
    record: Mapping[str, Any], records: Records, home: Home, exporters: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, int | None]]:
    """The runs whose weights this one began with, and at which of their steps."""
    for parent in record.get("parents", []):
        named = [name for name in records if parent["run"] in (name, original_name(name))]
        same = [name for name in named if _had_weights(name, parent, records, home)]
        # Its checkpoint may be gone; then the only run that ever had the name is meant.
        for name in same or (named if len(named) == 1 else []):
            yield name, int(parent["step"])
    base = record["inputs"].get("base_weights")
    if base is not None:
        yield from ((name, None) for name in exporters.get(str(base), ()))


def _had_weights(name: str, parent: Mapping[str, Any], records: Records, home: Home) -> bool:
    result = records[name].get("result") or {}
    if result.get("weights_sha256") == parent["weights_sha256"]:
        return True
    saved = list_checkpoints(RunDirectory(home.runs / name).checkpoints)
    at_step = [path for path in saved if step_of(path) == int(parent["step"])]
    return any(_weights(path / MANIFEST) == parent["weights_sha256"] for path in at_step)


def _exporters(home: Home, records: Records) -> dict[str, list[str]]:
    """Weights of an export -> the runs that made it."""
    found: dict[str, list[str]] = {}
    for name in records:
        weights = _weights(home.runs / name / "export" / MANIFEST)
        if weights is not None:
            found.setdefault(weights, []).append(name)
    return found


def _weights(manifest: Path) -> str | None:
    """The weights digest of a manifest; None where there is none, or a damaged one."""
    try:
        stored = read_json(manifest)
        return str(stored["weights_sha256"])
    except FileNotFoundError:
        return None
    except (IntegrityError, OSError, KeyError, TypeError) as error:
        log.warning("%s is left out: %s", manifest, error)
        return None
