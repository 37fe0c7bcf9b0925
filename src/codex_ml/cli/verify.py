"""`codex-ml verify`: recompute every hash of a run."""

from __future__ import annotations

import click

from codex_ml.cli.common import Invocation, common_options


@click.command("verify")
@common_options
@click.argument("run")
def command(invocation: Invocation, run: str) -> int:
    """Recompute every hash of RUN, and exit 3 if one differs.

    Data, tokenizer, journal, checkpoints, files, export. Needs no network and no torch.
    """
    from codex_ml.pipeline.verify import verify_run
    from codex_ml.provenance.run_directory import find_run

    directory = find_run(invocation.home.runs, run)
    checks = verify_run(directory, home=invocation.home)
    bad = [check for check in checks if check.fault]
    lines = []
    for check in checks:
        state = "BAD" if check.fault else "--" if check.note else "ok"
        lines.append(f"  {state:<4}{check.what:<44}{check.fault or check.note or ''}".rstrip())
    lines.append(f"{len(bad)} of {len(checks)} are bad" if bad else f"all {len(checks)} are good")
    record = {"run": directory.name, "ok": not bad, "checks": [check.as_dict() for check in checks]}
    invocation.emit(record, "\n".join(lines))
    return 3 if bad else 0
