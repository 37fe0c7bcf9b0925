"""Byte-lossless, deterministic, special tokens that count, and one precise error for each thing amiss."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_ml.core.publish import verify_directory
from codex_ml.errors import ConfigError, DataError, IntegrityError, MissingExtraError, UsageError
from codex_ml.interfaces.tokenizer import Side, TokenizerAdapter
from codex_ml.registry.builtins import BUILTINS
from codex_ml.tokenization.bpe import train_bpe
from codex_ml.tokenization.hf_tokenizer import HFTokenizerAdapter
from codex_ml.tokenization.sentencepiece_adapter import SentencePieceAdapter
from codex_ml.tokenization.special import END, FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX, PAD, fim_prompt
from corpora import code

pytestmark = pytest.mark.needs("train")

TEXTS = [*map(code, range(40)), "\tif (x) {\n\t\treturn  1;\n\t}\n" * 40, "a\0b ▁ ▅ größer 数\r\n" * 9]
SPECIAL = (FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX, "<|fim|>", "<|fim|>>")
SIZES = {"bpe": 500, "unigram": 400}
KINDS = sorted(SIZES)


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="spm-")  # removed with the process


def adapter(kind: str = "bpe") -> SentencePieceAdapter:
    return _trained(kind)


@cache
def _trained(kind: str) -> SentencePieceAdapter:
    return train(TEXTS, Path(_folder().name) / kind, vocab_size=SIZES[kind], model_type=kind)


@cache
def hf() -> HFTokenizerAdapter:
    path = Path(_folder().name) / "hf"
    path.mkdir()
    (path / "tokenizer.json").write_text(train_bpe(TEXTS, vocab_size=400).to_str(), encoding="utf-8")
    (path / "tokenizer_config.json").write_text(json.dumps({"eos_token": END, "pad_token": PAD}))
    return HFTokenizerAdapter(path)


@cache
def llama_model() -> bytes:
    """A plain model as Llama's: a blank before each text, no padding token, no sidecar."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=model,
        model_type="bpe",
        vocab_size=400,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        user_defined_symbols=["<tool>"],
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def train(texts: Any, directory: Path, **changes: Any) -> SentencePieceAdapter:
    given: dict[str, Any] = {"vocab_size": 400, "special_tokens": SPECIAL, "seed": 1, **changes}
    return SentencePieceAdapter.train(texts, directory, **given)


def llama(directory: Path, sidecar: Any = None) -> Path:
    (directory / "tokenizer.model").write_bytes(llama_model())
    if sidecar is not None:
        (directory / "special_tokens.json").write_text(json.dumps(sidecar), encoding="utf-8")
    return directory


TEXT = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="ab =-\n\r\t <|>09_éß数\u0085\u2028\u00a0\x00\x7f▁▅\ufeff\ufffd", max_size=200),
    st.builds(
        "".join,
        st.lists(st.sampled_from([*"ab \n▁", "  ", *SPECIAL, "</s>", "<pad>", "<0x41>", "🙂", "def "])),
    ),
)


@pytest.mark.parametrize("kind", KINDS)
@given(text=TEXT)
@settings(max_examples=300)
def test_decoding_gives_back_every_text(kind: str, text: str) -> None:
    ids = adapter(kind).encode(text)
    assert adapter(kind).decode(ids) == text
    assert not set(ids) & set(range(4 + len(SPECIAL))), "text that looks like a special token is text"
    assert adapter(kind).decode(adapter(kind).encode(text, allow_special=True)) == text


@given(text=TEXT)
@settings(max_examples=100)
def test_the_text_of_single_tokens_joins_to_the_whole_where_no_character_is_split(text: str) -> None:
    shown = "".join(adapter().tokens(adapter().encode(text)))
    assert shown == text or "\ufffd" in shown


