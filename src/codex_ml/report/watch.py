"""A live page of runs, served to this machine alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from codex_ml.core.paths import Home
from codex_ml.errors import CodexError, UsageError
from codex_ml.provenance.index import list_summaries
from codex_ml.provenance.run_directory import RunDirectory
from codex_ml.report.facts import Series, read_facts
from codex_ml.report.smooth import thinned

PAGE = Path(__file__).parent / "templates" / "watch.html"
_HOST = "127.0.0.1"
#: What the page draws: split and metric.
_SHOWN = (
    ("train", "loss"),
    ("validation", "loss"),
    ("train", "tokens_per_second"),
    ("train", "lr"),
    ("train", "grad_norm"),
    ("train", "memory_bytes"),
)


class Watcher(ThreadingHTTPServer):
    """Listens on a loopback address; counts the *requests* that it answered."""

    daemon_threads = True

    def __init__(self, port: int, state: Callable[[], dict[str, Any]]) -> None:
        super().__init__((_HOST, port), _Handler)
        self.state, self.requests = state, 0
        self.port = int(self.server_address[1])
        self.address = f"http://{_HOST}:{self.port}/"
        self.names = {f"{host}:{self.port}" for host in (_HOST, "localhost")}

    def serve(self, *, seconds: float | None) -> None:
        """Answer for *seconds*; None: until KeyboardInterrupt, which is passed on."""
        timer = threading.Timer(seconds or 0.0, self.shutdown)
        timer.daemon = True
        if seconds is not None:
            timer.start()
        try:
            self.serve_forever(poll_interval=0.1)
        finally:
            timer.cancel()


def make_server(home: Home, runs: Sequence[Path], *, port: int) -> Watcher:
    """A server of the page of *runs*; without any, of those that are at work, else of the newest.

    A request that came under another host name than this machine's is refused, so that no page of the web can
    read this one. Raises UsageError when the port is taken.
    """
    try:
        return Watcher(port, partial(_state, home, runs))
    except OSError as error:
        raise UsageError(
            f"cannot listen on {_HOST}:{port}",
            code="runs.port",
            got=error.strerror,
            next_step="choose another --port, or --port 0 for any free one",
        ) from error


def _state(home: Home, runs: Sequence[Path]) -> dict[str, Any]:
    """What the page shows now."""
    rows = {row["run"]: row for row in list_summaries(home)}
    chosen = [RunDirectory(path) for path in runs] or [
        RunDirectory(home.runs / name) for name in _of_interest(rows)
    ]
    return {"runs": [_of_run(directory, rows.get(directory.name, {})) for directory in chosen]}


def _of_interest(rows: dict[str, dict[str, Any]]) -> list[str]:
    running = [name for name, row in rows.items() if row["state"] == "running"]
    newest = sorted(rows, key=lambda name: rows[name]["created"] or 0.0)[-1:]
    return running or newest


def _of_run(directory: RunDirectory, row: dict[str, Any]) -> dict[str, Any]:
    try:
        facts = read_facts(directory)
    except (CodexError, OSError) as error:
        return {"run": directory.name, "state": "damaged", "fault": str(error), "curves": {}}
    curves = {f"{split}/{metric}": _points(facts.curve(split, metric)) for split, metric in _SHOWN}
    return {
        "run": directory.name,
        "state": "running" if directory.busy() else row.get("state", "unfinished"),
        "steps": facts.record["config"]["train"]["steps"],
        "grade": facts.record["resolved"].get("grade"),
        "written": facts.last_written,
        "curves": {name: points for name, points in curves.items() if points},
    }


def _points(curve: Series) -> list[tuple[int, float | None]]:
    """Step and value; None for a value that JSON does not have."""
    return [(step, value if abs(value) < float("inf") else None) for step, value in thinned(curve).pairs()]


class _Handler(BaseHTTPRequestHandler):
    server: Watcher

    def do_GET(self) -> None:
        self.server.requests += 1
        if self.headers.get("Host") not in self.server.names:
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", b"this page is for this machine alone\n")
            return
        path = urlsplit(self.path).path
        if path == "/":
            self._answer(HTTPStatus.OK, "text/html; charset=utf-8", PAGE.read_bytes())
        elif path == "/state.json":
            body = json.dumps(self.server.state(), allow_nan=False).encode()
            self._answer(HTTPStatus.OK, "application/json", body)
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"there is no such page\n")

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of the library
        """A line for each request would bury the terminal."""
