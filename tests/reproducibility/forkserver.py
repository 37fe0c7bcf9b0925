"""Imports torch and codex_ml once and forks a child per trial: ``python -m reproducibility.forkserver``.

One JSON request per line on stdin, one JSON answer per line on stdout. A child is the leader of its own
process group, trains as the command line does, and leaves with the exit code that the command would.
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
import torch._inductor  # what torch imports late, once, before the forks
import torch.distributed

from codex_ml.cli.entry import _leave
from codex_ml.config.compose import compose
from codex_ml.config.schema import RunConfig
from codex_ml.core.paths import Home
from codex_ml.errors import CodexError
from codex_ml.interfaces.reporter import Silent
from codex_ml.pipeline import train_stage
from codex_ml.pipeline.context import Request
from codex_ml.pipeline.runner import TRAIN_STAGES, run_codex_pipeline
from codex_ml.provenance.code import CodeState
from reproducibility import disk_faults, faults

FAULT_OF_THE_TEST = 70


@functools.lru_cache(maxsize=512)
def composed(words: tuple[str, ...]) -> RunConfig:
    return compose(list(words), environ={}).config


def warm() -> None:
    """Import what training imports late, start nothing."""
    import safetensors.torch  # noqa: F401

    import codex_ml.checkpointing.manager
    import codex_ml.evaluation.score
    import codex_ml.modeling.decoder
    import codex_ml.tokenization.bpe  # noqa: F401

    torch.set_num_threads(1)
    environment = train_stage.capture_env()
    train_stage.capture_env = lambda *_, **__: environment
    train_stage.capture_code = lambda *_, **__: CodeState({"commit": "0" * 40, "tags": [], "dirty": False})


@functools.cache
def warm_tuning() -> None:
    """Import what fine-tuning imports late; the first trial that fine-tunes asks for it."""
    import accelerate
    import peft
    from transformers import AutoTokenizer, GenerationConfig, Trainer  # noqa: F401

    import codex_ml.modeling.codex_model_loader
    import codex_ml.modeling.lora  # noqa: F401

    assert accelerate
    assert peft
    gc.collect()
    gc.freeze()


def train(request: dict[str, Any], config: RunConfig) -> dict[str, Any]:
    """One training call in this process."""
    resume = request.get("resume_from")
    asked = Request(
        config=dataclasses.replace(config, name=request["name"]),
        home=Home(Path(request["home"])),
        resume_from=Path(resume) if resume else None,
        accept=tuple(request.get("accept", ())),
    )
    work = run_codex_pipeline(asked, reporter=Silent(), stages=TRAIN_STAGES)
    assert work.outcome is not None
    return {
        "resumed_from": work.outcome.resumed_from,
        "finished": work.outcome.already_finished,
        "step": work.outcome.checkpoint.step,
    }


def child(request: dict[str, Any], config: RunConfig | CodexError, answer: int) -> int:
    """Everything between fork and exit; the outcome goes through a pipe, which no full disk stops."""
    os.setsid()
    os.environ.update(request.get("env", {}))
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    code, outcome = 0, {}
    try:
        for name, options in request.get("faults", {}).items():
            kind = name.partition("#")[0]  # "kill#then" is a second fault of one kind
            getattr(faults if hasattr(faults, kind) else disk_faults, kind)(**options)
        if isinstance(config, CodexError):
            raise config
        outcome = train(request, config)
    except CodexError as error:
        code, outcome = error.exit_code, {"error": error.record()}
    except OSError as error:  # as the command line has it
        code, outcome = 1, {"error": {"code": "storage", "what": str(error)}}
    except BaseException:  # noqa: BLE001 - it must reach the test, whatever it is
        code, outcome = FAULT_OF_THE_TEST, {"error": {"code": "crash", "what": traceback.format_exc()}}
    os.write(answer, json.dumps(outcome).encode()[:60000])
    return code


def start(request: dict[str, Any], pipes: dict[int, int]) -> dict[str, Any]:
    try:
        config: RunConfig | CodexError = composed(tuple(request["words"]))
    except CodexError as error:
        config = error
    if request.get("tuning"):
        warm_tuning()
    reading, answer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        code = FAULT_OF_THE_TEST
        try:
            code = child(request, config, answer)
        finally:
            os._exit(code)
    os.close(answer)
    pipes[pid] = reading
    return {"pid": pid}


def wait(pid: int, pipes: dict[int, int]) -> dict[str, Any]:
    """The exit code, negative for a signal as `subprocess` has it, and what the child said."""
    _, status = os.waitpid(pid, 0)
    with os.fdopen(pipes.pop(pid), "rb") as stream:
        text = stream.read()
    return {"code": os.waitstatus_to_exitcode(status), **json.loads(text or b"{}")}


def main() -> None:
    # Libraries print when they are imported: what they say must not stand between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warm()
    gc.collect()
    gc.freeze()
    pipes: dict[int, int] = {}
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        answer = wait(request["wait"], pipes) if "wait" in request else start(request, pipes)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
