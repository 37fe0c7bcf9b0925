from __future__ import annotations

import os
import signal

import pytest

from codex_ml.training.interrupt import stop_requests

pytestmark = pytest.mark.needs("train")
BOTH = (signal.SIGTERM, signal.SIGINT)


@pytest.mark.parametrize("number", BOTH)
def test_a_signal_is_a_flag_and_nothing_else(number: signal.Signals) -> None:
    with stop_requests() as request:
        assert request.signal is None
        os.kill(os.getpid(), number)
        assert request.signal == number.name
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.signal == "SIGTERM"


def test_a_second_interrupt_leaves_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), stop_requests() as request:
        os.kill(os.getpid(), signal.SIGINT)
        assert request.signal == "SIGINT"
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("fails", [False, True])
def test_the_old_handlers_are_put_back(fails: bool) -> None:
    def mine(number: int, frame: object) -> None: ...

    before = {number: signal.getsignal(number) for number in BOTH}
    previous = signal.signal(signal.SIGTERM, mine)
    try:
        try:
            with stop_requests():
                assert signal.getsignal(signal.SIGTERM) is not mine
                if fails:
                    raise ValueError
        except ValueError:
            assert fails
        assert signal.getsignal(signal.SIGTERM) is mine
        assert signal.getsignal(signal.SIGINT) is before[signal.SIGINT]
    finally:
        signal.signal(signal.SIGTERM, previous)
