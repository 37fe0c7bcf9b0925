"""The workers of one run: who am I, how gradients are summed, how all agree.

Values travel as tensors and as JSON, never pickled. Sum: recursive doubling, so that the order of
additions is one fixed binary tree for every number of workers (Rabenseifner, 2004; the idea of
accuracy-consistent elastic training: Li et al., "EasyScale", 2023).
"""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from codex_ml.core.workers import worker_count, worker_rank
from codex_ml.errors import TrainingError

_TIMEOUT = timedelta(minutes=30)


@dataclass(frozen=True)
class World:
    """One process among *size*; rank 0 alone writes the run's files."""

    rank: int
    size: int

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """Whether the flag is up on any worker; every worker must ask."""
        if self.size == 1:
            return flag
        seen = torch.tensor([int(flag)], dtype=torch.int32)
        with _collective():
            dist.all_reduce(seen, op=dist.ReduceOp.MAX)
        return bool(seen.item())

    def gather(self, values: Sequence[float]) -> list[float]:
        """Equally long lists of float64 of all workers, in the order of ranks."""
        if self.size == 1:
            return list(values)
        mine = torch.tensor(values, dtype=torch.float64)
        parts = [torch.empty_like(mine) for _ in range(self.size)]
        with _collective():
            dist.all_gather(parts, mine)
        return [float(value) for part in parts for value in part]

    def share(self, value: Any) -> Any:
        """Rank 0's JSON value, on every worker."""
        if self.size == 1:
            return value
        data = torch.tensor(list(json.dumps(value).encode()) if self.is_main else [], dtype=torch.uint8)
        length = torch.tensor([data.numel()])
        with _collective():
            dist.broadcast(length, src=0)
            data = data if self.is_main else torch.empty(int(length.item()), dtype=torch.uint8)
            dist.broadcast(data, src=0)
        return json.loads(bytes(data.tolist()).decode())

    def tree_sum(self, flat: Tensor) -> Tensor:
        """The sum over all workers by recursive doubling; the same bits on each.

        Needs a power of two of workers. At each level the pair's sum is computed on both sides from
        the same two operands, and a float addition does not depend on their order.
        """
        distance = 1
        while distance < self.size:
            other = torch.empty_like(flat)
            partner = self.rank ^ distance
            with _collective():
                exchange = [dist.P2POp(dist.isend, flat, partner), dist.P2POp(dist.irecv, other, partner)]
                for work in dist.batch_isend_irecv(exchange):
                    work.wait()
            flat = flat + other
            distance *= 2
        return flat

    def fast_sum(self, flat: Tensor) -> Tensor:
        """The sum in whatever order the backend takes."""
        if self.size > 1:
            with _collective():
                dist.all_reduce(flat)
        return flat


ALONE = World(rank=0, size=1)


@contextmanager
def joined(*, device: torch.device, sharded: bool = False) -> Iterator[World]:
    """Join the workers that torchrun started; alone without them. Leaves the group at the end.

    *sharded*: FSDP2 wants a group even of one.
    """
    if worker_count() == 1:
        if sharded:
            dist.init_process_group(_backend(device), store=dist.HashStore(), rank=0, world_size=1)  # type: ignore[attr-defined]
        try:
            yield ALONE
        finally:
            if sharded:
                dist.destroy_process_group()
        return
    if _on_loopback(os.environ.get("MASTER_ADDR", "")):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with _collective():
        dist.init_process_group(_backend(device), timeout=_TIMEOUT)
    try:
        yield World(rank=worker_rank(), size=worker_count())
    finally:
        dist.destroy_process_group()


def _backend(device: torch.device) -> str:
    return "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"


def _on_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


@contextmanager
def _collective() -> Iterator[None]:
    """A worker that has gone shows as an error of the backend; say so."""
    try:
        yield
    except (dist.DistError, RuntimeError) as error:
        raise TrainingError(
            f"worker {worker_rank()} lost the others",
            code="train.workers",
            got=" ".join(str(error).split())[:200],
            next_step="the first error of another worker says why; run the same command again to go on",
        ) from error
