"""Tensors written straight from memory are a sound safetensors file, and its digest is theirs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from codex_ml.checkpointing.digest import weights_digest
from codex_ml.core.safetensors import read_header

pytestmark = pytest.mark.needs("train")
WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def every_kind() -> dict[str, Any]:
    """One tensor of every dtype, of odd lengths, under names in no order of width; empty and scalar ones."""
    import torch

    from codex_ml.checkpointing.snapshot import DTYPES

    found: dict[str, Any] = {}
    for number, name in enumerate(DTYPES):
        kind = getattr(torch, name.removeprefix("torch."))
        values = torch.arange(7 + number).remainder(5)
        found[f"{9 - number}.{name}"] = values.to(kind)
        found[f"scalar.{name}"] = torch.tensor(number % 2, dtype=kind)
    found["empty"] = torch.empty(0)
    found["empty.in.the.middle"] = torch.empty(3, 0, 2, dtype=torch.bfloat16)
    found["odd"] = torch.tensor([math.nan, -0.0, math.inf, 5e-324], dtype=torch.float64)
    found["matrix \u00e4"] = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    return found


def raw(tensor: Any) -> bytes:
    import torch

    data: bytes = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
    return data


@pytest.mark.parametrize("names", ["all", "none"])
def test_the_library_reads_the_tensors_that_were_written(names: str, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file

    from codex_ml.checkpointing.writer import write_tensors

    tensors = every_kind() if names == "all" else {}
    path = tmp_path / "x.safetensors"
    write_tensors(path, tensors)
    found = load_file(path)
    assert found.keys() == tensors.keys()
    for name, value in tensors.items():
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape), name
        assert raw(found[name]) == raw(value), name
    with safe_open(path, framework="pt") as stream:
        assert stream.metadata() == {"format": "pt"}


def test_the_digest_in_memory_is_that_of_the_file_and_of_the_file_that_the_library_writes(
    tmp_path: Path,
) -> None:
    from safetensors.torch import save_file

    from codex_ml.checkpointing.snapshot import tensors_digest
    from codex_ml.checkpointing.writer import write_tensors

    tensors = every_kind()
    ours, theirs = tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"
    write_tensors(ours, tensors)
    save_file(tensors, theirs)
    assert tensors_digest(tensors) == weights_digest(ours) == weights_digest(theirs)
    for name in tensors:
        assert tensors_digest({key: value for key, value in tensors.items() if key != name}) != (
            weights_digest(ours)
        )


def test_every_tensor_begins_at_a_multiple_of_its_element(tmp_path: Path) -> None:
    from codex_ml.checkpointing.writer import write_tensors

    path = tmp_path / "x.safetensors"
    write_tensors(path, every_kind())
    table, start = read_header(path)
    assert {row["dtype"] for row in table.values()} == set(WIDTHS)
    for name, row in table.items():
        assert (start + row["data_offsets"][0]) % WIDTHS[row["dtype"]] == 0, name


def test_a_disk_error_keeps_its_number(tmp_path: Path) -> None:
    from codex_ml.checkpointing.writer import write_tensors

    with pytest.raises(IsADirectoryError):
        write_tensors(tmp_path, every_kind())
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match="No space left"):
            write_tensors(Path("/dev/full"), every_kind())


def test_a_snapshot_is_free_of_what_happens_to_the_live_tensors_and_its_buffers_serve_again() -> None:
    import torch

    from codex_ml.checkpointing.snapshot import SnapshotBuffers

    buffers, live = SnapshotBuffers(), {"w": torch.arange(6.0).view(2, 3).t(), "n": torch.tensor(1)}
    first = buffers.take(model=live, optimizer={"w": live["w"] * 2})
    memory = first.model["w"].data_ptr()
    live["w"].zero_()
    assert first.model["w"].is_contiguous()
    assert torch.equal(first.model["w"], torch.arange(6.0).view(2, 3).t())
    assert torch.equal(first.optimizer["w"], first.model["w"] * 2)
    assert first.nbytes == 24 + 8 + 24
    second = buffers.take(model=live, optimizer={})
    assert second.model["w"].data_ptr() == memory
    assert torch.equal(second.model["w"], torch.zeros(3, 2))
    third = buffers.take(model={"w": torch.ones(5)}, optimizer={})
    assert torch.equal(third.model["w"], torch.ones(5))
