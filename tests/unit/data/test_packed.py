"""Rows cover the stream: every token but the first is predicted exactly once."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_ml.core.publish import seal
from codex_ml.data.columns import TOKENIZED, RowWriter
from codex_ml.data.pack import all_rows, first_documents, full_rows, write_plan
from codex_ml.data.packed import PackedSplit
from codex_ml.data.shards import ShardWriter, TokenStream
from codex_ml.errors import DataError

pytestmark = pytest.mark.needs("train")


def dataset(
    root: Path, lengths: list[int], *, context: int, shard_tokens: int, dtype: str = "<u2"
) -> np.ndarray:
    """A dataset directory of documents with these token counts (end token 0 included); its stream."""
    rng = np.random.default_rng(sum(lengths))
    writer = ShardWriter(root, split="train", dtype=np.dtype(dtype), shard_tokens=shard_tokens)
    starts, parts = [], []
    with RowWriter(root / "documents.parquet", TOKENIZED) as table:
        table.add("test", "other", "g", "p", "0", 1, 1, 0, 3)
        for index, length in enumerate(lengths):
            parts.append(np.append(rng.integers(1, 60_000, length - 1), 0).astype(dtype))
            starts.append(writer.tokens)
            table.add("train", f"d{index}", f"g{index}", f"d{index}.py", "0", 1, 1, writer.tokens, length)
            writer.append(parts[-1])
    write_plan(
        root, split="train", plan=first_documents(np.array(starts), tokens=writer.tokens, context=context)
    )
    figures = {
        "documents": len(lengths),
        "bytes": 7,
        "tokens": writer.tokens,
        "rows": full_rows(writer.tokens, context=context),
        "eval_rows": all_rows(writer.tokens, context=context),
        "stream_sha256": writer.close(),
        "shards": writer.names,
    }
    meta = {"context": context, "end_id": 0, "dtype": np.dtype(dtype).name, "shard_tokens": shard_tokens}
    seal(root, {**meta, "splits": {"train": figures}})
    return np.concatenate(parts)


LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=25)


@given(LENGTHS, st.integers(1, 16), st.integers(3, 64))
@settings(max_examples=60)
def test_every_token_but_the_first_is_a_label_exactly_once(
    lengths: list[int], context: int, shard_tokens: int
) -> None:
    with TemporaryDirectory() as folder:
        stream = dataset(Path(folder), lengths, context=context, shard_tokens=shard_tokens)
        packed = PackedSplit.open(Path(folder), "train")
        tokens, valid = packed.eval_batch(np.arange(packed.eval_rows()))
        assert np.array_equal(tokens[:, 1:][valid], stream[1:])
        assert np.array_equal(tokens[:, :-1][valid], stream[:-1])
        assert (tokens[:, 1:][~valid] == packed.end_id).all()
        rows = packed.batch(np.arange(packed.rows))
        assert np.array_equal(rows, tokens[: packed.rows])
        assert packed.rows == (len(stream) - 1) // context


@given(LENGTHS, st.integers(1, 16), st.integers(3, 64))
@settings(max_examples=40)
def test_the_documents_of_a_row_cover_it_without_gap_and_say_where_they_begin_and_end(
    lengths: list[int], context: int, shard_tokens: int
) -> None:
    with TemporaryDirectory() as folder:
        dataset(Path(folder), lengths, context=context, shard_tokens=shard_tokens)
        packed = PackedSplit.open(Path(folder), "train")
        starts = np.concatenate([[0], np.cumsum(lengths)])
        for row in range(packed.eval_rows()):
            at = row * context
            documents = packed.row_documents(row)
            assert documents[0].start == 0
            assert documents[-1].stop == min(context + 1, packed.tokens - at)
            for one, two in itertools.pairwise(documents):
                assert one.stop == two.start
                assert one.ends
                assert two.begins
            for part in documents:
                index = int(part.id[1:])
                assert part.begins == (starts[index] >= at)
                assert part.ends == (starts[index + 1] <= at + context + 1)
                assert at + part.start == max(starts[index], at)


def test_rows_come_in_the_order_asked_and_may_repeat(tmp_path: Path) -> None:
    stream = dataset(tmp_path, [40, 3, 60], context=8, shard_tokens=25, dtype="<u4")
    packed = PackedSplit.open(tmp_path, "train")
    indices = np.array([5, 0, 5, 11, 2])
    wanted = np.stack([stream[i * 8 : i * 8 + 9] for i in indices])
    assert np.array_equal(packed.batch(indices), wanted)
    assert packed.batch(indices).dtype == np.uint32
    assert packed.batch(np.array([], dtype=np.int64)).shape == (0, 9)
    assert (packed.documents, packed.tokens, packed.bytes, packed.context) == (3, 103, 7, 8)


@pytest.mark.parametrize("row", [-1, 12])
def test_a_row_outside_is_a_clear_error(tmp_path: Path, row: int) -> None:
    dataset(tmp_path, [40, 3, 60], context=8, shard_tokens=25)
    packed = PackedSplit.open(tmp_path, "train")
    with pytest.raises(DataError, match=r"0 to 11"):
        packed.batch(np.array([row]))


def test_an_unknown_split_suggests_a_name(tmp_path: Path) -> None:
    dataset(tmp_path, [9], context=4, shard_tokens=25)
    with pytest.raises(DataError, match="did you mean 'train'"):
        PackedSplit.open(tmp_path, "trian")


def test_shards_have_equal_length_and_are_one_stream(tmp_path: Path) -> None:
    stream = dataset(tmp_path, [40, 3, 60], context=8, shard_tokens=25)
    manifest = json.loads((tmp_path / "MANIFEST.json").read_text())
    shards = [tmp_path / name for name in manifest["splits"]["train"]["shards"]]
    assert [path.stat().st_size for path in shards] == [50, 50, 50, 50, 6]
    read = TokenStream(shards, dtype=np.dtype("<u2"), shard_tokens=25, tokens=103)
    assert np.array_equal(read.read(0, 999), stream)
    assert np.array_equal(read.read(20, 80), stream[20:80])
    assert read.read(50, 50).size == 0
