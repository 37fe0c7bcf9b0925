"""SIGUSR1 outside training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def test_a_request_to_save_does_not_end_a_command_that_does_not_train(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "codex_ml", "config", "show"],
        env={**os.environ, "CODEX_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    status = Path(f"/proc/{process.pid}/status")
    ignored = 1 << (signal.SIGUSR1 - 1)
    while process.poll() is None and not _mask(status, "SigIgn") & ignored:
        time.sleep(0.001)
    for _ in range(5):
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.01)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


def _mask(status: Path, name: str) -> int:
    lines = [line for line in status.read_text().splitlines() if line.startswith(f"{name}:")]
    return int(lines[0].split()[1], 16)
