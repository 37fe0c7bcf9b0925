from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from codex_ml.errors import ConfigError
from codex_ml.tracking.mlflow_utils import MlflowConfig, check_uri, start_run, tracking_uri
from sinks import HIDDEN, LOGIN


def test_the_store_is_that_of_the_config_then_of_our_variable_then_of_theirs_then_beside_the_runs(
    tmp_path: Path,
) -> None:
    environ = {"CODEX_MLFLOW_URI": "sqlite:///ours.db", "MLFLOW_TRACKING_URI": "sqlite:///theirs.db"}
    assert tracking_uri("sqlite:///config.db", runs=tmp_path, environ=environ) == "sqlite:///config.db"
    assert tracking_uri(None, runs=tmp_path, environ=environ) == "sqlite:///ours.db"
    del environ["CODEX_MLFLOW_URI"]
    assert tracking_uri(None, runs=tmp_path, environ=environ) == "sqlite:///theirs.db"
    assert tracking_uri(None, runs=tmp_path, environ={}) == f"sqlite:///{tmp_path}/mlflow.db"


@pytest.mark.parametrize("uri", ["file:mlruns", "file:///data/mlruns", "mlruns", "./mlruns", "/data/mlruns"])
def test_a_store_of_plain_files_says_how_to_migrate_unless_it_is_allowed(uri: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_uri(uri, network_allowed=True, environ={})
    assert caught.value.code == "tracking.file-store"
    assert "mlflow migrate-filestore" in str(caught.value)
    assert "MLFLOW_ALLOW_FILE_STORE=true" in str(caught.value)
    check_uri(uri, network_allowed=False, environ={"MLFLOW_ALLOW_FILE_STORE": "true"})


FAR = [
    "http://tracker.example.org:5000",
    f"https://{LOGIN}@h.example.org",
    "databricks",
    "databricks://p",
    "postgresql:///db?host=far.example.org",
    "postgresql:///db?host=localhost,10.0.0.9",
    "postgresql://localhost/db?hostaddr=192.0.2.7",
    "postgresql:///db?service=elsewhere",
    "postgresql://localhost,far.example.org/db",
    "postgresql://localhost?@far.example.org/db",
    "mssql+pyodbc:///?odbc_connect=SERVER%3Dfar",
    "mysql://127.0.0.1.example.org/db",
]
NEAR = [
    "sqlite:///runs/mlflow.db",
    "http://127.0.0.1:5000",
    "http://localhost:5000",
    "postgresql:///mlflow",
    "http://[::1]:5000",
    "http://127.8.8.8:5000",
    "postgresql:///db?host=/var/run/postgresql",
    "postgresql://me@localhost:5432/db?host=127.0.0.1:5433",
]


@pytest.mark.parametrize("uri", [*FAR, f"postgresql://{LOGIN}@db.example.org/mlflow", "mysql://db/mlflow"])
def test_a_store_beyond_this_machine_needs_leave_and_its_password_is_not_shown(uri: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_uri(uri, network_allowed=False, environ={})
    assert caught.value.code == "tracking.network"
    assert HIDDEN not in caught.value.line()
    check_uri(uri, network_allowed=True, environ={})
    assert HIDDEN not in repr(MlflowConfig(uri))


@pytest.mark.parametrize("uri", NEAR)
def test_a_store_on_this_machine_needs_none(uri: str) -> None:
    check_uri(uri, network_allowed=False, environ={})


def test_a_host_that_only_the_driver_of_the_database_knows_needs_leave_too() -> None:
    with pytest.raises(ConfigError) as caught:
        check_uri("postgresql:///mlflow", network_allowed=False, environ={"PGHOST": "db.example.org"})
    assert caught.value.code == "tracking.network"
    check_uri("postgresql:///mlflow", network_allowed=False, environ={"PGHOST": "/var/run/postgresql"})


def test_without_a_config_there_is_no_run_and_the_block_runs_all_the_same() -> None:
    with start_run(None) as run:
        assert run is None


@pytest.mark.parametrize(
    "uri",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory", "sqlite:///file::memory:?uri=true"],
)
def test_a_store_in_memory_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_uri(uri, network_allowed=False)
    assert caught.value.code == "tracking.memory"


@pytest.mark.needs("tracking")
def test_two_that_begin_with_a_new_store_at_once_both_keep_their_records(tmp_path: Path) -> None:
    """Each in a process of its own, as two trials of a sweep are; MLflow makes its tables without a lock."""
    program = (
        "import sys\nfrom codex_ml.tracking.mlflow_utils import MlflowConfig, MlflowRun\n"
        "run = MlflowRun(MlflowConfig(uri=sys.argv[1], run_name=sys.argv[2]))\n"
        "run.log_metrics({'loss': 1.0}, step=1)\nrun.end('finished')\n"
    )
    uri = f"sqlite:///{tmp_path / 'new.db'}"
    words = [[sys.executable, "-c", program, uri, name] for name in ("one", "two")]
    running = [subprocess.Popen(one, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for one in words]
    ended = [one.communicate(timeout=120) for one in running]
    assert [one.returncode for one in running] == [0, 0], ended
    import mlflow

    client = mlflow.MlflowClient(uri, uri)
    (experiment,) = [one for one in client.search_experiments() if one.name == "codex-ml"]
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(one.info.run_name for one in runs) == ["one", "two"]
    assert all(one.data.metrics == {"loss": 1.0} for one in runs)
