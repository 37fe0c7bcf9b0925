from __future__ import annotations

import getpass
import json
import math
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_ml.tracking.context import TrackerContext
from codex_ml.tracking.wandb_sink import WandbTracker
from sinks import HIDDEN, record
from wandb_file import records, rows

pytestmark = pytest.mark.needs("tracking")


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory, config_of: Callable[..., object]) -> Path:
    """A run that was opened twice, offline, with a secret on the command line that it must not keep."""
    from codex_ml.tracking.opening import context_of

    directory = tmp_path_factory.mktemp("runs") / "tiny"
    directory.mkdir()
    kept = sys.argv[:]
    sys.argv.append(f"--api-key={HIDDEN}-on-the-command-line")
    try:
        for resume_step, steps in ((0, (1, 2, 3)), (2, (3, 4))):
            context = context_of(
                config_of("tracking.wandb.project=mine"),  # type: ignore[arg-type]
                directory=directory,
                run_id="b" * 32,
                resume_step=resume_step,
                facts={"commit": "c" * 40},
            )
            tracker = WandbTracker(context)
            found = [record(step, step / 3) for step in steps]
            tracker.write([*found, record(1, math.nan, "late", split="system", phase="system")])
            tracker.close("finished", [])
    finally:
        sys.argv[:] = kept
    return directory


def test_values_read_back_exactly_also_those_that_come_late(twice: Path) -> None:
    found = [row for row in rows(twice) if "train/loss" in row]
    assert [(row["step"], row["train/loss"]) for row in found] == [(s, s / 3) for s in (1, 2, 3, 3, 4)]
    late = [row for row in rows(twice) if "system/late" in row]
    assert [row["step"] for row in late] == [1, 1]
    assert all(math.isnan(row["system/late"]) for row in late)


def test_both_openings_are_one_run_with_config_and_facts(twice: Path) -> None:
    runs = [row.run for row in records(twice) if row.WhichOneof("record_type") == "run"]
    assert {(run.run_id, run.project, run.display_name) for run in runs} == {("b" * 32, "mine", "tiny")}
    config = {item.key: json.loads(item.value_json) for item in runs[0].config.update}
    assert config["codex_ml.commit"] == "c" * 40
    assert config["train.lr"] == 0.003


def test_the_folder_tells_no_command_line_host_user_or_place(twice: Path) -> None:
    files = [path for path in twice.rglob("*") if path.is_file()]
    assert files
    hidden = [
        HIDDEN,
        # Two or three letters stand in packed bytes by chance.
        *([socket.gethostname()] if len(socket.gethostname()) > 3 else []),
        *([getpass.getuser()] if getpass.getuser() != "root" else []),
    ]
    for path in files:
        data = path.read_bytes()
        assert [word for word in hidden if word.encode() in data] == [], path


def test_nothing_is_printed_and_no_process_stays(
    context_for: Callable[..., TrackerContext], capfd: pytest.CaptureFixture[str]
) -> None:
    import psutil

    tracker = WandbTracker(context_for())
    tracker.write([record(1)])
    assert any("wandb" in child.name() for child in psutil.Process().children(recursive=True))
    tracker.close("finished", [])
    assert not any("wandb" in child.name() for child in psutil.Process().children(recursive=True))
    assert capfd.readouterr().out == ""
    assert os.environ.get("WANDB_MODE", "offline") == "offline"


_STRUCK = """
import logging, pathlib, signal, sys, time, types
import psutil
from codex_ml.core.offline import deny_network
from codex_ml.metrics import MetricRecord
from codex_ml.tracking import mirror
from codex_ml.tracking.context import TrackerContext
from codex_ml.tracking.wandb_sink import WandbTracker
deny_network()
logging.basicConfig()
mirror.GATHER = 0.01
cfg = types.SimpleNamespace(wandb=types.SimpleNamespace(project="p", entity=None))
context = TrackerContext(pathlib.Path(sys.argv[1]), "c" * 32, "struck", cfg=cfg)
made = mirror.Mirror("wandb", lambda: WandbTracker(context), limit=1000)
row = MetricRecord("r", 1, "train", "train", "loss", 1.0, 1.0)
made.write([row])
while not made.health.written:
    time.sleep(0.01)
for child in psutil.Process().children():
    child.send_signal(getattr(signal, sys.argv[2]))
for _ in range(20):
    made.write([row])
    time.sleep(0.01)
made.finish("finished")
made.join(0.5)
print(made.health.state)
"""


@pytest.mark.parametrize(("how", "state"), [("SIGSTOP", "left behind"), ("SIGKILL", "failed")])
def test_when_its_own_process_is_stopped_or_killed_ours_still_ends_at_once(
    how: str, state: str, tmp_path: Path, run: Callable[..., Any]
) -> None:
    done = run(sys.executable, "-c", _STRUCK, tmp_path, how, timeout=60)
    assert (done.code, done.out.strip()) == (0, state), done.err
    assert "Traceback" not in done.err
    assert done.err.count("'wandb'") == 1
