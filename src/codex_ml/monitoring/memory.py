"""The memory of this process, now and at its highest."""

from __future__ import annotations

import resource
import sys

import psutil


def process_memory() -> int:
    """Resident bytes of this process at this moment, its children left out."""
    return int(psutil.Process().memory_info().rss)


def peak_memory() -> int:
    """The most resident bytes that this process has had so far."""
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024  # Linux counts in KiB
