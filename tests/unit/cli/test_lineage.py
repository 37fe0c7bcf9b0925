"""The table of what became of a document."""

from __future__ import annotations

from codex_ml.cli.lineage import _table
from codex_ml.pipeline.inheritance import Sighting


def test_columns_hold_beside_the_long_name_of_an_archived_run() -> None:
    names = ("tiny", "tiny.archived-20261126-021514-0a1b")
    lines = _table([Sighting(name, "unseen", "json/decoder.py", "ab" * 32) for name in names])
    assert len({line.index("unseen") for line in lines}) == 1
    assert [line.split()[:2] for line in lines] == [[name, "unseen"] for name in names]