@pytest.mark.parametrize("kind", KINDS)
def test_ids_and_sizes_are_those_asked_for(kind: str) -> None:
    one = adapter(kind)
    assert isinstance(one, TokenizerAdapter)
    assert (one.pad_id, one.token_id("<unk>"), one.token_id("<s>"), one.eos_id) == (0, 1, 2, 3)
    assert [one.token_id(token) for token in SPECIAL] == [4, 5, 6, 7, 8]
    assert one.vocab_size == SIZES[kind]
    assert one.token_id("no such token") is None
    assert BUILTINS["tokenizers"]["sentencepiece"].endswith(f":{type(one).__name__}")


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_take_part_in_encoding_and_decoding(kind: str) -> None:
    one = adapter(kind)
    text = f"{fim_prompt('a', 'b')}<|fim|>><|fim|></s>"
    ids = one.encode(text, allow_special=True)
    assert [token for token in ids if token < 9] == [4, 6, 5, 8, 7, 3]
    assert one.decode(ids) == text
    assert one.decode(ids, skip_special=True) == "ab"
    assert one.tokens([4, 3, 9]) == [FIM_PREFIX, "</s>", "\0"]


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_deterministic_and_sealed(kind: str, tmp_path: Path) -> None:
    again = train(iter(TEXTS), tmp_path / "x", vocab_size=SIZES[kind], model_type=kind)
    manifest = verify_directory(again.directory)
    assert manifest == verify_directory(adapter(kind).directory)
    assert manifest["recipe"]["seed"] == 1
    assert sorted(manifest["files"]) == ["special_tokens.json", "spm.model"]
    # Nothing is drawn at random, so another seed changes the record and not the model.
    other = train(TEXTS, tmp_path / "y", vocab_size=SIZES[kind], model_type=kind, seed=2)
    assert verify_directory(other.directory)["files"] == manifest["files"]


@pytest.mark.parametrize("token", ['"q"', "a,b", " x ", "\n", "x", "\u2585", "<S>"])
def test_a_special_token_may_have_any_other_name(token: str, tmp_path: Path) -> None:
    one = train(TEXTS, tmp_path / "t", special_tokens=(token,))
    text = f"x{token}y x"
    ids = one.encode(text, allow_special=True)
    assert one.decode(ids) == one.decode(one.encode(text)) == text
    assert one.decode(ids, skip_special=True) == text.replace(token, "")
    assert 4 in ids
    assert 4 not in one.encode(text)


def test_every_part_of_a_long_text_is_learned_from(tmp_path: Path) -> None:
    # The library leaves out what is longer than its limit in bytes; here two parts of 12 KB must not be.
    long = "x = 1\n" * 3000 + "数" * 8191 + "\nzebra_crossing" * 20
    one = train([long], tmp_path / "t", vocab_size=315, character_coverage=1.0)
    assert len(one.encode("数" * 8)) == 1
    assert len(one.encode("zebra_crossing")) < 5
    assert one.decode(one.encode(long)) == long


ADAPTERS: dict[str, Callable[[], HFTokenizerAdapter | SentencePieceAdapter]] = {
    "hf": hf,
    "bpe": adapter,
    "unigram": lambda: adapter("unigram"),
}
ROWS = ["def f():\n", "", "return total_count + 1\n    # größer"]


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("padding", ["left", "right"])
@pytest.mark.parametrize("truncation", ["left", "right"])
@pytest.mark.parametrize("max_length", [None, 1, 3, 1000])
def test_both_adapters_pad_and_cut_alike(
    name: str, padding: Side, truncation: Side, max_length: int | None
) -> None:
    one = ADAPTERS[name]()
    wanted = [one.encode(text) for text in ROWS]
    if max_length is not None:
        wanted = [row[:max_length] if truncation == "right" else row[-max_length:] for row in wanted]
    width = max(map(len, wanted))
    batch = one.batch_encode(ROWS, padding=padding, max_length=max_length, truncation=truncation)
    assert batch.ids.dtype == batch.mask.dtype == "int64"
    for ids, mask, row in zip(batch.ids.tolist(), batch.mask.tolist(), wanted, strict=True):
        fill, zeros = [one.pad_id] * (width - len(row)), [0] * (width - len(row))
        assert ids == (fill + row if padding == "left" else row + fill)
        assert mask == (zeros + [1] * len(row) if padding == "left" else [1] * len(row) + zeros)
    assert one.eos_id not in batch.ids


@pytest.mark.parametrize("name", ADAPTERS)
def test_both_adapters_refuse_a_ragged_batch_and_take_an_empty_one(name: str) -> None:
    one = ADAPTERS[name]()
    assert one.pad_id != one.eos_id
    with pytest.raises(UsageError) as caught:
        one.batch_encode(ROWS, padding=None)
    assert caught.value.code == "tokenizer.ragged"
    assert one.batch_encode(["x", "x"], padding=None).ids.tolist() == [one.encode("x")] * 2
    assert one.batch_encode([]).ids.shape == (0, 0)


def test_a_length_of_nothing_leaves_nothing() -> None:
    assert adapter().batch_encode(["ab"], max_length=0, truncation="left").ids.shape == (1, 0)


