"""Byte-lossless, deterministic, and the same ids from two independent encoders."""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_ml.errors import ConfigError
from codex_ml.tokenization.bpe import SMALLEST, train_bpe
from codex_ml.tokenization.engine import FastEncoder, token_dtype
from codex_ml.tokenization.hf_tokenizer import HFTokenizerAdapter
from codex_ml.tokenization.proper import why_improper
from codex_ml.tokenization.special import END, SPECIAL_TOKENS
from corpora import code

pytestmark = pytest.mark.needs("train")

# Beside code: runs of one character and overlapping repetitions, where merge orders could differ.
TEXTS = [code(seed) for seed in range(60)] + [
    "aaaa aaaaa abababab aabaab\n\n\n   \t\t  ==== ---- <|endoftext|>"
] * 9


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="bpe-")  # removed with the process


@cache
def directory() -> Path:
    path = Path(_folder().name)
    (path / "tokenizer.json").write_text(train_bpe(TEXTS, vocab_size=500).to_str(), encoding="utf-8")
    (path / "tokenizer_config.json").write_text(json.dumps({"eos_token": END, "pad_token": "<|pad|>"}))
    return path


@cache
def adapter() -> HFTokenizerAdapter:
    return HFTokenizerAdapter(directory())


@cache
def engine() -> FastEncoder:
    return FastEncoder.from_directory(directory(), threads=1)


def spec() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((directory() / "tokenizer.json").read_text(encoding="utf-8"))
    return content


TEXT = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="ab =-\n\r\t <|endoftxi>09_éß数\u0085\u2028\u017f\u00a0\x00\x7f", max_size=300),
    st.builds("".join, st.lists(st.sampled_from([*"ab \n", "aa", "    ", *SPECIAL_TOKENS, "def ", "🙂"]))),
)


@given(TEXT)
@settings(max_examples=600)
def test_decoding_gives_back_every_text(text: str) -> None:
    assert adapter().decode(adapter().encode(text)) == text


@given(TEXT)
@settings(max_examples=600)
def test_both_encoders_give_the_same_ids(text: str) -> None:
    assert engine().backend == "tiktoken"
    assert engine().encode_documents([text])[0].tolist() == adapter().encode(text)


@given(st.lists(st.text(alphabet="ab c", min_size=1, max_size=40), min_size=1, max_size=12), TEXT)
@settings(max_examples=80)
def test_both_encoders_agree_on_tokenizers_of_any_corpus(corpus: list[str], text: str) -> None:
    try:
        trained = train_bpe(corpus * 2, vocab_size=SMALLEST + 6)
    except ConfigError:
        return  # too little text for six merges
    content = json.loads(trained.to_str())
    assert why_improper(content) is None
    trained.encode_special_tokens = True
    folder = directory() / "other"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(trained.to_str(), encoding="utf-8")
    ids = FastEncoder.from_directory(folder, threads=1).encode_documents([*corpus, text])
    assert [row.tolist() for row in ids] == [trained.encode(t).ids for t in [*corpus, text]]


@pytest.mark.parametrize("alphabet", ["a", "ab", "abc ", "\n", " ", "=-", "é数"])
def test_both_encoders_agree_on_pieces_of_any_length(alphabet: str) -> None:
    # tiktoken merges long pieces by another algorithm than short ones.
    rng = random.Random(7)
    texts = ["".join(rng.choices(alphabet, k=size)) for size in (99, 101, 499, 500, 501, 5000, 200_000)]
    for text, ids in zip(texts, engine().encode_documents(texts), strict=True):
        assert ids.tolist() == adapter().encode(text)


def test_ids_with_gaps_are_refused(tmp_path: Path) -> None:
    content = spec()
    last = max(content["model"]["vocab"], key=content["model"]["vocab"].get)
    content["model"]["vocab"][last] += 100_000
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ConfigError, match="have gaps"):
        FastEncoder.from_directory(tmp_path)


def test_text_that_looks_like_a_special_token_is_encoded_as_text() -> None:
    ids = adapter().encode(f"a{END}b")
    assert not set(ids) & set(range(len(SPECIAL_TOKENS)))
    assert adapter().encode(END, allow_special=True) == [0]
    assert not (engine().encode_documents([END])[0] < len(SPECIAL_TOKENS)).any()


def test_training_is_deterministic() -> None:
    assert train_bpe(TEXTS, vocab_size=400).to_str() == train_bpe(TEXTS, vocab_size=400).to_str()


def test_special_tokens_have_the_first_ids_and_the_size_counts_them() -> None:
    assert [adapter().token_id(token) for token in SPECIAL_TOKENS] == list(range(len(SPECIAL_TOKENS)))
    assert adapter().vocab_size == 500


def test_too_little_text_says_which_size_is_possible() -> None:
    with pytest.raises(ConfigError) as caught:
        train_bpe(["abab abab"], vocab_size=1000)
    assert caught.value.code == "tokenizer.vocab"
    assert "set tokenizer.vocab_size=" in caught.value.line()
    possible = int(str(caught.value.got).split()[0])
    assert train_bpe(["abab abab"], vocab_size=possible).get_vocab_size() == possible


def test_a_size_below_the_bytes_is_refused() -> None:
    with pytest.raises(ConfigError, match=str(SMALLEST)):
        train_bpe(TEXTS, vocab_size=SMALLEST - 1)


def test_a_line_end_closes_a_piece_so_that_a_prompt_is_cut_like_the_middle_of_a_file() -> None:
    whole, prompt = "def f(x):\n    return x\n", "def f(x):\n"
    ids = adapter().encode(prompt)
    assert adapter().encode(whole)[: len(ids)] == ids


def _without_first_merge(content: dict[str, Any]) -> None:
    content["model"]["merges"].pop(0)


def _normalized(content: dict[str, Any]) -> None:
    content["normalizer"] = {"type": "NFC"}


def _other_pattern(content: dict[str, Any]) -> None:
    content["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {"Regex": r"\s+|\S+"}


def _swapped_merges(content: dict[str, Any]) -> None:
    merges = content["model"]["merges"]
    merges[0], merges[1] = merges[1], merges[0]


def _plain_added_token(content: dict[str, Any]) -> None:
    content["added_tokens"][0]["special"] = False


@pytest.mark.parametrize(
    "change", [_without_first_merge, _normalized, _other_pattern, _swapped_merges, _plain_added_token]
)
def test_a_tokenizer_without_the_proof_is_encoded_by_its_own_library(change: Any, tmp_path: Path) -> None:
    content = spec()
    change(content)
    assert why_improper(content) is not None
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    encoder = FastEncoder.from_directory(tmp_path, threads=2)
    assert encoder.backend == "tokenizers"
    own = HFTokenizerAdapter(tmp_path)
    assert [row.tolist() for row in encoder.encode_documents(TEXTS[:5])] == [own.encode(t) for t in TEXTS[:5]]


def test_the_number_of_threads_changes_nothing() -> None:
    two = FastEncoder.from_directory(directory(), threads=2)
    for one, other in zip(engine().encode_documents(TEXTS), two.encode_documents(TEXTS), strict=True):
        assert one.tolist() == other.tolist()


def test_token_width_follows_the_vocabulary() -> None:
    assert token_dtype(65536).itemsize == 2
    assert token_dtype(65537).itemsize == 4
