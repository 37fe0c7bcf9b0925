"""Python's own output in its odder shapes; most of it is in the labelled set."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from codex_ml.digest.analyse import digest_log
from codex_ml.digest.failures import Failure


def first(text: str) -> Failure:
    found = digest_log(io.BytesIO(text.encode())).failure
    assert found is not None
    return found


HEAD = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\n'


TORCH = 'RuntimeError: Error(s) in loading state_dict for Net:\n\tMissing key(s): "a".'
CUDA = (
    "RuntimeError: CUDA error: device-side assert triggered\n"
    "CUDA kernel errors might be asynchronously reported at some other API call.\n"
    "For debugging consider passing CUDA_LAUNCH_BLOCKING=1"
)
PYDANTIC = (
    "pydantic_core.ValidationError: 2 validation errors for Config\nlr\n  Not a number\nsteps\n  Required"
)


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        (TORCH, TORCH),
        (PYDANTIC, PYDANTIC),
        ("KeyboardInterrupt", "KeyboardInterrupt"),
        ("app.errors.Odd<T>: x: y", "app.errors.Odd<T>: x: y"),
        (CUDA, CUDA),
        ("ValueError: a\nb\n\nc", "ValueError: a\nb"),
        ("ValueError: a" + "\nb" * 20, "ValueError: a" + "\nb" * 7),
        *(
            (f"CalledProcessError: Command 'x' died.\n{line}", "CalledProcessError: Command 'x' died.")
            for line in (
                *("make: *** [Makefile:1: a] Error 1", "ERROR: exit code 2", "2026-01-01 10:00:00 epoch 3"),
                *("INFO done", "12:01:02 INFO done", "nox > Session a failed.", "+ pytest -q", "pytest -q"),
                *(
                    "=== 1 failed in 0.1s ===",
                    "##[endgroup]",
                    "[INFO] x",
                    "12%|█| 3/25",
                    "tests/a.py::t PASSED",
                ),
                *("bash: x: command not found", "Killed", "Process completed with exit code 1."),
            )
        ),
    ],
)
def test_a_message_is_kept_as_far_as_it_goes(message: str, wanted: str) -> None:
    assert first(f"{HEAD}{message}\n").root.text == wanted


def test_the_place_is_in_the_own_code_rather_than_in_a_library() -> None:
    text = (
        'Traceback (most recent call last):\n  File "/app/main.py", line 3, in <module>\n    load()\n'
        '  File "/v/lib/python3.12/site-packages/torch/serialization.py", line 9, in load\n    raise\n'
        "RuntimeError: no file\n"
    )
    assert first(text).root.place == "/app/main.py:3"


def test_a_recursion_is_read_to_its_end() -> None:
    frames = '  File "a.py", line 2, in f\n    f()\n' * 3000
    repeated = "  [Previous line repeated 970 more times]\n"
    text = f"Traceback (most recent call last):\n{frames}{repeated}RecursionError: deep\n"
    assert first(text).root.text == "RecursionError: deep"


def test_a_prefix_that_every_line_has_is_no_part_of_the_traceback() -> None:
    text = "".join(f"app[7]: {line}\n" for line in (HEAD + "ValueError: bad").splitlines())
    assert first(text + "app[7]: done\n").root.text == "ValueError: bad"


def test_two_writers_that_interleave_are_told_apart() -> None:
    lines = (HEAD + "ValueError: bad").splitlines()
    text = "".join(f"web_1 | {line}\nweb_2 | {line.replace('bad', 'worse')}\n" for line in lines)
    found = digest_log(io.BytesIO(text.encode()))
    assert [block.failure.root.text for block in found.blocks] == ["ValueError: bad", "ValueError: worse"]


PROGRAM = """
import asyncio

async def one():
    try:
        {}["a"]
    except KeyError as error:
        raise ValueError("inner") from error

async def two():
    raise OSError("other")

async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(one())
        group.create_task(two())

try:
    asyncio.run(main())
except BaseException as error:
    raise SystemError("outer") from error
"""


def test_a_real_group_within_a_chain_ends_at_its_innermost_cause(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(PROGRAM)
    done = subprocess.run([sys.executable, "p.py"], cwd=tmp_path, capture_output=True, text=True)
    found = first(done.stderr)
    texts = [cause.text for cause in found.causes]
    assert texts[0] == "KeyError: 'a'"
    assert texts[1] == "ValueError: inner"
    assert texts[-1] == "SystemError: outer"
    assert "OSError: other" in texts


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("WARNING could not reach the mirror", ""),
        ("2025-01-01 10:00:00,123 INFO fetch: first try", ""),
        ("", "retrying in 3 s"),
        ("attempt 1 of 3 failed", ""),
        ("", "Falling back to the CPU"),
    ],
)
def test_a_traceback_that_was_handled_is_no_failure(before: str, after: str) -> None:
    text = f"{before}\n{HEAD}ValueError: bad\n{after}\nand on\n"
    found = digest_log(io.BytesIO(text.encode()))
    assert found.failure is None
    assert found.handled == 1
