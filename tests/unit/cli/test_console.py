from __future__ import annotations

import io
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.cli import console
from codex_ml.cli.console import BarReporter, PlainReporter, close_bars, duration, make_reporter, train_text
from codex_ml.interfaces.reporter import Silent, TrainLine


def line(step: int, steps: int = 100) -> TrainLine:
    return TrainLine(step, steps, 1.23456, 3e-4, 12_345.6, 75.4, 9.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """A clock that goes on only when told."""

    class Clock:
        now = 1000.0

        def monotonic(self) -> float:
            return self.now

    made = Clock()
    monkeypatch.setattr(console, "time", made)
    return made


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (0.4, "0s"),
        (59.4, "59s"),
        (59.6, "1m00s"),
        (75, "1m15s"),
        (3599.6, "1h00m"),
        (3600, "1h00m"),
        (86_400 + 300, "24h05m"),
    ],
)
def test_a_duration_is_short_and_rounded_once(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(0, 1e7))
def test_a_duration_never_shows_sixty_of_anything(seconds: float) -> None:
    assert "60" not in duration(seconds).replace("h", " ").replace("m", " ").replace("s", " ").split()[1:]


def test_a_line_of_training_says_what_a_person_waits_for() -> None:
    assert train_text(line(10)) == (
        "step 10/100  loss 1.2346  lr 3.00e-04  12,346 tokens/s  ETA 1m15s  lost if killed now: 9s"
    )


def test_plain_lines_of_training_come_every_few_seconds_and_at_the_end(clock, capsys) -> None:
    reporter = PlainReporter()
    for step in range(1, 101):
        clock.now += 1
        reporter.train(line(step))
    told = [int(text.split()[1].split("/")[0]) for text in capsys.readouterr().err.splitlines()]
    assert told == [*range(6, 100, 5), 100]


def test_plain_progress_is_throttled_for_each_kind_of_work_and_shows_rate_and_end(clock, capsys) -> None:
    reporter = PlainReporter()
    for done in range(1, 21):
        clock.now += 1
        reporter.progress(done * 100, 2000, "files")
        reporter.progress(done, None, "rows")
    lines = capsys.readouterr().err.splitlines()
    files = [text for text in lines if text.startswith("files")]
    rows = [text for text in lines if text.startswith("rows")]
    assert len(files) == len(rows) == 3
    assert files[0] == "files: 600 of 2,000  120/s  ETA 12s"
    assert rows[0] == "rows: 6  1/s"
    assert all("\r" not in text and "\x1b" not in text for text in lines)


def test_work_that_is_done_at_once_says_nothing(clock, capsys) -> None:
    reporter = PlainReporter()
    for done in range(10):
        reporter.progress(done + 1, 10, "files")
    clock.now += 100
    reporter.progress(10, 10, "files")
    assert capsys.readouterr().err == ""


def test_the_voice_fits_the_wish_and_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_reporter(quiet=True), Silent)
    assert isinstance(make_reporter(quiet=False), PlainReporter)
    monkeypatch.setattr(sys, "stderr", _Terminal())
    try:
        assert isinstance(make_reporter(quiet=False), BarReporter)
    finally:
        close_bars()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_silence_takes_every_call_and_says_nothing(capsys) -> None:
    silent = Silent()
    silent.say("x")
    silent.train(line(1))
    silent.progress(1, 2, "x")
    assert capsys.readouterr() == ("", "")


def test_bars_show_work_with_its_end_on_a_real_terminal_and_leave_it_clean() -> None:
    import pty

    leader, follower = pty.openpty()
    program = (
        "from codex_ml.cli.console import make_reporter, close_bars\n"
        "from codex_ml.interfaces.reporter import TrainLine\n"
        "r = make_reporter(quiet=False)\n"
        "for n in range(1, 5):\n"
        "    r.progress(n, 4, 'files read')\n"
        "    r.train(TrainLine(n, 9, 1.5, 1e-3, 10.0, 3.0, 1.0))\n"
        "r.say('[not markup] done'); close_bars(); close_bars()\n"
    )
    import subprocess

    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen([sys.executable, "-c", program], stderr=follower, env=env) as process:
        os.close(follower)
        chunks = []
        while True:
            try:
                chunk = os.read(leader, 65536)
            except OSError:  # Linux: the other end is closed
                break
            if not chunk:
                break
            chunks.append(chunk)
    os.close(leader)
    text = b"".join(chunks).decode()
    assert process.returncode == 0
    assert "files read" in text and "ETA" in text
    assert "step 1/9  loss 1.5000" in text
    assert "[not markup] done" in text
    assert text.rstrip("\r\n").endswith(("\x1b[?25h", "\x1b[2K", "done")) or "\x1b[?25h" in text