@pytest.mark.parametrize("name", ADAPTERS)
def test_both_adapters_refuse_text_that_is_no_utf8(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        ADAPTERS[name]().encode("a\ud800")
    assert caught.value.code == "tokenizer.text"


def test_a_batch_with_text_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(UsageError, match=r"tokenizer\.text"):
        adapter().batch_encode(["a", "a\ud800"])


@pytest.mark.parametrize("ids", [[500], [-1]])
def test_an_unknown_id_is_named(ids: list[int]) -> None:
    for call in (adapter().decode, adapter().tokens):
        with pytest.raises(DataError) as caught:
            call(ids)
        assert (caught.value.code, caught.value.got) == ("tokenizer.id", str(ids[0]))


@pytest.mark.parametrize("text", ["def f(x):\n\treturn  '数'", " two", "", "a</s>b"])
def test_a_plain_model_works_without_a_sidecar(text: str, tmp_path: Path) -> None:
    for path in (llama(tmp_path), tmp_path / "tokenizer.model"):
        one = SentencePieceAdapter(path)
        assert (one.vocab_size, one.eos_id) == (400, 2)
        assert one.decode(one.encode(text)) == text
        assert one.decode(one.encode(text, allow_special=True)) == text
        assert one.batch_encode([text, text]).mask.all()  # nothing to pad, so no padding token is asked for


def test_the_advice_for_a_missing_padding_token_works_as_it_stands(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        SentencePieceAdapter(llama(tmp_path)).batch_encode(["a", "a b c"])
    assert caught.value.code == "tokenizer.special"
    advice = str(caught.value.next_step).removeprefix("write ").split(" to /")[0]
    one = SentencePieceAdapter(llama(tmp_path, json.loads(advice)))
    assert (one.pad_id, one.eos_id, one.vocab_size) == (400, 2, 401)
    assert one.encode("a<pad>", allow_special=True)[-1] == 400
    assert 400 not in one.encode("a<pad>")
    assert one.decode([*one.encode("a"), 400]) == "a<pad>"
    assert one.decode([*one.encode("a"), 400], skip_special=True) == "a"


def test_padding_with_the_end_token_is_refused(tmp_path: Path) -> None:
    one = SentencePieceAdapter(llama(tmp_path, {"pad_token": "</s>", "tokens": {"<|x|>": 400}}))
    with pytest.raises(ConfigError, match="pads with its end token") as caught:
        _ = one.pad_id
    advice = str(caught.value.next_step)
    assert '{"pad_token": "<pad>", "tokens": {"<|x|>": 400, "<pad>": 401}}' in advice


@pytest.mark.parametrize(
    ("sidecar", "shown"),
    [
        ({"tokens": {"<|x|>": 401}}, "gaps"),
        ({"tokens": {"<|x|>": 400, "<|y|>": 402}}, "wanted the ids 400 to 401"),
        ({"tokens": {"<|x|>": 400, "<|y|>": 400}}, "one id to two tokens"),
        ({"tokens": {"<|x|>": 7}}, "an id of the model's own; got id 7, which is"),
        ({"tokens": {"</s>": 400}}, "which the model has; got id 400; wanted id 2"),
        ({"tokens": {"<tool>": 3}}, "calls the ordinary piece '<tool>' special"),
        ({"tokens": {"<|x|>": True}}, "another shape"),
        ({"tokens": {"": 400}}, "another shape"),
        ({"tokens": ["<|x|>"]}, "another shape"),
        ({"pad_token": 3}, "another shape"),
        ({"pad": "</s>"}, "another shape; got pad"),
        (["<|x|>"], "another shape; got list"),
        ({"pad_token": "<|x|>"}, "a pad_token that is no special token"),
    ],
)
def test_a_wrong_sidecar_says_what_is_wrong(sidecar: Any, shown: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        SentencePieceAdapter(llama(tmp_path, sidecar))
    assert caught.value.code == "tokenizer.sidecar"
    assert shown in caught.value.line()


def test_a_sidecar_that_is_no_json_is_damage(tmp_path: Path) -> None:
    (llama(tmp_path) / "special_tokens.json").write_text("{")
    with pytest.raises(IntegrityError, match=r"special_tokens\.json is not valid JSON"):
        SentencePieceAdapter(tmp_path)


def test_a_path_without_a_model_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent", tmp_path / "absent.model"):
        with pytest.raises(ConfigError, match="holds no SentencePiece model") as caught:
            SentencePieceAdapter(path)
        assert caught.value.code == "tokenizer.path"
    for name in ("b.model", "a.model"):
        (tmp_path / name).write_bytes(llama_model())
    with pytest.raises(ConfigError, match=r"got a\.model, b\.model"):
        SentencePieceAdapter(tmp_path)
    (tmp_path / "b.model").unlink()
    assert SentencePieceAdapter(tmp_path).vocab_size == 400


def test_a_model_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = (adapter().directory / "spm.model").read_bytes()
    # The last hundreds of bytes hold the settings, where a cut can leave a model that loads.
    for data in (
        b"hello",
        *(whole[:size] for size in (*range(0, 900, 100), *range(len(whole) - 400, len(whole)))),
    ):
        (tmp_path / "spm.model").write_bytes(data)
        with pytest.raises(ConfigError, match="no whole SentencePiece model") as caught:
            SentencePieceAdapter(tmp_path)
        assert caught.value.code == "tokenizer.path"


def test_a_model_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    llama(tmp_path)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigError, match="got Permission denied"):
        SentencePieceAdapter(tmp_path)


def test_a_refusal_of_the_library_that_nobody_foresaw_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sentencepiece

    def refuse(**_: object) -> None:
        raise RuntimeError("INTERNAL: something new")

    monkeypatch.setattr(sentencepiece.SentencePieceTrainer, "train", refuse)
    with pytest.raises(ConfigError, match=r"got INTERNAL: something new \[tokenizer\.option\]"):
        train(TEXTS, tmp_path / "t")


@pytest.mark.parametrize(
    ("changes", "texts", "error"),
    [
        ({"vocab_size": 264}, TEXTS, "tokenizer.vocab"),
        ({"vocab_size": 266}, TEXTS, "tokenizer.vocab"),
        ({"vocab_size": 90000}, TEXTS, "tokenizer.vocab"),
        ({"vocab_size": 90000, "model_type": "unigram"}, TEXTS, "tokenizer.vocab"),
        ({"model_type": "word"}, TEXTS, "tokenizer.option"),
        ({"character_coverage": 0.5}, TEXTS, "tokenizer.option"),
        ({"special_tokens": ["<a>", "<a>"]}, TEXTS, "tokenizer.option"),
        ({"special_tokens": ["<pad>"]}, TEXTS, "tokenizer.option"),
        ({"special_tokens": ["<0x0A>"]}, TEXTS, "tokenizer.option"),
        ({"special_tokens": [""]}, TEXTS, "tokenizer.option"),
        ({"special_tokens": ["\u2581"]}, TEXTS, "tokenizer.option"),
        ({"special_tokens": ["\udc00"]}, TEXTS, "tokenizer.text"),
        ({}, ["fine", "\ud800"], "tokenizer.text"),
        ({}, [], "tokenizer.train-bytes"),
    ],
)
def test_what_cannot_be_trained_says_why_and_leaves_nothing(
    changes: dict[str, Any], texts: list[str], error: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        train(texts, tmp_path / "t", **changes)
    assert caught.value.code == error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("kind", "asked"), [("bpe", 90000), ("unigram", 90000), ("bpe", 266)])
def test_the_vocabulary_that_an_error_names_is_possible(kind: str, asked: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        train(TEXTS, tmp_path / "a", vocab_size=asked, model_type=kind)
    possible = int(str(caught.value.next_step).split("vocab_size=")[1].split()[0])
    assert train(TEXTS, tmp_path / "b", vocab_size=possible, model_type=kind).vocab_size == possible


def test_an_existing_directory_is_refused_before_the_texts_are_read(tmp_path: Path) -> None:
    texts = iter(TEXTS)
    with pytest.raises(ConfigError) as caught:
        train(texts, tmp_path)
    assert next(texts) == TEXTS[0]
    assert caught.value.code == "tokenizer.exists"


def test_an_error_while_the_texts_are_read_comes_through(tmp_path: Path) -> None:
    def broken() -> Iterator[str]:
        yield "def f()"
        raise ConfigError("from the corpus", code="x")

    with pytest.raises(ConfigError, match="from the corpus"):
        train(broken(), tmp_path / "t")
    assert list(tmp_path.iterdir()) == []


def test_an_absent_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llama(tmp_path)
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(MissingExtraError, match=r"codex-ml\[train\]") as caught:
        SentencePieceAdapter(tmp_path)
    assert caught.value.code == "extra.missing"
    with pytest.raises(MissingExtraError, match=r"codex-ml\[train\]"):
        train(TEXTS, tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_the_command_line_takes_a_sentencepiece_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from codex_ml.cli import main

    shutil.copytree(adapter().directory, tmp_path / "t")
    ids = adapter().encode("def f():")
    assert main(["tokenizer", "encode", str(tmp_path / "t"), "def f():", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["ids"] == ids
    assert main(["tokenizer", "decode", str(tmp_path / "t" / "spm.model"), *map(str, ids), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["text"] == "def f():"
    assert main(["tokenizer", "encode", str(tmp_path), "def"]) == 2
    assert "tokenizer.path" in capsys.readouterr().err
