"""Bad input through the real command line: one line, a code, exit 2 or 1, and nothing trusted afterwards."""

from __future__ import annotations

import gzip
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from corpora import write_packages

pytestmark = pytest.mark.needs("train", "report")


def _jsonl(path: Path, *lines: str) -> str:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return str(path)


def _missing(_: Path) -> list[str]:
    return ["data.source=files", "data.path=/nowhere/at/all"]


def _empty(root: Path) -> list[str]:
    (root / "empty").mkdir()
    return ["data.source=files", f"data.path={root / 'empty'}"]


def _too_small(root: Path) -> list[str]:
    write_packages(root / "few", packages=8, modules=1)
    return [
        "data.source=files",
        f"data.path={root / 'few'}",
        "data.include=[]",
        "tokenizer.vocab_size=300",
        "train.batch_size=4096",
    ]


def _bad_utf8(root: Path) -> list[str]:
    write_packages(root / "odd", packages=8, modules=1)
    (root / "odd" / "pkg00" / "latin.py").write_bytes("name = 'größe'\n".encode("latin-1"))
    return ["data.source=files", f"data.path={root / 'odd'}", "data.include=[]"]


def _malformed(root: Path) -> list[str]:
    return [
        "data.source=jsonl",
        "data.path=" + _jsonl(root / "bad.jsonl", '{"text": "a"}', "{oops", '{"text": "b"}'),
    ]


def _no_field(root: Path) -> list[str]:
    return ["data.source=jsonl", "data.path=" + _jsonl(root / "field.jsonl", '{"body": "a"}')]


def _truncated(root: Path) -> list[str]:
    whole = gzip.compress(b"".join(b'{"text": "line %d"}\n' % n for n in range(5000)))
    (root / "cut.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    return ["data.source=jsonl", f"data.path={root / 'cut.jsonl.gz'}"]


def _no_column(root: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"content": ["a", "b"]}), root / "other.parquet")
    return ["data.source=parquet", f"data.path={root / 'other.parquet'}"]


def _other_vocabulary(root: Path) -> list[str]:
    from tokenizers import Tokenizer, models

    folder = root / "tokenizer"
    folder.mkdir()
    Tokenizer(models.BPE(vocab={"a": 0, "b": 1}, merges=[])).save(str(folder / "tokenizer.json"))
    return [f"tokenizer.path={folder}"]


CASES: dict[str, tuple[Callable[[Path], list[str]], str, str]] = {
    "missing path": (_missing, "data.path", "/nowhere/at/all"),
    "empty corpus": (_empty, "data.empty", "empty"),
    "smaller than one batch": (_too_small, "data.too-small", "4096"),
    "bad UTF-8": (_bad_utf8, "data.encoding", "latin.py"),
    "malformed JSONL": (_malformed, "data.jsonl", "bad.jsonl:2"),
    "missing field": (_no_field, "data.field", "text"),
    "truncated gz": (_truncated, "data.truncated", "cut.jsonl.gz"),
    "parquet without the column": (_no_column, "data.field", "text"),
    "tokenizer of another vocabulary": (_other_vocabulary, "tokenizer.vocab", "512"),
    "unknown registry name": (lambda _: ["tracking.sinks=[ndjosn]"], "registry.not-found", "ndjson"),
    "no permission": (lambda _: [], "storage.write", "/proc"),
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_bad_input_is_one_line_with_code_and_next_step(case: str, tmp_path: Path, cli) -> None:
    make, code, told = CASES[case]
    home = tmp_path / "home"
    home.mkdir()
    words = ["train", "experiment=tiny", *make(tmp_path), "--json"]
    env = {"CODEX_HOME": "/proc/nowhere"} if case == "no permission" else {}
    done = cli(home, *words, env=env)
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert done.code in (1, 2), done.err
    assert "Traceback" not in done.err
    assert len(errors) == 1
    assert done.json["error"]["code"] == code, done.err
    assert told in errors[0]
    assert not list(home.glob(".codex/store/*/.tmp-*"))
    assert not list(home.glob("runs/*/checkpoints/step-*"))


def test_a_full_disk_stops_cleanly_and_the_same_command_goes_on_once_there_is_space(
    tmp_path: Path, cli
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    words = ["train", "experiment=tiny", "train.steps=20", "checkpoint.every=10", "eval.every=10", "--json"]
    assert cli(home, "data", "prepare", "experiment=tiny").code == 0
    # No file may grow beyond this: the kernel's way to refuse a write, as a full disk does.
    limit = 300_000
    done = subprocess.run(
        [sys.executable, "-m", "codex_ml", *words],
        env={**_environment(), "CODEX_HOME": str(home)},
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["error"]["code"] == "storage.full"
    assert not list((home / "runs" / "tiny" / "checkpoints").glob("*step*"))
    again = cli(home, *words)
    assert again.code == 0, again.err
    assert again.json["step"] == 20


def _environment() -> dict[str, str]:
    """This environment without coverage, whose data file the limit would hit first."""
    import os

    return {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}


@pytest.mark.parametrize(
    ("text", "code", "shown"),
    [
        (
            "defaults:\n  - override /model: smal\n",
            "config.unknown-option",
            "mine.yaml:3. Next: did you mean 'small'?",
        ),
        ("name: mine\nseed: ???\n", "config.missing", "??? means a missing value; got"),
        ("model:\n  tie_embeddings: 1\n", "config.value", "mine.yaml:3; got 1; wanted true or false"),
    ],
)
def test_a_mistake_in_an_own_file_names_file_and_line(
    text: str, code: str, shown: str, tmp_path: Path, cli
) -> None:
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine.yaml").write_text("# @package _global_\n" + text)
    home = tmp_path / "home"
    home.mkdir()
    words = ["config", "validate", "--config-dir", str(tmp_path / "own"), "experiment=mine", "--json"]
    done = cli(home, *words)
    assert done.code == 2
    assert done.json["error"]["code"] == code
    assert shown in done.err and "mine.yaml:3" in done.err


def test_a_damaged_line_of_the_metrics_is_named_and_costs_no_weights(
    trained: Path, tmp_path: Path, cli
) -> None:
    home = tmp_path / "home"
    shutil.copytree(trained, home, symlinks=True)
    metrics = home / "runs" / "tiny" / "metrics.ndjson"
    lines = metrics.read_bytes().splitlines(keepends=True)
    metrics.write_bytes(b"".join([*lines[:3], lines[3][:20] + b"\n", *lines[4:]]))
    (home / "runs" / "tiny" / "report.html").unlink()
    damaged = cli(home, "pipeline", "run", "experiment=tiny", "--json")
    assert damaged.code == 3
    assert damaged.json["error"]["code"] == "metrics.line"
    assert f"{metrics}:4 is no record" in damaged.err
    metrics.write_bytes(b"".join([*lines[:3], *lines[4:]]))  # as the next step says
    assert cli(home, "pipeline", "run", "experiment=tiny").code == 0
    assert (home / "runs" / "tiny" / "report.html").is_file()
