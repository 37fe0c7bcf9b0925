"""The labelled set: for each log of tests/fixtures/digest, what failed first and why, known beforehand."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from codex_ml.digest.analyse import Digest, digest_log

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "digest"
LABELS: dict[str, dict[str, Any]] = json.loads((FOLDER / "labels.json").read_text(encoding="utf-8"))


def digest(name: str) -> Digest:
    return digest_log(io.BytesIO((FOLDER / f"{name}.log").read_bytes()))


def test_every_log_has_a_label_and_there_are_enough() -> None:
    assert sorted(LABELS) == sorted(path.stem for path in FOLDER.glob("*.log"))
    assert len(LABELS) >= 20


@pytest.mark.parametrize("name", sorted(LABELS))
def test_the_first_failure_and_its_root_cause_are_those_of_the_label(name: str) -> None:
    label, found = LABELS[name], digest(name)
    assert found.kind == label["kind"]
    if label["failure"] is None:
        assert found.failure is None
        assert found.blocks == ()
        return
    assert found.failure is not None
    assert found.failure.kind == label["failure"]
    assert found.failure.line == label["line"]
    if "root" in label:
        assert found.failure.root.text == label["root"]
    assert label.get("root_contains", "") in found.failure.root.text
    for key in ("step", "subject", "command"):
        if key in label:
            assert getattr(found.failure, key) == label[key]
    if "place" in label:
        assert found.failure.root.place == label["place"]
    if "blocks" in label:
        assert len(found.blocks) == label["blocks"]
    assert label.get("note_contains", "") in " ".join(found.failure.notes)
    if "occurrences" in label:
        assert found.blocks[0].occurrences == label["occurrences"]
    texts = [cause.text for cause in found.failure.causes]
    at = 0
    for wanted in label.get("chain", []):  # in this order, after the root
        at = next(n for n in range(at + 1, len(texts)) if wanted in texts[n])
