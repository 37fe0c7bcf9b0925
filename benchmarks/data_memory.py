"""Peak memory of preparing one gigabyte of text, from one compressed JSONL file to packed tokens.

python -m benchmarks.data_memory [MEGABYTES]
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.data_config import TOKENIZER, data_config


def write_corpus(path: Path, *, megabytes: int) -> int:
    """The standard library again and again, each copy of a file with a first line of its own."""
    import sysconfig

    import zstandard

    files = sorted(Path(sysconfig.get_path("stdlib")).glob("**/*.py"))
    files = [file for file in files if "site-packages" not in file.parts]
    written = copy = 0
    with zstandard.open(path, "wt", encoding="utf-8") as stream:
        while written < megabytes * 1_000_000:
            for file in files:
                text = f"# copy {copy}\n{file.read_text(encoding='utf-8', errors='replace')}"
                written += len(text.encode("utf-8"))
                stream.write(json.dumps({"text": text}) + "\n")
                if written >= megabytes * 1_000_000:
                    break
            copy += 1
    return written


def child(path: Path, home: Path) -> None:
    from codex_ml.core.paths import Home
    from codex_ml.data.prepare import prepare_dataset

    started = time.perf_counter()
    dataset = prepare_dataset(
        data_config("jsonl", path=path), tokenizer_cfg=TOKENIZER, context=512, home=Home(home)
    )
    splits = dataset.manifest["splits"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    size = sum(row["bytes"] for row in splits.values())
    print(json.dumps({"bytes": size, "peak_rss": peak, "seconds": time.perf_counter() - started}))


def measure(megabytes: int = 1000) -> dict[str, float]:
    work = Path(tempfile.mkdtemp(prefix="data-memory-"))
    try:
        path = work / "corpus.jsonl.zst"
        write_corpus(path, megabytes=megabytes)
        command = [sys.executable, "-m", "benchmarks.data_memory", "--child", str(path), str(work)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return result
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main(argv: Sequence[str] = ()) -> None:
    if argv[:1] == ["--child"]:
        child(Path(argv[1]), Path(argv[2]))
        return
    result = measure(int(argv[0]) if argv else 1000)
    print(f"text          {result['bytes'] / 1e6:,.0f} MB")
    print(f"peak memory   {result['peak_rss'] / 1e6:,.0f} MB")
    print(f"time          {result['seconds']:,.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
