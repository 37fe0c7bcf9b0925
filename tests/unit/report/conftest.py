"""A small run, written by hand with the project's own writers, on a real tiny dataset."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from codex_ml.provenance.run_directory import RunDirectory

if TYPE_CHECKING:
    from codex_ml.data.prepare import DatasetRef

WEIGHTS = "ab" * 32
HOSTILE_GROUP = "<img src=x onerror=alert(1)>"
VOID = {"meta", "br", "img", "link", "input", "hr", "wbr"}


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    from codex_ml.core.paths import Home
    from codex_ml.data.prepare import prepare_dataset
    from corpora import code, data_config, tokenizer_config, write_packages

    root = tmp_path_factory.mktemp("report")
    source = write_packages(root / "source", packages=10)
    (source / HOSTILE_GROUP).mkdir()
    (source / HOSTILE_GROUP / "big.py").write_text(code(1, functions=60), encoding="utf-8")
    (source / "pkg00" / "copy.py").write_bytes((source / "pkg00" / "mod0.py").read_bytes())
    return prepare_dataset(
        data_config("files", source),
        tokenizer_cfg=tokenizer_config(),
        context=32,
        home=Home(root / "home"),
    )


@pytest.fixture
def run_directory(tmp_path: Path, dataset: DatasetRef) -> RunDirectory:
    """A finished run: config, metrics, an evaluation, samples, result."""
    directory = RunDirectory(tmp_path / "runs" / "small")
    record = open_record(directory, dataset=dataset)
    log_training(directory, run_id=record["run_id"], steps=range(10, 410, 10))
    write_evaluation(directory)
    write_samples(directory, [("def f(x):\n    ", "return x\n", True), ("class Sta", "ck(:\n  1\n", True)])
    finish(directory)
    return directory


def open_record(directory: RunDirectory, *, dataset: DatasetRef) -> dict[str, Any]:
    from codex_ml.config.compose import compose
    from codex_ml.provenance.opening import Asked, open_run

    asked = Asked(
        config=compose(["experiment=tiny"]).config,
        resolved={
            "device": "cpu",
            "dtype": "float32",
            "dtype_reason": "asked for",
            "grade": "bitwise",
            "lowered_by": [],
        },
        inputs={
            "dataset": dataset.digest,
            "tokenizer": dataset.tokenizer.digest,
            "vocab_size": 300,
            "code": "cd" * 32,
        },
        provenance={
            "environment": {
                "host": "host-1234",
                "python": {"version": "3.11.7", "implementation": "CPython"},
                "cpu": {"name": "A & B <processor>", "cores": 2, "isa": ["avx2", "f16c"]},
                "memory_bytes": 8_000_000_000,
                "packages": {"numpy": {"version": "2.4.6"}, "<script>alert(2)</script>": {"version": "1"}},
                "variables": {"recorded": {"OMP_NUM_THREADS": "1"}, "others": 3},
                "codex_ml": {"version": "0.1.0", "source_sha256": "cd" * 32},
            },
            "code": {"commit": "ef" * 20, "branch": "main", "dirty": True},
            "offline": {"allowed": False},
        },
    )
    return open_run(directory, asked, may_grow=lambda *_: False)


def log_training(
    directory: RunDirectory, *, run_id: str, steps: range, broken: dict[int, float] | None = None
) -> None:
    from codex_ml.metrics import MetricRecord, NDJSONMetricsWriter

    writer = NDJSONMetricsWriter(directory.metrics)
    for step in steps:
        values = {
            "loss": (broken or {}).get(step, 5 * math.exp(-step / 300)),
            "grad_norm": 1.0 + (step % 7) / 10,
            "lr": 0.003,
            "tokens_per_second": 20_000.0 + step,
            "memory_bytes": 5e8 + step,
        }
        for name, value in values.items():
            writer.write(MetricRecord(run_id, step, "train", "train", name, value, 1.7e9 + step))
        if step % 100 == 0:
            for name, value in (("loss", 4 - step / 200), ("perplexity", math.exp(4 - step / 200))):
                writer.write(MetricRecord(run_id, step, "validation", "train", name, value, 1.7e9 + step))
    writer.close()


def write_evaluation(
    directory: RunDirectory, *, step: int = 400, split: str = "validation", **more: float
) -> None:
    from codex_ml.core.publish import write_json

    values = {"loss": 2.5, "bits_per_byte": 1.5, "xz_bits_per_byte": 2.0, "parse_rate": 0.25, **more}
    rows = {
        name: {"value": value, "n": 1234, "ci_low": None, "ci_high": None} for name, value in values.items()
    }
    rows["loss"] |= {"ci_low": 2.4, "ci_high": 2.6}
    asked = {"split": split, "weights": WEIGHTS}
    write_json(directory.evaluations / f"step-{step:08d}-{split}.json", {"asked": asked, "metrics": rows})


def write_samples(
    directory: RunDirectory, rows: list[tuple[str, str, bool]], *, step: int = 400, weights: str = WEIGHTS
) -> None:
    samples = [{"prompt": prompt, "completion": text, "ended": ended} for prompt, text, ended in rows]
    directory.samples.mkdir(exist_ok=True)
    # ASCII, so that a test may write what UTF-8 cannot hold.
    text = json.dumps({"asked": {"weights": weights}, "samples": samples})
    (directory.samples / f"step-{step:08d}.json").write_text(text)


def finish(directory: RunDirectory, **metrics: float) -> None:
    from codex_ml.core.publish import write_json

    values = {
        "bits_per_byte": 1.5,
        "xz_bits_per_byte": 2.0,
        "gzip_bits_per_byte": 2.1,
        "loss": 2.5,
        "tokens_per_second": 20_200.0,
    }
    result = {
        "step": 400,
        "weights_sha256": WEIGHTS,
        "parameters": 106_816,
        "metrics": values | metrics,
        "seconds": {"prepare": 1.5, "train": 70.0, "evaluate": 2.0, "sample": 0.5},
    }
    write_json(directory.manifest, {**directory.read(), "result": result})


@dataclass
class Page(HTMLParser):
    """A page taken apart: its tags, their attributes, its text; nesting is checked on the way."""

    html: str
    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self.feed(self.html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> repeats an attribute"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.text += data

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] for _, attributes in self.tags if name in attributes]

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for found, attributes in self.tags if found == tag]


@pytest.fixture
def page(dataset: DatasetRef) -> Callable[[RunDirectory], Page]:
    """Write the report of a run and take it apart."""
    from codex_ml.report.page import write_report

    def call(directory: RunDirectory) -> Page:
        written = write_report(directory, dataset=dataset)
        assert written == directory.report
        return Page(written.read_text(encoding="utf-8"))

    return call


@pytest.fixture
def hand() -> Any:
    """The functions above that change a run."""

    class Hand:
        hostile_group = HOSTILE_GROUP
        open_record = staticmethod(open_record)
        log_training = staticmethod(log_training)
        write_evaluation = staticmethod(write_evaluation)
        write_samples = staticmethod(write_samples)
        finish = staticmethod(finish)

    return Hand
