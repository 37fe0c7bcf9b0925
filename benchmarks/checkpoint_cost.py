"""What safety costs: hashing, snapshot, a save beside training, elastic sums, resuming at a late step.

The 14 M-parameter Llama of `training_speed`, uncompiled, in one process; rounds are interleaved.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from codex_ml.checkpointing import CheckpointManager, Retention
from codex_ml.checkpointing.snapshot import SnapshotBuffers
from codex_ml.config.compose import compose
from codex_ml.data.order import batch_rows
from codex_ml.modeling.decoder import Decoder
from codex_ml.modeling.init import initialise
from codex_ml.objectives.lm import lm_loss
from codex_ml.training.compiled import training_loss
from codex_ml.training.distributed import ALONE
from codex_ml.training.journal import Journal
from codex_ml.training.loop import Method, Trainee, run_steps
from codex_ml.training.optim import Optimizers
from codex_ml.training.state import Progress
from codex_ml.training.step import MicroBatch, Order

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
_WORDS = ("train=adamw", "train.schedule.name=constant", "train.schedule.warmup_steps=0", "model.context=256")
_SHAPE = ("model.layers=6", "model.dim=384", "model.heads=6", "model.kv_heads=6", "model.ffn_dim=1024")
_VOCABULARY, _BATCH = 8192, 16


def trainee_of(steps: int) -> tuple[Trainee, Method]:
    """The benchmark's model at its first step."""
    config = compose([*_WORDS, *_SHAPE, f"train.steps={steps}"], environ={}).config
    dtype = torch.bfloat16 if torch.cpu.get_capabilities().get("avx512_bf16") else torch.float32
    model = Decoder(config.model, vocab_size=_VOCABULARY, compute_dtype=dtype)
    initialise(model, seed=0)
    loss = training_loss(model, lm_loss, compiled=False)
    trainee = Trainee(model, Optimizers(model, cfg=config.train), loss, Progress())
    return trainee, Method(config.train, seed=0, shards=1, order="sequence")


def batches(shards: int) -> Callable[[int], list[MicroBatch]]:
    """Random rows, the same at each step."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, _VOCABULARY, (_BATCH, 257), generator=generator)
    parts = [
        MicroBatch(part[:, :-1].contiguous(), part[:, 1:].contiguous(), part[:, 1:].numel(), number)
        for number, part in enumerate(tokens.chunk(shards))
    ]
    return lambda _step: parts


def seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def train(
    steps: int,
    *,
    order: Order = "sequence",
    shards: int = 1,
    manager: CheckpointManager | None = None,
    every: int = 0,
) -> float:
    """Seconds of *steps* steps after one for warming up, saves that were begun included."""
    trainee, method = trainee_of(steps + 1)
    method = dataclasses.replace(method, order=order, shards=shards)
    started = 0.0
    for info in run_steps(trainee, method=method, world=ALONE, batch_of=batches(shards), stop=lambda: False):
        if info.step == 1:
            started = time.perf_counter()
        if manager is not None and (
            info.step == 1 or (info.step % every == 0 and info.step <= steps - every)
        ):
            save(
                manager, trainee, info.step
            )  # the first one takes its buffers, and is over before the others
    elapsed = time.perf_counter() - started
    if manager is not None:
        manager.wait()
    return elapsed


def save(manager: CheckpointManager, trainee: Trainee, step: int) -> None:
    manager.save(
        step,
        model=trainee.model.state_dict(),
        optimizer=trainee.optimizers.tensors(),
        state=trainee.progress.as_dict(),
        metrics={},
    )


def manager_in(folder: str, *, background: bool) -> CheckpointManager:
    policy = Retention(keep_last=2, keep_best=0, keep_every=0, metric="loss", mode="min")
    return CheckpointManager(Path(folder), policy=policy, background=background)


def hashing() -> float:
    """Bytes a second of sha256 on one core."""
    data = os.urandom(1 << 28)
    return len(data) / min(seconds(lambda: hashlib.sha256(data)) for _ in range(3))


def snapshot() -> float:
    """Time of a snapshot over that of copying as many bytes in one piece."""
    trainee, method = trainee_of(1)
    list(run_steps(trainee, method=method, world=ALONE, batch_of=batches(1), stop=lambda: False))
    model, optimizer = trainee.model.state_dict(), trainee.optimizers.tensors()
    buffers = SnapshotBuffers()
    nbytes = buffers.take(model=model, optimizer=optimizer).nbytes
    source, target = torch.ones(nbytes // 4), torch.ones(nbytes // 4)
    ratios = []
    for _ in range(9):
        copy = seconds(lambda: target.copy_(source))
        ratios.append(seconds(lambda: buffers.take(model=model, optimizer=optimizer)) / copy)
    return statistics.median(ratios)


def stall(threads: int) -> tuple[float, float, int]:
    """Share of time that saves cost at an interval of ten save times; the save time; the interval.

    Four saves beside training in five intervals, each of which ends inside them.
    """
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        trainee, method = trainee_of(1)
        list(run_steps(trainee, method=method, world=ALONE, batch_of=batches(1), stop=lambda: False))
        alone = seconds(lambda: save(manager_in(folder, background=False), trainee, 1))
    step = train(4) / 4
    every = max(1, round(10 * alone / step))
    costs = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            plain = train(5 * every)
            saved = train(5 * every, manager=manager_in(folder, background=True), every=every)
        costs.append((saved / plain - 1) * 5 / 4)
    return statistics.median(costs), alone, every


def elastic() -> float:
    """Time of elastic steps over fast ones, one worker, eight shards, equal threads."""
    ratios = []
    for _ in range(ROUNDS):
        fast = train(8, order="any", shards=8)
        ratios.append(train(8, order="tree", shards=8) / fast)
    return statistics.median(ratios)


def late_resume(step: int) -> float:
    """Seconds to find journal and batch of a late step; what depends on the step at all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        journal = Journal(path, length=0, head="")
        for number in range(1, step + 1):
            journal.append(step=number, samples="0" * 64, loss=1.0, grad_norm=1.0, skipped=False)
        journal.close()
        return seconds(
            lambda: (
                Journal(path, length=journal.length, head=journal.head).close(),
                batch_rows(step, seed=0, rows=1000, batch_size=_BATCH),
            )
        )


def main(_argv: Sequence[str] = ()) -> None:
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    print(f"sha256, one core                                  {hashing() / 1e9:8.2f} GB/s")
    print(f"snapshot over copying the bytes                   {snapshot():8.2f} x")
    for threads in (1, 2):
        cost, alone, every = stall(threads)
        print(
            f"saves beside training on {threads} threads, every {every} steps  {cost:8.1%}   "
            f"(one save {alone:.2f} s)"
        )
    print(f"elastic over fast, one worker                     {elastic():8.2f} x")
    for step in (100, 1_000_000):
        print(f"journal and batch of step {step:<10,}              {late_resume(step) * 1e3:8.2f} ms")


if __name__ == "__main__":
    main()
