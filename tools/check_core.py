"""Walk every command of the installed program: none may end in a traceback, whatever is absent.

Run by `nox -s core` in an environment that holds the wheel and no extras.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import click

from codex_ml.cli.app import app


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every command that is no group."""
    if not isinstance(command, click.Group):
        yield path
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None, f"{' '.join((*path, name))} is listed and cannot be loaded"
        yield from leaves(child, (*path, name))


def complaint(argv: tuple[str, ...], allowed: set[int]) -> str | None:
    """Run one command in an empty workspace. Returns what is wrong with its end, or None."""
    with tempfile.TemporaryDirectory() as workspace:
        env = {**os.environ, "CODEX_HOME": workspace}
        command = [sys.executable, "-m", "codex_ml", *argv]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=env,
            cwd=workspace,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
    line = f"codex-ml {' '.join(argv)}: exit {done.returncode}"
    if "Traceback (most recent call last)" in done.stderr + done.stdout:
        return f"{line}, a traceback\n{done.stderr[-2000:]}"
    if done.returncode not in allowed:
        return f"{line}, allowed {sorted(allowed)}\n{done.stderr[-2000:]}"
    if argv[-1] != "--help" and done.returncode == 2 and not done.stderr.strip():
        return f"{line}, without a word on stderr"
    return None


#: Words for commands that would not end by themselves.
ENDING = {("runs", "watch"): ("--port", "0", "--seconds", "0.2")}


def main() -> int:
    commands = list(leaves(app))
    # Exit 1 is a report, not a crash: `doctor` names what the installation lacks.
    calls = [((*path, "--help"), {0}) for path in commands]
    calls += [
        ((*path, *ENDING.get(path, ())), {0, 1, 2} if path == ("doctor",) else {0, 2}) for path in commands
    ]
    with ThreadPoolExecutor(2) as pool:
        complaints = [text for text in pool.map(lambda call: complaint(*call), calls) if text]
    for text in complaints:
        print(text)
    print(f"{len(commands)} commands, {len(calls)} calls, {len(complaints)} complaints")
    return 1 if complaints or not commands else 0


if __name__ == "__main__":
    raise SystemExit(main())
