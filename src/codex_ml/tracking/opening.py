"""Open the trackers of a run, and keep how they fared beside it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from codex_ml.config.components import sink_component
from codex_ml.config.schema import RunConfig
from codex_ml.config.schema.tracking import TrackingConfig
from codex_ml.core.ndjson import read
from codex_ml.core.optional import require
from codex_ml.core.publish import read_json, write_json
from codex_ml.core.redact import redact_text
from codex_ml.errors import CodexError, Interrupted, LoadError, MissingExtraError
from codex_ml.interfaces.tracker import Status
from codex_ml.registry import registry_for
from codex_ml.tracking.callback import CallbackTracker
from codex_ml.tracking.composite import CompositeTracker
from codex_ml.tracking.context import TrackerContext, clean_facts, params_of
from codex_ml.tracking.file_sinks import CsvTracker, FileTracker, NdjsonTracker
from codex_ml.tracking.mirror import Mirror

log = logging.getLogger(__name__)
FILES: Mapping[str, type[FileTracker]] = {"ndjson": NdjsonTracker, "csv": CsvTracker}
#: In the run's directory: how each tracker fared, over all openings.
HEALTH = "trackers.json"


def check_trackers(cfg: TrackingConfig, *, runs: Path, network_allowed: bool) -> dict[str, str]:
    """Raise before anything is done for settings that no tracker could follow.

    NotFoundError for an unknown name, ConfigError for a store that needs what was not allowed. A tracker
    whose own check fails in another way is broken: it is in the answer, with the reason.
    """
    broken: dict[str, str] = {}
    for name in _asked(cfg):
        kind, component = sink_component(name)
        registry_for(kind).check(component)
        try:
            factory = registry_for(kind).get(component)
        except (LoadError, MissingExtraError):
            continue  # absent: said when it is opened, and the run goes on
        check = getattr(_bare(factory), "check", None)
        if check is None:
            continue
        try:
            check(cfg, runs=runs, network_allowed=network_allowed)
        except CodexError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may fail in any way, and only it may suffer
            broken[name] = redact_text(f"its check failed: {type(error).__name__}: {error}")[:500]
    return broken


def mirrored(cfg: TrackingConfig) -> bool:
    """Whether a run has trackers besides its own files."""
    return bool(_asked(cfg))


def absent_trackers(cfg: TrackingConfig) -> dict[str, str]:
    """The trackers that are asked for and cannot be had here, with the reason."""
    found = {}
    for name in _asked(cfg):
        try:
            _factory(name)
        except (LoadError, MissingExtraError) as error:
            found[name] = error.line()
    return found


def context_of(
    config: RunConfig,
    *,
    directory: Path,
    run_id: str,
    resume_step: int,
    again: str | None = None,
    facts: Mapping[str, object] | None = None,
    network_allowed: bool = False,
) -> TrackerContext:
    """The context of a run; without *facts* they are those that its metrics begin with."""
    return TrackerContext(
        run_directory=directory,
        run_id=run_id,
        name=config.name,
        resume_step=resume_step,
        again=again,
        cfg=config.tracking,
        params=params_of(config),
        facts=clean_facts(facts if facts is not None else first_facts(directory / "metrics.ndjson")),
        network_allowed=network_allowed,
    )


def first_facts(metrics: Path) -> dict[str, str]:
    """The facts in the first record of a run's metrics; empty where it has none."""
    first = next(read(metrics), {})
    return dict(first.get("facts") or {})


def open_files(context: TrackerContext) -> CompositeTracker:
    """Only metrics.ndjson and metrics.csv. Raises StorageError, IntegrityError or DataError."""
    return CompositeTracker(_files(context), run_id=context.run_id)


def open_trackers(context: TrackerContext) -> CompositeTracker:
    """Every sink of a run: its own files always, and a mirror for each other name.

    A tracker that is not installed or does not load is said in one line, and the run goes on without it.
    Raises NotFoundError for an unknown name, ConfigError for settings it cannot follow, and what
    `open_files` raises.
    """
    cfg = context.cfg
    assert cfg is not None
    runs = context.run_directory.parent
    absent = check_trackers(cfg, runs=runs, network_allowed=context.network_allowed)
    for name, why in absent.items():
        log.warning("the tracker '%s' is left out; the run goes on: %s", name, why)
    files, mirrors = _files(context), []
    for name in (name for name in _asked(cfg) if name not in absent):
        try:
            factory = _factory(name)
        except (LoadError, MissingExtraError) as error:
            log.warning("the tracker '%s' is left out; the run goes on: %s", name, error)
            absent[name] = error.line()
            continue
        mirrors.append(Mirror(name, functools.partial(factory, context), limit=cfg.queue))
    return CompositeTracker(
        files, run_id=context.run_id, mirrors=mirrors, absent=absent, patience=cfg.patience
    )


@contextmanager
def opened(context: TrackerContext, *, artifacts: Sequence[Path] = ()) -> Iterator[CompositeTracker]:
    """The trackers of a run for the time of a block; they end with *artifacts*, and their health is kept."""
    tracker = open_trackers(context)
    status: Status = "failed"
    try:
        yield tracker
        status = "finished"
    except Interrupted:
        status = "interrupted"
        raise
    finally:
        try:
            tracker.close(status, artifacts)
        finally:
            keep_health(tracker, context.run_directory)


def keep_health(tracker: CompositeTracker, run_directory: Path) -> None:
    """Add how the trackers fared to the run's ``trackers.json``.

    Nothing is written for a run that has only its own files, and all of them well.
    """
    new = tracker.health()
    path = run_directory / HEALTH
    if all(name in FILES and row["state"] == "ok" for name, row in new.items()) and not path.exists():
        return
    try:
        write_json(path, _added(read_health(run_directory), new))
    except CodexError as error:
        log.warning("how the trackers fared is not kept: %s", error)


def read_health(run_directory: Path) -> dict[str, dict[str, Any]]:
    """State, written, dropped and the last error of each tracker of a run; empty where none is kept.

    Raises IntegrityError when the file is damaged.
    """
    path = run_directory / HEALTH
    return dict(read_json(path)) if path.is_file() else {}


def _added(before: Mapping[str, dict[str, Any]], new: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    rows = dict(before)
    for name, row in new.items():
        old = rows.get(name, {})
        sums = {key: int(old.get(key, 0)) + int(row[key]) for key in ("written", "dropped")}
        rows[name] = {"state": row["state"], **sums, "error": row["error"] or old.get("error")}
    return rows


def _files(context: TrackerContext) -> dict[str, FileTracker]:
    return {name: make(context) for name, make in FILES.items()}


def _asked(cfg: TrackingConfig) -> list[str]:
    """The names of the mirrors, each once."""
    return [name for name in dict.fromkeys(cfg.sinks) if name not in FILES]


def _factory(name: str) -> Any:
    """What makes a tracker; its packages are imported here, by the thread that imports everything else."""
    kind, component = sink_component(name)
    factory = registry_for(kind).get(component)
    if kind == "callbacks":
        return functools.partial(CallbackTracker, factory)
    bare = _bare(factory)
    for module in getattr(bare, "requires", ()):
        require(module, extra=getattr(bare, "extra", "tracking"))
    return factory


def _bare(factory: Any) -> Any:
    """The class itself of one that gets arguments (a component by path)."""
    return factory.func if isinstance(factory, functools.partial) else factory
