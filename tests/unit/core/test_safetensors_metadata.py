"""Metadata goes into a safetensors file and the tensors stay byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from codex_ml.checkpointing.digest import weights_digest
from codex_ml.core.safetensors import read_header
from codex_ml.core.safetensors_metadata import copy_with_metadata, read_metadata
from codex_ml.errors import IntegrityError

TENSORS = {"b": np.arange(7, dtype=np.float32), "a": np.ones((3, 5), dtype=np.float16)}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tensors") / "model.safetensors"
    save_file(TENSORS, path, metadata={"format": "pt", "kept": "x"})
    return path


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=5))
def test_any_text_comes_back_and_the_weights_are_the_same(file: Path, metadata: dict[str, str]) -> None:
    target = file.with_name("copy.safetensors")
    copy_with_metadata(file, target, metadata)
    assert read_metadata(target) == {"format": "pt", "kept": "x"} | metadata
    assert weights_digest(target) == weights_digest(file)
    assert read_header(target)[1] % 8 == 0
    assert all(np.array_equal(value, TENSORS[name]) for name, value in load_file(target).items())


def test_a_file_is_replaced_by_itself_with_more(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    copy_with_metadata(file, path, {"commit": "a"})
    copy_with_metadata(path, path, {"commit": "b"})
    assert read_metadata(path)["commit"] == "b"
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_a_file_without_metadata_gets_the_format_that_readers_want(tmp_path: Path) -> None:
    path = tmp_path / "bare.safetensors"
    save_file(TENSORS, path)
    assert read_metadata(path) == {}
    copy_with_metadata(path, path, {})
    assert read_metadata(path) == {"format": "pt"}


def test_what_is_no_safetensors_file_is_refused(file: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.safetensors"
    short.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(IntegrityError):
        copy_with_metadata(short, tmp_path / "out", {})
    assert not (tmp_path / "out").exists()
