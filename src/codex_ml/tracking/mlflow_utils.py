"""MLflow: which store, and one run in it that a resumed run finds again by its tag."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from codex_ml.config.schema.tracking import TrackingConfig
from codex_ml.core.optional import require
from codex_ml.core.publish import exclusive
from codex_ml.core.redact import redact_text
from codex_ml.errors import ConfigError, Interrupted, StorageError
from codex_ml.interfaces.tracker import Status
from codex_ml.metrics import MetricRecord
from codex_ml.tracking.context import TrackerContext
from codex_ml.tracking.keys import curve_of
from codex_ml.tracking.store_hosts import is_far

RUN_TAG = "codex_ml.run_id"
#: Our word for the end of a run -> MLflow's.
_STATUS: Mapping[Status, str] = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
_MOST_METRICS, _MOST_PARAMS = 1000, 100  # of one call, as MLflow's API has it


#: Seconds that the making of a store may take beside others.
_MAKING = 60.0


@dataclass(frozen=True)
class MlflowConfig:
    """One run in a tracking store. *tags* hold `RUN_TAG` where the run is to be found again."""

    uri: str
    experiment: str = "codex-ml"
    run_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    artifacts: Path | None = None

    def __repr__(self) -> str:
        return f"MlflowConfig(uri={redact_text(self.uri)!r}, experiment={self.experiment!r})"


def tracking_uri(configured: str | None, *, runs: Path, environ: Mapping[str, str] = os.environ) -> str:
    """Config, then CODEX_MLFLOW_URI, then MLFLOW_TRACKING_URI, then ``mlflow.db`` beside the runs."""
    named = configured or environ.get("CODEX_MLFLOW_URI") or environ.get("MLFLOW_TRACKING_URI")
    return named or f"sqlite:///{runs.absolute() / 'mlflow.db'}"


def check_uri(uri: str, *, network_allowed: bool, environ: Mapping[str, str] = os.environ) -> None:
    """Raise ConfigError for a store of plain files, and for one beyond this machine without leave.

    No message holds the user-info of the URI.
    """
    shown, parts = redact_text(uri), urlsplit(uri)
    is_files = parts.scheme == "file" or ("://" not in uri and not uri.startswith("databricks"))
    if is_files and environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        raise ConfigError(
            "MLflow keeps runs in plain files no more, unless it is told to",
            code="tracking.file-store",
            got=shown,
            wanted="a database, as sqlite:///runs/mlflow.db, or MLFLOW_ALLOW_FILE_STORE=true",
            next_step="move old runs with `mlflow migrate-filestore --source DIR --target sqlite:///FILE`, "
            "then set tracking.mlflow.uri (or CODEX_MLFLOW_URI) to the new store",
        )
    nowhere = parts.path in ("", "/", "/:memory:", "/file::memory:") or "mode=memory" in parts.query
    if parts.scheme.startswith("sqlite") and nowhere:
        raise ConfigError(
            "a database in memory keeps nothing",
            code="tracking.memory",
            got=shown,
            wanted="a file, as sqlite:///runs/mlflow.db",
            next_step="set tracking.mlflow.uri to one, or leave it unset",
        )
    if not network_allowed and is_far(uri, environ=environ):
        raise ConfigError(
            "this MLflow store lies beyond this machine",
            code="tracking.network",
            got=shown,
            wanted="--allow-network, or a store on this machine",
            next_step="pass --allow-network (it is recorded), or leave tracking.mlflow.uri unset",
        )


class MlflowRun:
    """A run in MLflow's store, through its client alone: nothing is global, nothing is printed."""

    def __init__(self, config: MlflowConfig) -> None:
        _prepare()
        mlflow = require("mlflow", extra="tracking")
        self._entities = mlflow.entities
        # Two arguments: a registry of models at another address is none of our business.
        with _alone(config.uri):
            self._client = mlflow.MlflowClient(config.uri, config.uri)
            self.id = self._open(config)
        known = self._client.get_run(self.id).data.params
        self.log_params({key: value for key, value in config.params.items() if key not in known})
        for key, value in config.tags.items():
            self._client.set_tag(self.id, key, value)

    def _open(self, config: MlflowConfig) -> str:
        experiment = self._experiment(config)
        own = config.tags.get(RUN_TAG)
        found = self._client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{own}'") if own else []
        if not found:
            created = self._client.create_run(experiment, tags=dict(config.tags), run_name=config.run_name)
            return str(created.info.run_id)
        run_id = str(found[0].info.run_id)
        self._client.update_run(run_id, status="RUNNING")
        return run_id

    def _experiment(self, config: MlflowConfig) -> str:
        """The experiment's id. A new one in a local store keeps its artifacts beside the store."""
        found = self._client.get_experiment_by_name(config.experiment)
        if found is not None:
            return str(found.experiment_id)
        place = config.artifacts.absolute().as_uri() if config.artifacts is not None else None
        return str(self._client.create_experiment(config.experiment, artifact_location=place))

    def log_params(self, params: Mapping[str, str]) -> None:
        """Settings of the run; a value that is there already must be the same."""
        rows = [self._entities.Param(key, value) for key, value in params.items()]
        for at in range(0, len(rows), _MOST_PARAMS):
            self._client.log_batch(self.id, params=rows[at : at + _MOST_PARAMS])

    def log_metrics(self, values: Mapping[str, float], *, step: int) -> None:
        """Values of one step, measured now."""
        now = int(time.time() * 1000)
        self._log([self._entities.Metric(key, value, now, step) for key, value in values.items()])

    def log_records(self, records: Sequence[MetricRecord]) -> None:
        """Metric records under their curves' names, with their own time."""
        self._log(
            [self._entities.Metric(curve_of(row), row.value, int(row.ts * 1000), row.step) for row in records]
        )

    def _log(self, metrics: list[Any]) -> None:
        for at in range(0, len(metrics), _MOST_METRICS):
            self._client.log_batch(self.id, metrics=metrics[at : at + _MOST_METRICS])

    def log_artifact(self, path: Path) -> None:
        """Copy one file into the store."""
        self._client.log_artifact(self.id, str(path))

    def end(self, status: Status) -> None:
        """Say how the run ended; the same run may be opened again."""
        self._client.set_terminated(self.id, status=_STATUS[status])


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Hold the lock of a local database while its tables are made and its experiment is looked for.

    MLflow creates both without one: of two runs that begin with a new store, one would lose its records.
    """
    parts = urlsplit(uri)
    path = parts.path if parts.scheme.startswith("sqlite") else ""  # also sqlite+DRIVER
    place = Path(path[1:])  # three slashes before a relative path, four before an absolute one
    if not path[1:] or not place.parent.is_dir():
        yield
        return
    busy = StorageError(
        f"another process has been making {place} for {_MAKING:g} seconds",
        code="tracking.locked",
        next_step="wait for it, or choose another store",
    )
    with exclusive(place.with_name(f".{place.name}.lock"), taken=busy, patience=_MAKING):
        yield


@contextmanager
def start_run(config: MlflowConfig | None) -> Iterator[MlflowRun | None]:
    """A run for the time of a block; with None there is none, and the block runs all the same.

    Raises MissingExtraError when MLflow is not installed.
    """
    if config is None:
        yield None
        return
    run, status = MlflowRun(config), "failed"
    try:
        yield run
        status = "finished"
    except (Interrupted, KeyboardInterrupt):
        status = "interrupted"
        raise
    finally:
        run.end(status)  # type: ignore[arg-type]


class MlflowTracker:
    """The sink ``mlflow``."""

    requires = ("mlflow", "sqlalchemy", "alembic")
    extra = "tracking"

    def __init__(self, context: TrackerContext) -> None:
        assert context.cfg is not None
        runs = context.run_directory.parent
        uri = tracking_uri(context.cfg.mlflow.uri, runs=runs)
        self._run = MlflowRun(
            MlflowConfig(
                uri=uri,
                experiment=context.cfg.mlflow.experiment,
                run_name=context.name,
                tags=context.tags,
                params={key: _text(value) for key, value in context.params.items()},
                artifacts=runs / "mlflow-artifacts" if uri.startswith("sqlite:") else None,
            )
        )

    @staticmethod
    def check(cfg: TrackingConfig, *, runs: Path, network_allowed: bool) -> None:
        """Raise ConfigError before the run for a store that cannot be used."""
        check_uri(tracking_uri(cfg.mlflow.uri, runs=runs), network_allowed=network_allowed)

    def write(self, records: Sequence[MetricRecord]) -> None:
        self._run.log_records(records)

    def sync(self) -> None:
        """Each batch is a transaction of its own already."""

    def close(self, status: Status, artifacts: Sequence[Path]) -> None:
        for path in artifacts:
            self._run.log_artifact(path)
        self._run.end(status)


def _text(value: Any) -> str:
    """A parameter, which MLflow keeps as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _prepare() -> None:
    """No telemetry, and the library's log goes through ours, which redacts it."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    require("mlflow", extra="tracking")
    for name in ("mlflow", "alembic"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        # Its warnings tell of each try to reach a store; what comes of it is one line of ours.
        logger.setLevel(max(logging.ERROR, logging.getLogger().level))
