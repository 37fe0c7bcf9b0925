from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from codex_ml.core.paths import Home
from codex_ml.errors import ConfigError, UsageError
from codex_ml.interfaces.tokenizer import TokenizerAdapter
from codex_ml.tokenization.hf_tokenizer import HFTokenizerAdapter
from codex_ml.tokenization.special import END, FIM_MIDDLE, FIM_PREFIX, PAD, fim_prompt
from codex_ml.tokenization.store import prepare_tokenizer
from corpora import code, tokenizer_config

pytestmark = pytest.mark.needs("train")
TEXTS = ["def f():\n", "x", "return total_count + 1\n    # größer"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = Home(tmp_path_factory.mktemp("home"))
    texts = [code(seed) for seed in range(20)]
    ref = prepare_tokenizer(lambda: iter(texts), corpus_digest="c", cfg=tokenizer_config(350), home=home)
    return ref.directory


@pytest.fixture(scope="module")
def adapter(directory: Path) -> HFTokenizerAdapter:
    return HFTokenizerAdapter(directory)


def test_it_is_a_tokenizer_adapter(adapter: HFTokenizerAdapter) -> None:
    assert isinstance(adapter, TokenizerAdapter)
    assert adapter.vocab_size == 350
    assert adapter.pad_id != adapter.eos_id


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_goes_to_its_side_and_the_mask_marks_the_text(adapter: HFTokenizerAdapter, side: str) -> None:
    batch = adapter.batch_encode(TEXTS, padding=side)  # type: ignore[arg-type]
    assert batch.ids.shape == batch.mask.shape == (3, max(len(adapter.encode(text)) for text in TEXTS))
    for row, mask, text in zip(batch.ids, batch.mask, TEXTS, strict=True):
        ids = adapter.encode(text)
        assert row[mask == 1].tolist() == ids
        assert set(row[mask == 0].tolist()) <= {adapter.pad_id}
        expected = [1] * len(ids) + [0] * (len(mask) - len(ids))
        assert mask.tolist() == (expected if side == "right" else expected[::-1])


@pytest.mark.parametrize("side", ["left", "right"])
def test_truncation_cuts_its_side(adapter: HFTokenizerAdapter, side: str) -> None:
    batch = adapter.batch_encode(TEXTS, max_length=3, truncation=side)  # type: ignore[arg-type]
    ids = adapter.encode(TEXTS[2])
    assert batch.ids[2].tolist() == (ids[:3] if side == "right" else ids[-3:])


def test_without_padding_different_lengths_are_an_error(adapter: HFTokenizerAdapter) -> None:
    with pytest.raises(UsageError) as caught:
        adapter.batch_encode(TEXTS, padding=None)
    assert caught.value.code == "tokenizer.ragged"
    same = adapter.batch_encode(["x", "x"], padding=None)
    assert np.array_equal(same.ids[0], same.ids[1])


def test_an_empty_batch_is_empty(adapter: HFTokenizerAdapter) -> None:
    assert adapter.batch_encode([]).ids.shape == (0, 0)


def test_fill_in_the_middle_keeps_special_strings_in_the_text_as_text(adapter: HFTokenizerAdapter) -> None:
    assert adapter.encode_fim("a", "b") == adapter.encode(fim_prompt("a", "b"), allow_special=True)
    ids = adapter.encode_fim(f"a{FIM_MIDDLE}", "b")
    assert ids.count(adapter.token_id(FIM_MIDDLE)) == 1  # type: ignore[arg-type]
    assert ids[0] == adapter.token_id(FIM_PREFIX)


def test_special_tokens_can_be_left_out_when_decoding(adapter: HFTokenizerAdapter) -> None:
    ids = [*adapter.encode("x"), adapter.eos_id]
    assert adapter.decode(ids) == f"x{END}"
    assert adapter.decode(ids, skip_special=True) == "x"


def test_transformers_loads_the_directory_and_gives_the_same_ids(
    directory: Path, adapter: HFTokenizerAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(directory)
    assert theirs.is_fast
    assert (theirs.eos_token, theirs.pad_token) == (END, PAD)
    assert (theirs.eos_token_id, theirs.pad_token_id, len(theirs)) == (adapter.eos_id, adapter.pad_id, 350)
    for text in [*TEXTS, code(3), "  a  ,  b 's n't  ", "\r\n\t x"]:
        assert theirs(text)["input_ids"] == adapter.encode(text)
        assert theirs.decode(theirs(text)["input_ids"]) == text
    assert theirs(fim_prompt("a", "b"))["input_ids"] == adapter.encode_fim("a", "b")


def test_a_directory_without_a_tokenizer_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        HFTokenizerAdapter(tmp_path)
    assert caught.value.code == "tokenizer.path"
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(ConfigError, match=r"does not load .*tokenizer.path|does not load"):
        HFTokenizerAdapter(tmp_path)


def test_padding_with_the_end_token_is_refused(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((directory / "tokenizer.json").read_bytes())
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({"eos_token": END, "pad_token": {"content": END}}))
    with pytest.raises(ConfigError, match="padding token of its own"):
        _ = HFTokenizerAdapter(tmp_path).pad_id
    config.write_text(json.dumps({"pad_token": PAD}))
    with pytest.raises(ConfigError, match="has no eos_token"):
        _ = HFTokenizerAdapter(tmp_path).eos_id


def test_a_padding_token_named_only_in_the_map_is_kept_apart_from_the_end(
    directory: Path, adapter: HFTokenizerAdapter, tmp_path: Path
) -> None:
    (tmp_path / "tokenizer.json").write_bytes((directory / "tokenizer.json").read_bytes())
    names = tmp_path / "special_tokens_map.json"
    names.write_text(json.dumps({"eos_token": END, "pad_token": PAD}))
    one = HFTokenizerAdapter(tmp_path)
    assert (one.eos_id, one.pad_id) == (adapter.eos_id, adapter.pad_id)
    assert one.eos_id not in one.batch_encode(TEXTS).ids
    # An older map that pads with the end must not slip past: the loss on ends would be masked.
    names.write_text(json.dumps({"eos_token": END, "pad_token": END}))
    with pytest.raises(ConfigError) as caught:
        HFTokenizerAdapter(tmp_path).batch_encode(TEXTS)
    assert caught.value.code == "tokenizer.special"
