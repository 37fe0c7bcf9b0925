"""Every command in README and docs is run, and ends with the exit code that the text says."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.needs("train", "report")
ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(?:console|bash|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: Commands that train for minutes, or read folders of the reader's: `config validate` checks their words.
_LONG = {("pipeline", "run"), ("pipeline", "plan"), ("train",)}


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in block.splitlines():
                text = line.removeprefix("$ ").strip()
                if text and (line.startswith("$ ") or not block.lstrip().startswith("$")) and text[0] != "#":
                    yield page.name, text


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_the_command_in_the_docs_runs(page: str, line: str, trained: Path, cli) -> None:
    text, _, comment = line.partition("  # ")
    wanted = int(match[1]) if (match := re.search(r"exit (\d+)", comment)) else 0
    for part in re.split(r"\s+&&\s+", text):
        _run_part(part, wanted, trained, cli)


def _run_part(text: str, wanted: int, trained: Path, cli) -> None:
    words = shlex.split(text)
    env = {"USER": "someone"}
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        name, _, value = words.pop(0).partition("=")
        env[name] = value
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in words[1:] if "=" not in word} <= set(targets), text
        return
    if words[0] in ("git", "cd"):
        return
    words = words[3:] if words[:3] == ["python", "-m", "codex_ml"] else words
    if words[0] != "codex-ml" and not text.startswith("python -m codex_ml"):
        _run_tool(words)
        return
    words = [word for word in words if word != "codex-ml"]
    for long in _LONG:
        if tuple(words[: len(long)]) == long and wanted == 0:
            overrides = [word for word in words[len(long) :] if "=" in word and not word.startswith("--")]
            words = ["config", "validate", *overrides]
    if words[0] == "sweep":
        words.append("--dry-run")  # its trials are ordinary runs, which other tests make
    if "SmolLM2" in text:
        _bring_in(trained)
    done = cli(
        trained,
        *(word.replace("SmolLM2", _BASE).replace("examples/", f"{ROOT}/examples/") for word in words),
        env=env,
    )
    assert done.code == wanted, done.err


#: A tiny random model stands for the one that the pages speak of; commands run beside the workspace.
_BASE = "Tiny"


@functools.cache
def _bring_in(trained: Path) -> None:
    """What the pages take as given: a pretrained model in both formats, and samples."""
    import runpy

    from codex_ml.modeling.export_gguf import export_gguf
    from tiny_models import build, write_tokenizer

    base = trained.parent / _BASE
    build("llama", max_position_embeddings=1024).save_pretrained(str(base))
    write_tokenizer(base)
    export_gguf(base, trained.parent / f"{_BASE}.gguf")
    tool = runpy.run_path(str(ROOT / "tools" / "stdlib_functions.py"))
    tool["write"](trained.parent / "functions.jsonl", limit=60, most_characters=300)


def _run_tool(words: list[str]) -> None:
    """A tool of the environment: it must at least be there."""
    import sys

    if words[0] in ("python", "python3"):
        assert (ROOT / words[1]).is_file() or words[1] == "-m", words
        return
    assert (Path(sys.executable).parent / words[0].removeprefix(".venv/bin/")).exists(), words


def test_the_table_of_keys_is_that_of_the_schema() -> None:
    import runpy

    page = ROOT / "docs" / "configuration.md"
    tool = runpy.run_path(str(ROOT / "tools" / "write_keys.py"))
    text = page.read_text(encoding="utf-8")
    assert tool["rewritten"](text) == text


_PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name == "docs"], ids=lambda p: p.name)
def test_the_python_in_the_docs_runs_on_a_real_run(page: Path, trained: Path, run) -> None:
    import sys

    for block in _PYTHON.findall(page.read_text(encoding="utf-8")):
        program = (
            block.replace("runs/demo", "runs/tiny") + "\nassert len(loss) > 0 and len(same) == len(rows)\n"
        )
        done = run(sys.executable, "-c", program, cwd=trained)
        assert done.code == 0, done.err
