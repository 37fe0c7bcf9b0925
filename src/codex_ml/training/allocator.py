"""Keep freed memory in the process, so that a step does not fault its buffers in again and again."""

from __future__ import annotations

import ctypes
import logging

log = logging.getLogger(__name__)
# Parameter numbers of mallopt(3) in glibc.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_TOP_PAD_BYTES = 64 << 20


def keep_freed_memory() -> bool:
    """Tell glibc to serve large blocks from its heap and never to give the heap back.

    By default every tensor of some megabytes is mapped anew and its pages zeroed by the kernel at
    each use: 8 to 14 % of a training step on two cores (docs/performance.md). Values do not change.
    False where the C library has no mallopt (musl, macOS); then nothing is changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, (1 << 31) - 1), (_TOP_PAD, _TOP_PAD_BYTES))
    accepted = all(bool(mallopt(number, value)) for number, value in settings)
    log.info("freed memory stays in the process: %s", accepted)
    return accepted
