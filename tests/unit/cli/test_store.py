from __future__ import annotations

import json
from pathlib import Path

import pytest

from codex_ml.cli.entry import main
from codex_ml.core.publish import staged

DIGEST = "3f" * 32
NAMES = {
    DIGEST: "no run",
    f"{DIGEST}.damaged-11111111": "damaged, set aside",
    f"{DIGEST}.damaged-22222222": "damaged, set aside",
    f".tmp-{DIGEST}-33333333": "unfinished build",
}


@pytest.fixture
def store(workspace: Path) -> Path:
    """A store with one entry, two damaged ones that it replaced, and a build that was killed."""
    folder = workspace / ".codex" / "store" / "datasets"
    for size, name in enumerate(NAMES, 5):
        with staged(folder / name, meta={}) as stage:
            (stage / "data").write_bytes(b"x" * size)
    return folder


def test_damaged_entries_are_told_apart_from_the_good_one_and_marked(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "ls"]) == 0
    lines = capsys.readouterr().out.splitlines()
    shown = {line.split()[1]: line for line in lines[1:-1]}
    assert set(shown) == {
        "3f" * 8,
        "3f3f3f3f3f3f….damaged-11111111",
        "3f3f3f3f3f3f….damaged-22222222",
        ".tmp-3f3f3f3f3f3f…-33333333",
    }
    for name, line in shown.items():
        wanted = next(state for full, state in NAMES.items() if full[-8:] == name[-8:])
        assert line.endswith(f" B  {wanted}")
    assert len({line.index(" B  ") for line in shown.values()} | {lines[-1].index(" B  ")}) == 1


def test_what_would_be_collected_is_listed_under_names_of_their_own(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "gc", "--dry-run", "--json"]) == 0
    told = capsys.readouterr()
    names = [line.split()[0] for line in told.err.splitlines() if line.startswith("datasets/")]
    assert len(set(names)) == len(NAMES)
    removed = json.loads(told.out)["removed"]
    assert {row["digest"] for row in removed} == set(NAMES)
    assert {Path(row["path"]) for row in removed} == set(store.iterdir())
