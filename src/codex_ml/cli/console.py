"""How long work speaks on stderr: progress bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from codex_ml.interfaces.reporter import Reporter, Silent, TrainLine

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: Seconds between two plain progress lines of the same work.
_PLAIN_INTERVAL = 5.0


_open_bars: list[BarReporter] = []


def make_reporter(*, quiet: bool) -> Reporter:
    """Silence, bars or plain lines, as asked and as stderr is."""
    if quiet:
        return Silent()
    if not sys.stderr.isatty():
        return PlainReporter()
    _open_bars.append(BarReporter())
    return _open_bars[-1]


def close_bars() -> None:
    """Give the terminal back, so that what is printed next stands on its own line."""
    while _open_bars:
        _open_bars.pop().close()


def duration(seconds: float) -> str:
    """``75`` -> ``1m15s``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m"


def train_text(line: TrainLine) -> str:
    """One line of training for people."""
    return (
        f"step {line.step}/{line.steps}  loss {line.loss:.4f}  lr {line.lr:.2e}  "
        f"{line.tokens_per_second:,.0f} tokens/s  ETA {duration(line.eta_seconds)}  "
        f"lost if killed now: {duration(line.at_risk_seconds)}"
    )


class PlainReporter:
    """Lines without control characters, at most one in some seconds for each kind of work."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._started: dict[str, float] = {}

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def train(self, line: TrainLine) -> None:
        if line.step == line.steps or self._due("train"):
            self.say(train_text(line))

    def progress(self, done: int, total: int | None, what: str) -> None:
        self._started.setdefault(what, time.monotonic())
        finished = total is not None and done >= total
        if self._due(what) and not finished:
            self.say(self._text(done, total, what))

    def _text(self, done: int, total: int | None, what: str) -> str:
        passed = time.monotonic() - self._started[what]
        rate = done / passed if passed > 0 else 0.0
        if total is None:
            return f"{what}: {done:,}  {rate:,.0f}/s"
        eta = duration((total - done) / rate) if rate else "?"
        return f"{what}: {done:,} of {total:,}  {rate:,.0f}/s  ETA {eta}"

    def _due(self, what: str) -> bool:
        now = time.monotonic()
        if now - self._last.setdefault(what, now) < _PLAIN_INTERVAL:
            return False
        self._last[what] = now
        return True


class BarReporter:
    """Rich progress bars with rate and ETA; sentences scroll above them."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._last_line = 0.0

    def say(self, text: str) -> None:
        self._console.print(text, markup=False)

    def train(self, line: TrainLine) -> None:
        self._update(line.step, line.steps, "training", note=f"loss {line.loss:.4f}")
        now = time.monotonic()
        if line.step == line.steps or now - self._last_line >= _PLAIN_INTERVAL:
            self._last_line = now
            self.say(train_text(line))

    def progress(self, done: int, total: int | None, what: str) -> None:
        self._update(done, total, what)

    def close(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars, self._tasks = None, {}

    def _update(self, done: int, total: int | None, what: str, *, note: str = "") -> None:
        bars = self._start()
        if what not in self._tasks:
            self._tasks[what] = bars.add_task(what, total=total, note="", rate="")
        speed = bars.tasks[bars.task_ids.index(self._tasks[what])].speed
        rate = f"{speed:,.0f}/s" if speed else ""
        bars.update(self._tasks[what], completed=done, total=total, note=note, rate=rate)
        if total is not None and done >= total:
            bars.remove_task(self._tasks.pop(what))
            if not self._tasks:
                bars.stop()
                self._bars = None

    def _start(self) -> Progress:
        from rich import progress as rich_progress

        if self._bars is None:
            columns: tuple[Any, ...] = (
                rich_progress.TextColumn("{task.description}"),
                rich_progress.BarColumn(),
                rich_progress.MofNCompleteColumn(),
                rich_progress.TextColumn("{task.fields[rate]}"),
                rich_progress.TimeElapsedColumn(),
                rich_progress.TextColumn("ETA"),
                rich_progress.TimeRemainingColumn(),
                rich_progress.TextColumn("{task.fields[note]}"),
            )
            self._bars = rich_progress.Progress(*columns, console=self._console, transient=True)
            self._bars.start()
        return self._bars
