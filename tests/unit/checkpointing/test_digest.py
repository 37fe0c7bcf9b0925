"""The weights digest and the header of a safetensors file, hostile ones included."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from codex_ml.checkpointing.digest import weights_digest
from codex_ml.core.safetensors import read_header
from codex_ml.errors import IntegrityError

GOOD = {"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}


def write(path: Path, header: Any, data: bytes = b"abcd", *, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def row(**changes: Any) -> dict[str, Any]:
    return {"a": {**GOOD["a"], **changes}}


def without(name: str) -> dict[str, Any]:
    return {"a": {key: value for key, value in GOOD["a"].items() if key != name}}


HOSTILE = {
    "no header at all": b"",
    "cut in the length": b"\1\2\3",
    "a length beyond the file": (10**6).to_bytes(8, "little") + b"{}",
    "a huge length": b"\xff" * 8 + b"{}",
    "not json": b"not json",
    "not utf-8": b'{"\xff\xfe": 1}',
    "no table": [1, 2],
    "a number": b"7",
    "nested too deep": b"[" * 100_000,
    "a number too long": b'{"a": ' + b"9" * 5000 + b"}",
    "a row that is no table": {"a": [0, 4]},
    "a row that is null": {"a": None},
    "no dtype": without("dtype"),
    "no shape": without("shape"),
    "no offsets": without("data_offsets"),
    "a dtype that is no text": row(dtype=8),
    "a shape that is no list": row(shape=4),
    "a negative shape": row(shape=[-4]),
    "a fractional shape": row(shape=[4.0]),
    "offsets beyond the file": row(data_offsets=[0, 5]),
    "offsets far beyond the file": row(data_offsets=[10**18, 10**18 + 4]),
    "negative offsets": row(data_offsets=[-4, 0]),
    "offsets in reverse": row(data_offsets=[4, 0]),
    "one offset": row(data_offsets=[0]),
    "three offsets": row(data_offsets=[0, 2, 4]),
    "offsets as text": row(data_offsets=["0", "4"]),
    "offsets as truth": row(data_offsets=[False, True]),
    "offsets with NaN": b'{"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, NaN]}}',
    "overlapping tensors": {**row(data_offsets=[0, 3]), "b": {**GOOD["a"], "data_offsets": [1, 4]}},
    "one range twice": {**GOOD, "b": GOOD["a"]},
    "a gap": {**row(data_offsets=[0, 1]), "b": {**GOOD["a"], "data_offsets": [2, 4]}},
    "bytes of no tensor": row(data_offsets=[0, 3]),
    "a name twice": b'{"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},'
    b' "a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}',
}
RAW = ("no header at all", "cut in the length", "a length beyond the file", "a huge length")


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_header_is_an_integrity_error_that_names_the_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "hostile.safetensors"
    content = HOSTILE[name]
    if name in RAW:
        path.write_bytes(content)
    else:
        write(path, content)
    for act in (read_header, weights_digest):
        with pytest.raises(IntegrityError) as caught:
            act(path)
        assert caught.value.code == "integrity.safetensors"
        assert str(path) in str(caught.value)


def test_random_changes_of_a_sound_file_never_end_in_another_error(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", {"__metadata__": {"format": "pt"}, **GOOD})
    sound, digest = path.read_bytes(), weights_digest(path)
    rng = random.Random(0)
    for _ in range(400):
        raw = bytearray(sound)
        for _ in range(rng.randrange(1, 4)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        path.write_bytes(raw[: rng.randrange(len(raw) + 1)] if rng.random() < 0.3 else raw)
        try:
            found = weights_digest(path)
        except IntegrityError:
            continue
        # What still reads has another digest, unless only the unbound metadata changed.
        start = sound.index(b'"a"')
        assert found != digest or path.read_bytes()[start:] == sound[start:]


@pytest.mark.needs("train")
def test_the_digest_is_that_of_the_tensors_by_name(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    tensors = {
        "z": torch.arange(6, dtype=torch.float32).view(2, 3),
        "a": torch.tensor(3, dtype=torch.int64),
        "half": torch.randn(5, generator=torch.Generator().manual_seed(0)).bfloat16(),
        "empty": torch.empty(0, 4),
        "ä": torch.tensor([True, False]),
    }
    kinds = {"z": "F32", "a": "I64", "half": "BF16", "empty": "F32", "ä": "BOOL"}
    sha = hashlib.sha256()
    for name in sorted(tensors):
        shape = "[" + ",".join(str(n) for n in tensors[name].shape) + "]"
        sha.update(name.encode() + b"\0" + kinds[name].encode() + b"\0" + shape.encode() + b"\0")
        sha.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    path = tmp_path / "x.safetensors"
    save_file(tensors, path)
    assert weights_digest(path) == sha.hexdigest()
    save_file(dict(reversed(tensors.items())), path, metadata={"any": "thing"})
    assert weights_digest(path) == sha.hexdigest()
    save_file({**tensors, "z": tensors["z"] + 1}, path)
    assert weights_digest(path) != sha.hexdigest()


def test_the_digest_can_be_computed_without_torch(tmp_path: Path, run) -> None:
    import sys

    path = write(tmp_path / "x.safetensors", GOOD)
    program = (
        "import sys; from pathlib import Path; from codex_ml.checkpointing.digest import weights_digest\n"
        "print(weights_digest(Path(sys.argv[1]))); assert 'torch' not in sys.modules"
    )
    done = run(sys.executable, "-c", program, path)
    assert done.out.strip() == hashlib.sha256(b"a\0U8\0[4]\0abcd").hexdigest(), done.err
