"""`codex-ml data` on samples: figures, and rows in which trained, masked and padded text is told apart."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import pytest

from codex_ml.cli import samples
from codex_ml.core.paths import Home
from codex_ml.data.select import prepare_for, tokenizer_path
from codex_ml.data.sft.inspect import inspect_samples, sample_stats
from codex_ml.data.sft.prepare import SamplesRef
from codex_ml.errors import ConfigError, DataError
from corpora import split_config

pytestmark = pytest.mark.needs("train")


@pytest.fixture
def ref(kit: Any, prepare: Any) -> SamplesRef:
    found: SamplesRef = prepare(kit.chats(40, turns=2), template=kit.marked, context=256)
    return found


def test_the_segments_of_a_row_are_its_text(ref: SamplesRef) -> None:
    tokenizer = ref.tokenizer.open()
    split = ref.split("train")
    labels = 0
    for row in range(split.rows):
        view = inspect_samples(ref, split="train", row=row)
        labels += view.labels
        for sample in view.samples:
            ids, trained = split.sample(sample.index)
            assert "".join(part.text for part in sample.segments) == tokenizer.decode(ids.tolist())
            assert [i for part in sample.segments for i in part.ids] == ids.tolist()
            kinds = [part.kind for part in sample.segments for _ in part.ids]
            assert kinds == ["trained" if flag else "masked" for flag in trained]
            assert sample.trained + sample.masked == len(ids)
            assert sample.place.startswith("data.jsonl:")
        assert view.padding == view.context - view.samples[-1].stop
    assert labels == split.trained_tokens
    with pytest.raises(DataError):
        inspect_samples(ref, split="train", row=split.rows)


def test_a_row_is_shown_with_a_margin_or_in_colours(ref: SamplesRef) -> None:
    rows = range(ref.split("train").rows)
    row = next(n for n in rows if inspect_samples(ref, split="train", row=n).padding)
    record, plain = samples.row(ref, split="train", row=row, tokens=False, colour=False)
    assert "\x1b" not in plain
    for sample in record["samples"]:
        assert sample["place"] in plain
        assert {part["kind"] for part in sample["segments"]} == {"trained", "masked"}
    for margin in ("trained │ ", "masked  │ ", "padding │ "):
        assert margin in plain
    answer = next(p["text"] for p in record["samples"][0]["segments"] if p["kind"] == "trained")
    assert f"trained │ {answer.splitlines()[0]}" in plain
    _, coloured = samples.row(ref, split="train", row=row, tokens=False, colour=True)
    assert f"\x1b[32m{answer.splitlines()[0]}" in coloured
    assert "\x1b[2m" in coloured
    _, parted = samples.row(ref, split="train", row=row, tokens=True, colour=False)
    assert "<|im_start|>│" in parted


def test_the_figures_add_up(ref: SamplesRef) -> None:
    found = sample_stats(ref)
    for name, split in found["splits"].items():
        rows = ref.split(name)
        assert split["samples"] == rows.samples
        assert split["lengths"]["most"] == rows.lengths().max(initial=0)
        assert 0 <= split["trained_share"] <= 1
    _, text = samples.stats(ref)
    assert "dropped: none" in text
    record, text = samples.prepared(ref)
    assert record["dataset"] in text
    assert json.dumps(record)


def test_the_commands_work_on_samples(kit: Any, workspace: Path, cli: Any) -> None:
    call = functools.partial(cli, workspace, cwd=workspace)
    directory = kit.tokenizer(workspace / "model", template=kit.marked)
    path = kit.write(workspace / "data.jsonl", [*kit.chats(60), kit.chats(1)[0]])
    words = ["experiment=sft_lora", f"model.path={directory}", f"data.path={path}", "model.context=256"]
    done = call("data", "prepare", *words, "--json")
    assert done.code == 0, done.err
    assert done.json["format"] == "chat"
    assert done.json["dropped"] == {"dedup.exact": 1}
    done = call("data", "stats", *words)
    assert done.code == 0, done.err
    assert "dropped: 1 dedup.exact" in done.out
    done = call("data", "inspect", *words, "--row", "1", "--json")
    assert done.code == 0, done.err
    assert done.json["row"] == 1
    done = call("data", "inspect", *words)
    assert "trained │ " in done.out and "\x1b" not in done.out
    done = call("data", "prepare", *words, "data.template=absent.jinja")
    assert done.code == 2
    assert "[template.unreadable]" in done.err


def config(kit: Any, data_path: Path, **model: Any) -> Any:
    from codex_ml.config.compose import compose

    found = compose(("experiment=sft_lora", "model.path=x", f"data.path={data_path}")).config
    data = kit.config(data_path, split=split_config())
    return dataclasses.replace(found, data=data, model=dataclasses.replace(found.model, **model))


def test_the_tokenizer_is_the_given_one_or_the_models(kit: Any, tmp_path: Path) -> None:
    path = kit.write(tmp_path / "data.jsonl", kit.chats(30))
    directory = kit.tokenizer(tmp_path / "model")
    found = config(kit, path, path=str(directory), context=256)
    ref = prepare_for(found, home=Home(tmp_path))
    assert isinstance(ref, SamplesRef)
    other = dataclasses.replace(found.tokenizer, path="elsewhere")
    assert tokenizer_path(dataclasses.replace(found, tokenizer=other)) == "elsewhere"
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    for given in (None, str(tmp_path / "model.gguf")):
        with pytest.raises(ConfigError) as caught:
            prepare_for(config(kit, path, path=given), home=Home(tmp_path))
        assert caught.value.code == "config.samples-tokenizer"
