"""main(argv) -> exit code: errors become one line and the contract's code."""

from __future__ import annotations

import io
import json
import logging
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import click

from codex_ml.cli.app import app
from codex_ml.cli.console import close_bars
from codex_ml.errors import CodexError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    0 done, 1 failed, 2 bad usage or config, 3 verification found a difference, 75 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a sign still works
    try:
        result = app.main(args=words, prog_name="codex-ml", standalone_mode=False)
    except click.ClickException as error:
        return _fail(_usage_line(error), code="usage", exit_code=2, words=words)
    except CodexError as error:
        return _fail(error.line(), code=error.code, exit_code=error.exit_code, words=words, error=error)
    except (KeyboardInterrupt, click.Abort):
        return _fail(
            "interrupted; run the same command again to go on", code="interrupted", exit_code=75, words=words
        )
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        from codex_ml.core.publish import storage_error

        if error.filename is None:
            return _fail(f"the system refused: {error}", code="storage.system", exit_code=1, words=words)
        wrapped = storage_error(error, Path(str(error.filename)))
        return _fail(wrapped.line(), code=wrapped.code, exit_code=1, words=words, error=wrapped)
    except Exception as error:
        logging.getLogger(__name__).debug("internal error", exc_info=True)
        from codex_ml.cli.faults import OWN, whose
        from codex_ml.digest.capture import capture_exception

        owner = whose(error)
        noted = capture_exception(error, step=shlex.join(["codex-ml", *words]))
        line = f"a fault of {owner}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        line += ". Next: run it again with CODEX_LOG=debug for the traceback, and report it"
        line += "" if owner == OWN else " to its authors"
        line += f" (codex-ml errors show {noted.fingerprint[:8]}) [internal]" if noted else " [internal]"
        return _fail(line, code="internal", exit_code=1, words=words)
    return result if isinstance(result, int) else 0


def entry_point() -> None:
    """The console script."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    # "Save and go on": outside training there is nothing to save, and it must not end the program.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    sys.exit(main())


def _leave(number: int, _frame: FrameType | None) -> None:
    """Leave at once: outside the training loop nothing is half-written that a later run would trust.

    No exception is raised, for it could arrive inside an import and be taken for a broken package.
    The training loop has handlers of its own.
    """
    name = signal.Signals(number).name
    line = f"error: interrupted by {name}; run the same command again to go on [interrupted]"
    os.write(2, f"{line}\n".encode())
    if "--json" in sys.argv:
        record = {"error": {"code": "interrupted", "what": line}, "exit_code": 75}
        os.write(1, f"{json.dumps(record)}\n".encode())
    os._exit(75)


def _usage_line(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "codex-ml"
    return f"{' '.join(error.format_message().split())} Next: see `{command} --help` [usage]"


def _fail(
    line: str, *, code: str, exit_code: int, words: Sequence[str], error: CodexError | None = None
) -> int:
    from codex_ml.core.redact import redact_text, redact_value

    close_bars()
    # A word of the command line or an address may hold a password, and an error is passed on.
    record = redact_value(error.record() if error else {"code": code, "what": line})
    line = redact_text(line)
    try:
        print(f"error: {line}", file=sys.stderr)
        if "--json" in words:
            print(json.dumps({"error": record, "exit_code": exit_code}), flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody can be told; the exit code still says it
    return exit_code
