"""Imports what commands import once and forks a child for each call: ``python -m cli_server``.

One JSON request per line on stdin (argv, env, cwd, out, err, seconds), one answer per line on stdout. A child
runs the real entry point with the environment, directory and streams of the request; only imports are shared.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

LATE = (
    *("codex_ml.pipeline.runner", "codex_ml.pipeline.train_stage", "codex_ml.evaluation.runner"),
    *("codex_ml.config.compose", "codex_ml.modeling.codex_model_loader", "codex_ml.modeling.lora"),
    *("transformers", "peft", "torch.distributed", "torch._inductor"),
)


def warm() -> None:
    """Import, and start nothing: no thread may live when the process forks."""
    import torch

    from codex_ml.cli.app import COMMANDS

    for name in (*(f"codex_ml.cli.{module}" for module in COMMANDS.values()), *LATE):
        importlib.import_module(name)
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()


def child(request: dict[str, Any]) -> int:
    """The exit code of the command, as its own process would have it."""
    os.setsid()
    for number, name in ((1, "out"), (2, "err")):
        stream = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stream, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    places = [place for place in os.environ.get("PYTHONPATH", "").split(os.pathsep) if place]
    sys.path[:0] = [place for place in places if place not in sys.path]
    sys.argv = ["codex-ml", *request["argv"]]
    from codex_ml.cli import entry

    try:
        entry.entry_point()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    return 0


def _saved() -> None:
    """What coverage measured in this child; it leaves without the hooks of an interpreter's end."""
    measured = sys.modules.get("coverage")
    current = measured.Coverage.current() if measured is not None else None
    if current is not None:
        current.stop()
        current.save()


def answer(request: dict[str, Any]) -> dict[str, Any]:
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = child(request)
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            _saved()
        finally:
            os._exit(code)

    def late(*_: object) -> None:
        os.killpg(pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, late)
    signal.alarm(int(request["seconds"]))
    _, status = os.waitpid(pid, 0)
    signal.alarm(0)
    return {"code": os.waitstatus_to_exitcode(status)}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print when they are imported
    warm()
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    assert Path.cwd()
    main()
