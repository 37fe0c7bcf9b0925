"""TensorBoard: one event file for each opening, written with TensorBoard's own records."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codex_ml.core.optional import require
from codex_ml.interfaces.tracker import Status
from codex_ml.metrics import MetricRecord
from codex_ml.tracking.context import TrackerContext
from codex_ml.tracking.keys import curve_of

FOLDER = "tensorboard"


class _Stream:
    """An event file. What is written is held until `flush`; after `stop` nothing reaches the file."""

    def __init__(self, path: Path) -> None:
        self._file, self._held, self._stopped = path.open("xb", buffering=0), bytearray(), False

    def write(self, content: bytes) -> None:
        self._held += content

    def flush(self) -> None:
        while self._held and not self._stopped:
            del self._held[: self._file.write(self._held)]

    def sync(self) -> None:
        self.flush()
        os.fsync(self._file.fileno())

    def stop(self) -> None:
        """From any thread: another may be in the middle of a write, so that nothing is closed here."""
        self._stopped = True

    def close(self) -> None:
        self.flush()
        self._file.close()


class TensorBoardTracker:
    """The sink ``tensorboard``, in the run's folder of that name. Values are float32 there.

    A resumed run tells the reader to forget the steps that come again. The file's name holds no host
    name, which the package's own writer puts there.
    """

    requires = ("tensorboard.compat.proto.event_pb2", "tensorboard.summary.writer.record_writer")
    extra = "tracking"

    def __init__(self, context: TrackerContext) -> None:
        self._context = context
        self._writer: Any = None
        self._stream: _Stream | None = None
        self._over = False

    def write(self, records: Sequence[MetricRecord]) -> None:
        stream = self._stream or self._open()
        for row in records:
            value = {"tag": curve_of(row), "simple_value": row.value}
            self._add(wall_time=row.ts, step=row.step, summary={"value": [value]})
        stream.flush()

    def sync(self) -> None:
        if self._stream is not None:
            self._stream.sync()

    def close(self, status: Status, artifacts: Sequence[Path]) -> None:  # noqa: ARG002 - of the protocol
        if self._stream is not None:
            self._stream.close()

    def abandon(self) -> None:
        """Write nothing more into the run's directory."""
        self._over = True
        if self._stream is not None:
            self._stream.stop()

    def _open(self) -> _Stream:
        records = require("tensorboard.summary.writer.record_writer", extra=self.extra)
        self._proto = require("tensorboard.compat.proto.event_pb2", extra=self.extra)
        if self._over:
            raise RuntimeError("left behind before its file was opened")
        folder = self._context.run_directory / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        number, now = len(list(folder.iterdir())), time.time()  # files are read in the order of their names
        name = f"events.out.tfevents.{int(now):010d}.{number:05d}.codex-ml"
        self._stream = stream = _Stream(folder / name)
        self._writer = records.RecordWriter(stream)
        self._add(wall_time=now, file_version="brain.Event:2")
        if number:
            start = self._proto.SessionLog.START
            self._add(wall_time=now, step=self._context.resume_step + 1, session_log={"status": start})
        self._add(wall_time=now, step=0, summary={"value": [self._facts()]})
        return stream

    def _facts(self) -> dict[str, Any]:
        """Code, data and settings as a text, which the text page of TensorBoard shows."""
        told = {"tags": self._context.tags, "config": dict(self._context.params)}
        text = json.dumps(told, sort_keys=True, indent=1, ensure_ascii=False)
        return {
            "tag": "start/facts",
            "metadata": {"plugin_data": {"plugin_name": "text"}},
            "tensor": {"dtype": 7, "tensor_shape": {}, "string_val": [text.encode()]},  # 7: DT_STRING
        }

    def _add(self, **fields: Any) -> None:
        self._writer.write(self._proto.Event(**fields).SerializeToString())
