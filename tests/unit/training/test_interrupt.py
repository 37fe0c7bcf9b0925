from __future__ import annotations

import os
import signal
import sys

import pytest

from codex_ml.training.interrupt import received

pytestmark = pytest.mark.needs("train")
STOPS = (signal.SIGTERM, signal.SIGINT)
ALL = (*STOPS, signal.SIGUSR1)


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_is_a_flag_and_the_first_one_is_remembered(number: signal.Signals) -> None:
    with received() as signals:
        assert (signals.stop, signals.save) == (None, False)
        os.kill(os.getpid(), number)
        assert (signals.stop, signals.save) == (number.name, False)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.stop == number.name


def test_sigusr1_asks_for_a_save_as_often_as_it_comes_and_stops_nothing() -> None:
    with received() as signals:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGUSR1)
            assert (signals.stop, signals.save) == (None, True)
            signals.save = False


def test_signals_of_one_block_are_not_those_of_the_next() -> None:
    with received() as first:
        os.kill(os.getpid(), signal.SIGTERM)
    with received() as second:
        assert (second.stop, second.save) == (None, False)
    assert first.stop == "SIGTERM"


PROGRAM = """
import os, signal, sys
from codex_ml.training.interrupt import received
with received() as signals:
    os.kill(os.getpid(), getattr(signal, sys.argv[1]))
    print(signals.stop, flush=True)
    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
    print("still here", flush=True)
"""


def test_a_second_interrupt_leaves_at_once_in_one_line(run) -> None:
    done = run(sys.executable, "-c", PROGRAM, "SIGINT", "SIGINT")
    assert (done.code, done.out) == (75, "SIGINT\n")
    assert done.err.splitlines() == [
        "error: interrupted twice; what was saved before is untouched [interrupted]"
    ]


def test_one_interrupt_after_a_polite_request_is_still_the_first(run) -> None:
    done = run(sys.executable, "-c", PROGRAM, "SIGTERM", "SIGINT")
    assert (done.code, done.out) == (0, "SIGTERM\nstill here\n")


@pytest.mark.parametrize("second", ["SIGTERM", "SIGUSR1"])
def test_nothing_else_leaves_at_once(second: str, run) -> None:
    done = run(sys.executable, "-c", PROGRAM, "SIGINT", second)
    assert (done.code, done.out) == (0, "SIGINT\nstill here\n")


@pytest.mark.parametrize("fails", [False, True])
def test_the_old_handlers_are_put_back(fails: bool) -> None:
    def mine(number: int, frame: object) -> None: ...

    before = {number: signal.getsignal(number) for number in ALL}
    previous = signal.signal(signal.SIGTERM, mine)
    try:
        try:
            with received():
                assert all(signal.getsignal(number) not in (mine, before[number]) for number in ALL)
                if fails:
                    raise ValueError
        except ValueError:
            assert fails
        assert signal.getsignal(signal.SIGTERM) is mine
        assert all(signal.getsignal(number) is before[number] for number in (signal.SIGINT, signal.SIGUSR1))
    finally:
        signal.signal(signal.SIGTERM, previous)
