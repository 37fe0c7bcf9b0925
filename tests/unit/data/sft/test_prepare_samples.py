"""From records to rows: splits, lengths, duplicates, the manifest, and a digest of the content alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codex_ml.core.labels import IGNORE
from codex_ml.core.publish import verify_directory
from codex_ml.data.columns import read_rows
from codex_ml.errors import CodexError, ConfigError, DataError
from corpora import split_config

pytestmark = pytest.mark.needs("train")
ALL_TRAIN = split_config(train=1.0, validation=0.0)


def turns(asked: str, said: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]


def refused(prepare: Any, data: Any, **changes: Any) -> CodexError:
    with pytest.raises(CodexError) as caught:
        prepare(data, **changes)
    assert "\n" not in caught.value.line()
    return caught.value


@pytest.mark.parametrize("packing", ["best_fit", "none"])
def test_rows_hold_every_sample_once_by_itself(kit: Any, prepare: Any, packing: str) -> None:
    ref = prepare(kit.chats(60, turns=2), template=kit.marked, packing=packing, context=256)
    assert ref.manifest["packing"] == {"best_fit": "best-fit-decreasing/1", "none": "one-a-row/1"}[packing]
    for name in ("train", "validation"):
        split = ref.split(name)
        assert split.samples == split.documents > 0
        assert split.eval_rows() == split.rows
        inputs, labels, positions = split.batch(np.arange(split.rows))
        assert inputs.shape == labels.shape == positions.shape == (split.rows, 256)
        assert (inputs.dtype, labels.dtype, positions.dtype) == (np.int64, np.int64, np.int32)
        seen = []
        for row in range(split.rows):
            column = 0
            for found in split.row_samples(row):
                ids, trained = split.sample(found.index)
                assert (found.start, found.stop) == (column, column + len(ids) - 1)
                part = slice(found.start, found.stop)
                assert inputs[row, part].tolist() == ids[:-1].tolist()
                assert labels[row, part].tolist() == np.where(trained[1:], ids[1:], IGNORE).tolist()
                assert positions[row, part].tolist() == list(range(len(ids) - 1))
                seen.append(found.index)
                column = found.stop
            assert set(inputs[row, column:].tolist()) <= {split.pad_id}
            assert set(labels[row, column:].tolist()) <= {IGNORE}
            assert positions[row, column:].tolist() == list(range(256 - column))
        assert sorted(seen) == list(range(split.samples))
        figures = ref.manifest["splits"][name]
        assert (labels != IGNORE).sum() == figures["trained_tokens"] == split.trained_tokens
        assert figures["padding"] == split.rows * 256 - (split.tokens - split.samples)
    assert ref.manifest["pad_token"] == "<|pad|>"
    assert ref.manifest["pad_id"] != ref.manifest["end_id"]
    assert (ref.manifest["kind"], ref.manifest["format"]) == ("samples", "chat")
    verify_directory(ref.directory)


def test_rows_come_in_the_order_that_is_asked_for(kit: Any, prepare: Any) -> None:
    split = prepare(kit.chats(40)).split("train")
    order = np.array([2, 0, 1, 0])
    for one, other in zip(split.batch(order), split.batch(np.arange(3)), strict=True):
        assert (one == other[order]).all()
    for bad in (-1, split.rows):
        with pytest.raises(DataError) as caught:
            split.batch(np.array([bad]))
        assert caught.value.code == "data.row"


def test_a_split_of_another_name_is_refused(kit: Any, prepare: Any) -> None:
    with pytest.raises(DataError) as caught:
        prepare(kit.chats(20)).split("training")
    assert caught.value.code == "data.split-name"


def test_the_same_content_is_the_same_dataset_wherever_it_lies(
    kit: Any, prepare: Any, tmp_path: Path
) -> None:
    tokenizer = kit.tokenizer(tmp_path / "t")
    one = prepare(kit.chats(30), tokenizer=tokenizer)
    moved = tmp_path / "elsewhere" / "data.jsonl"
    moved.parent.mkdir()
    shutil.copy(tmp_path / "data.jsonl", moved)
    other = prepare(moved, tokenizer=shutil.copytree(tokenizer, tmp_path / "t2"), home=tmp_path / "home2")
    assert one.digest == other.digest
    assert one.directory != other.directory
    for name, row in one.manifest["files"].items():
        assert other.manifest["files"][name] == row
    template = tmp_path / "given.jinja"
    template.write_text(kit.chatml)
    assert prepare(moved, tokenizer=tokenizer, template=str(template)).digest == one.digest


@pytest.mark.parametrize(
    "changes",
    [
        {"context": 128},
        {"packing": "none"},
        {"overlong": "drop"},
        {"format": "chat"},
        {"dedup": "none"},
        {"split": split_config(salt="t")},
        {"template": "MARKED"},
    ],
)
def test_what_decides_the_content_decides_the_digest(
    kit: Any, prepare: Any, tmp_path: Path, changes: dict[str, Any]
) -> None:
    tokenizer = kit.tokenizer(tmp_path / "t")
    records = kit.chats(30)
    if "template" in changes:
        (tmp_path / "m.jinja").write_text(kit.marked)
        tokenizer2 = kit.tokenizer(tmp_path / "m", template=kit.marked)
        changes = {"tokenizer": tokenizer2}
    one = prepare(records, tokenizer=tokenizer)
    assert prepare(records, **{"tokenizer": tokenizer, **changes}).digest != one.digest
    assert prepare(kit.chats(31), tokenizer=tokenizer).digest != one.digest


def test_no_prompt_is_in_two_splits(kit: Any, prepare: Any) -> None:
    records = []
    for number in range(40):
        asked = {"role": "user", "content": f"question {number}"}
        for answer in range(4):
            system = [{"role": "system", "content": f"style {answer}"}] if answer % 2 else []
            said = {"role": "assistant", "content": f"answer {answer} to {number}"}
            records.append({"messages": [*system, asked, said]})
    ref = prepare(records, split=split_config(train=0.5, validation=0.3, test=0.2))
    where: dict[str, set[str]] = {}
    for split, group in read_rows(ref.directory / "samples.parquet", columns=["split", "group"]):
        where.setdefault(group, set()).add(split)
    assert len(where) == 40
    assert all(len(splits) == 1 for splits in where.values())
    assert set().union(*where.values()) == {"train", "validation", "test"}


def test_a_group_field_names_the_group(kit: Any, prepare: Any) -> None:
    records = [record | {"repo": n % 7} for n, record in enumerate(kit.chats(40))]
    ref = prepare(records, group_field="repo", split=split_config(train=0.5, validation=0.5))
    rows = set(read_rows(ref.directory / "samples.parquet", columns=["split", "group"]))
    assert len(rows) == 7
    error = refused(prepare, kit.chats(3), group_field="repository")
    assert error.code == "data.field"


def test_equal_samples_are_kept_once(kit: Any, prepare: Any) -> None:
    records = kit.chats(30)
    # Another order of keys and further keys are the same sample.
    again = {"id": 1, "messages": [dict(reversed(turn.items())) for turn in records[0]["messages"]]}
    ref = prepare([*records, again, records[1]])
    assert ref.manifest["dropped"] == {"dedup.exact": 2}
    assert sum(split["samples"] for split in ref.manifest["splits"].values()) == 30
    assert prepare([*records, again, records[1]], dedup="none").manifest["dropped"] == {}
    assert next(read_rows(ref.directory / "dropped.parquet", columns=["id"])) == ("data.jsonl:31",)


def test_a_sample_that_just_fits_is_kept_whole(kit: Any, prepare: Any) -> None:
    records = kit.chats(1)
    tokens = prepare(records, split=ALL_TRAIN, context=256).split("train").tokens
    split = prepare(records, split=ALL_TRAIN, context=tokens - 1).split("train")
    assert split.tokens == tokens
    _, labels, positions = split.batch(np.array([0]))
    assert positions[0].tolist() == list(range(tokens - 1))
    assert labels[0, -1] != IGNORE  # the last token of all is learned
    error = refused(prepare, records, split=ALL_TRAIN, context=tokens - 2)
    assert error.code == "sample.overlong"
    assert "data.jsonl:1" in error.what
    assert (error.got, error.wanted) == (
        f"{tokens} tokens",
        f"at most {tokens - 1} (model.context={tokens - 2})",
    )


def test_what_is_too_long_is_cut_or_dropped_and_counted(kit: Any, prepare: Any) -> None:
    said = {"role": "assistant", "content": "x = 1\n" * 60}
    long_answer = {"messages": [{"role": "user", "content": "q"}, said]}
    long_question = {"messages": [{"role": "user", "content": "y = 2\n" * 60}, said]}
    records = [*kit.chats(6), long_answer, long_question]
    common = {"split": ALL_TRAIN, "context": 120}
    cut = prepare(records, overlong="truncate", **common)
    figures = cut.manifest["splits"]["train"]
    assert (figures["samples"], figures["truncated"]) == (7, 1)
    assert figures["dropped"] == cut.manifest["dropped"] == {"sample.overlong-untrained": 1}
    assert cut.split("train").lengths().max() == 121
    dropped = prepare(records, overlong="drop", **common).manifest
    assert dropped["splits"]["train"]["dropped"] == {"sample.overlong": 2}
    assert dropped["splits"]["train"]["truncated"] == 0


def test_bad_records_stop_the_work_or_are_skipped_and_counted(kit: Any, prepare: Any, tmp_path: Path) -> None:
    good = [json.dumps(record) for record in kit.chats(20)]
    bad = {
        '{"messages": [': "data.jsonl",
        "[1, 2]": "data.jsonl",
        '{"instruction": "a", "output": "b"}': "sample.shape",
        '{"messages": []}': "sample.messages",
        json.dumps({"messages": [{"role": "user", "content": "a"}]}): "sample.no-answer",
        json.dumps({"messages": turns("<|pad|>", "a")}): "sample.special",
    }
    path = tmp_path / "mixed.jsonl"
    for line, code in bad.items():
        path.write_text("\n".join([*good, line]) + "\n")
        error = refused(prepare, path)
        assert error.code == code
        assert "mixed.jsonl:21" in error.what
    path.write_text("\n".join([*bad, *good]) + "\n")
    wanted: dict[str, int] = {}
    for code in bad.values():
        wanted[code] = wanted.get(code, 0) + 1
    # The first good record is an Alpaca one here, so what is to be found is said.
    ref = prepare(path, on_error="skip", format="chat")
    assert ref.manifest["dropped"] == dict(sorted(wanted.items()))
    assert sum(split["samples"] for split in ref.manifest["splits"].values()) == 20


def test_nothing_kept_and_empty_splits_are_refused(kit: Any, prepare: Any) -> None:
    assert refused(prepare, []).code == "data.empty"
    assert refused(prepare, [{"x": 1}], on_error="skip").code == "data.empty"
    one = kit.chats(1)
    assert refused(prepare, one, split=split_config(train=0.99, validation=0.01)).code == "data.small"
    assert refused(prepare, one, split=split_config(train=0.01, validation=0.99)).code == "data.small"
    assert prepare(one, split=ALL_TRAIN).split("validation").rows == 0


def test_sizes_beyond_the_limits_are_left_out(kit: Any, prepare: Any) -> None:
    records = kit.chats(30)
    long = {"messages": [{"role": "user", "content": "z" * 5000}, {"role": "assistant", "content": "a"}]}
    short = {"messages": [{"role": "user", "content": "z"}, {"role": "assistant", "content": "a"}]}
    ref = prepare([*records, long, short], min_bytes=10, max_bytes=4000, overlong="drop")
    assert ref.manifest["dropped"] == {"clean.long": 1, "clean.short": 1}


@pytest.mark.parametrize("kind", ["jsonl.gz", "parquet", "csv"])
def test_samples_come_from_every_table(kit: Any, prepare: Any, tmp_path: Path, kind: str) -> None:
    records = [{"instruction": f"say {n}", "input": "", "output": f"{n}, größer"} for n in range(30)]
    tokenizer = kit.tokenizer(tmp_path / "t")
    path = tmp_path / f"data.{kind}"
    if kind == "jsonl.gz":
        import gzip

        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in records).encode()))
    elif kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = [{"messages": turns(row["instruction"], row["output"])} for row in records]
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        lines = ["instruction,input,output"] + [f'{r["instruction"]},,"{r["output"]}"' for r in records]
        path.write_text("\n".join(lines) + "\n")
    source = kind.split(".")[0]
    found = prepare(path, source=source, tokenizer=tokenizer)
    wanted = prepare(records, tokenizer=tokenizer)
    assert found.manifest["format"] == ("chat" if kind == "parquet" else "alpaca")
    for name in ("train", "validation"):
        for one, other in zip(
            found.split(name).batch(np.arange(1)), wanted.split(name).batch(np.arange(1)), strict=True
        ):
            assert (one == other).all()


def test_a_source_of_whole_files_has_no_samples(kit: Any, prepare: Any, tmp_path: Path) -> None:
    assert refused(prepare, tmp_path, source="files").code == "data.samples-source"


def test_plain_texts_need_no_template(prepare: Any) -> None:
    records = [{"prompt": f"def f{n}():\n", "completion": f"    return {n}\n"} for n in range(30)]
    ref = prepare(records, template=None)
    assert ref.manifest["template_sha256"] is None
    with pytest.raises(ConfigError) as caught:
        prepare([{"messages": turns("a", "b")}], template=None)
    assert caught.value.code == "template.missing"


def test_a_failed_preparation_leaves_nothing_and_a_second_one_finds_what_is_there(
    kit: Any, prepare: Any, tmp_path: Path
) -> None:
    tokenizer = kit.tokenizer(tmp_path / "t")
    refused(prepare, [*kit.chats(5), {"messages": []}], tokenizer=tokenizer)
    store = tmp_path / "home" / ".codex" / "store" / "samples"
    assert not store.exists() or list(store.iterdir()) == []
    said: list[str] = []
    ref = prepare(kit.chats(20), tokenizer=tokenizer, progress=lambda done, total, what: said.append(what))
    assert set(said) == {"hash inputs", "read samples"}
    said.clear()
    assert (
        prepare(kit.chats(20), tokenizer=tokenizer, progress=lambda d, t, what: said.append(what)).digest
        == ref.digest
    )
    assert set(said) == {"hash inputs"}


def test_a_tokenizer_is_kept_with_its_template_and_settings(kit: Any, tmp_path: Path) -> None:
    directory = kit.tokenizer(tmp_path / "t")
    for name in ("special_tokens_map.json", "added_tokens.json", "generation_config.json"):
        (directory / name).write_text("{}")
    kept = kit.kept(directory, home=tmp_path)
    names = {path.name for path in directory.iterdir()}
    assert names == {path.name for path in kept.directory.iterdir()} - {"MANIFEST.json"}
    assert kept.vocab_size == 400


def test_a_sample_beyond_max_bytes_is_an_error_that_names_the_key(kit: Any, prepare: Any) -> None:
    records = [*kit.chats(20), {"messages": turns("hi", "y" * 5000)}]
    error = refused(prepare, records, max_bytes=4000)
    assert error.code == "sample.overlong"
    assert "data.max_bytes=4000" in str(error.wanted) and "data.jsonl:21" in error.what
    assert prepare(records, max_bytes=4000, overlong="drop").manifest["dropped"] == {"clean.long": 1}


def test_samples_of_one_prompt_fill_one_split_and_the_error_says_so(prepare: Any) -> None:
    records = [{"messages": turns("same", f"a = {number}")} for number in range(20)]
    error = refused(prepare, records)
    assert error.code == "data.small"
    assert "all of one prompt" in str(error.got)


def test_what_was_kept_and_left_out_is_said(kit: Any, prepare: Any, tmp_path: Path) -> None:
    from codex_ml.pipeline.kept import kept_lines

    records = [*kit.chats(20), *kit.chats(2), {"messages": turns("hi", "y" * 5000)}]
    (line,) = kept_lines(prepare(records, max_bytes=4000, overlong="drop"))
    assert line == "samples: 20 of 23 kept; left out: 1 clean.long, 2 dedup.exact"
    endless = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    line, warning = kept_lines(prepare(kit.chats(20), template=endless))
    assert line == "samples: 20 of 20 kept"
    assert "20 of 20 answers end without a special token" in warning
