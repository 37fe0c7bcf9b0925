from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.core.digest import canonical_json, digest_file, digest_json, digest_tree, merkle_root

VALUES = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=6)


@given(VALUES, st.randoms())
def test_the_order_of_keys_does_not_matter(value: dict[str, Any], rng: random.Random) -> None:
    items = list(value.items())
    rng.shuffle(items)
    assert canonical_json(dict(items)) == canonical_json(value)
    assert json.loads(canonical_json(value)) == value


@given(VALUES, VALUES)
def test_other_values_have_another_digest(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert (digest_json(one) == digest_json(two)) == (one == two)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_json_lacks_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"x": value})
    with pytest.raises(TypeError):
        canonical_json({"x": {1, 2}})


def test_a_file_over_several_pieces_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    data = random.Random(0).randbytes((1 << 20) * 2 + 17)
    (tmp_path / "x").write_bytes(data)
    assert digest_file(tmp_path / "x") == hashlib.sha256(data).hexdigest()


def test_a_root_binds_every_row_and_no_order() -> None:
    rows = [("a", 1, "x"), ("b", 2, "y")]
    assert merkle_root(rows) == merkle_root(reversed(rows))
    others = [[("a", 1, "x")], [("a", 1, "x"), ("b", 2, "z")], [("a", 2, "x"), ("b", 2, "y")]]
    assert merkle_root(rows) not in {merkle_root(other) for other in others}


def test_a_tree_changes_with_one_byte_one_name_and_not_with_byte_code(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "a.py").write_text("x = 1\n")
    before = digest_tree(tmp_path)
    (tmp_path / "pkg" / "__pycache__").mkdir()
    (tmp_path / "pkg" / "__pycache__" / "a.pyc").write_bytes(b"\0")
    assert digest_tree(tmp_path) == before
    (tmp_path / "pkg" / "a.py").write_text("x = 2\n")
    changed = digest_tree(tmp_path)
    assert changed != before
    (tmp_path / "pkg" / "a.py").rename(tmp_path / "pkg" / "b.py")
    assert digest_tree(tmp_path) not in {before, changed}
