"""Which of the processes that torchrun started this one is. No torch."""

from __future__ import annotations

import os


def worker_rank() -> int:
    """0 for a process on its own."""
    return int(os.environ.get("RANK", "0")) if worker_count() > 1 else 0


def worker_count() -> int:
    """1 for a process on its own."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """The number of this process on its machine, which chooses its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0")) if worker_count() > 1 else 0


def local_count() -> int:
    """How many workers share this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if worker_count() > 1 else 1


def is_main() -> bool:
    """Whether this process writes the run's files and speaks."""
    return worker_rank() == 0
