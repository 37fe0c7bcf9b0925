"""`codex-ml selftest --faults`: see on this machine that a run cannot be lost."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from codex_ml.cli.common import Invocation, common_options, need


@click.command("selftest")
@common_options
@click.option("--faults", is_flag=True, required=True, help="Kill, damage and starve a small run.")
@click.option("--quick", is_flag=True, help="Two faults only, in half a minute.")
@click.option("--seed", default=0, show_default=True, help="Where the random faults strike.")
def command(invocation: Invocation, faults: bool, quick: bool, seed: int) -> int:
    """Train a tiny model in a temporary folder, break it in many ways, and compare the bits.

    Takes about two minutes. Exit 1 when anything was lost. Your own runs are not touched.
    """
    assert faults
    need("train", "torch")
    from codex_ml.pipeline.selftest import run_faults

    reporter = invocation.reporter()
    with tempfile.TemporaryDirectory(prefix="codex-selftest-") as home:
        outcomes = list(run_faults(Path(home), seed=seed, quick=quick, reporter=reporter))
    lines = [f"{'fault':<42}{'':<6}{'seconds':>8}  what happened"]
    for outcome in outcomes:
        state = "ok" if outcome.ok else "LOST"
        lines.append(f"{outcome.fault:<42}{state:<6}{outcome.seconds:>8.1f}  {outcome.detail}")
    bad = sum(not outcome.ok for outcome in outcomes)
    lines.append(f"{bad} of {len(outcomes)} failed" if bad else f"all {len(outcomes)} came out right")
    invocation.emit({"ok": not bad, "faults": [outcome.as_dict() for outcome in outcomes]}, "\n".join(lines))
    return 1 if bad else 0
