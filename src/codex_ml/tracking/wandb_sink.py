"""Weights & Biases: offline into the run's directory, online only where the network is allowed."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from codex_ml.core.optional import require
from codex_ml.interfaces.tracker import Status
from codex_ml.metrics import MetricRecord
from codex_ml.tracking.context import TrackerContext
from codex_ml.tracking.keys import curve_of

log = logging.getLogger(__name__)
#: What the library must not do by itself: speak, report, look at code, git, packages, machine or console.
_QUIET = {
    "silent": True,
    "quiet": True,
    "console": "off",
    "symlink": False,
    "disable_code": True,
    "disable_git": True,
    "save_code": False,
    "host": "",
    "username": "",
    "email": "",
    "program": "codex-ml",
    "x_disable_meta": True,
    "x_disable_machine_info": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
    "x_service_wait": 20.0,
}


class WandbTracker:
    """The sink ``wandb``. The W&B run has the id of ours, so a resumed run is the same one.

    Every row says its ``step``, which is the axis: W&B's own counter may only grow, and a resumed run or
    a late sample of the machine would be thrown away.
    """

    requires = ("wandb",)
    extra = "tracking"

    def __init__(self, context: TrackerContext) -> None:
        self._context = context
        self._run: Any = None

    def write(self, records: Sequence[MetricRecord]) -> None:
        if self._run is None:
            self._run = self._start()
        for (step, ts), rows in itertools.groupby(records, key=lambda row: (row.step, row.ts)):
            self._run.log({"step": step, "ts": ts, **{curve_of(row): row.value for row in rows}})

    def sync(self) -> None:
        """W&B's own process writes its file as it goes."""

    def close(self, status: Status, artifacts: Sequence[Path]) -> None:  # noqa: ARG002 - of the protocol
        if self._run is not None:
            self._run.finish(exit_code=0 if status == "finished" else 1)
            require("wandb", extra=self.extra).teardown()
            # Logs of the library itself: they name folders of this machine, and nothing else needs them.
            for name in ("logs", "tmp"):
                shutil.rmtree(self._folder / name, ignore_errors=True)

    def abandon(self) -> None:
        """End W&B's own process, and forget that Python's exit would wait for its last word."""
        setup = require("wandb.sdk.wandb_setup", extra=self.extra)
        # No public call leaves a dead or stopped process behind; where these names change, the exit only
        # takes longer or says more.
        connection = getattr(setup.singleton(), "_connection", None)
        forget = getattr(connection, "_cleanup", None)
        if forget is not None:
            forget()
        for child in psutil.Process().children():
            if child.name().startswith("wandb-core"):
                child.kill()

    def _start(self) -> Any:
        os.environ["WANDB_ERROR_REPORTING"] = "false"
        os.environ["WANDB_SILENT"] = "true"
        wandb = require("wandb", extra=self.extra)
        context = self._context
        assert context.cfg is not None
        online = context.network_allowed and os.environ.get("WANDB_MODE", "online") == "online"
        run = wandb.init(
            id=context.run_id,
            name=context.name,
            project=context.cfg.wandb.project,
            entity=context.cfg.wandb.entity,
            dir=str(context.run_directory),
            config={**context.params, **context.tags},
            mode="online" if online else "offline",
            resume="allow" if online else None,
            settings=wandb.Settings(**_QUIET),
        )
        self._folder = Path(run.settings.sync_dir)
        run.define_metric("*", step_metric="step")
        return run
