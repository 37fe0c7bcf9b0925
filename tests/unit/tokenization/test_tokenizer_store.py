from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_ml.core.paths import Home
from codex_ml.core.publish import verify_directory
from codex_ml.errors import ConfigError
from codex_ml.tokenization.store import TokenizerRef, open_tokenizer, prepare_tokenizer
from corpora import code, tokenizer_config

pytestmark = pytest.mark.needs("train")


def texts() -> Iterator[str]:
    return (code(seed) for seed in range(20))


def never() -> Iterator[str]:
    raise AssertionError("the texts must not be read again")


def prepare(home: Path, *, source: object = texts, corpus: str = "c1", **changes: object) -> TokenizerRef:
    cfg = tokenizer_config(**changes)  # type: ignore[arg-type]
    return prepare_tokenizer(source, corpus_digest=corpus, cfg=cfg, home=Home(home))  # type: ignore[arg-type]


def test_an_equal_recipe_finds_the_tokenizer_again_without_reading_texts(tmp_path: Path) -> None:
    first = prepare(tmp_path)
    assert prepare(tmp_path, source=never) == first
    assert verify_directory(first.directory)["vocab_size"] == 300
    assert first.directory.name == first.digest


def test_equal_text_gives_an_equal_digest_in_another_home(tmp_path: Path) -> None:
    one, two = prepare(tmp_path / "a"), prepare(tmp_path / "b", corpus="c2")
    assert one.digest == two.digest
    assert prepare(tmp_path / "a", vocab_size=310).digest != one.digest


def test_a_damaged_tokenizer_is_named_and_trained_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = prepare(tmp_path)
    file = first.directory / "tokenizer.json"
    file.write_bytes(file.read_bytes()[:-10])
    with caplog.at_level(logging.WARNING):
        assert prepare(tmp_path).digest == first.digest
    assert first.digest in caplog.text
    assert open_tokenizer(first.directory).vocab_size == 300


def test_a_given_tokenizer_is_kept_by_content(tmp_path: Path) -> None:
    first = prepare(tmp_path / "a")
    given = tmp_path / "given"
    shutil.copytree(first.directory, given)
    ref = prepare(tmp_path / "b", source=never, path=given)
    assert ref.digest == first.digest
    shutil.rmtree(given)
    assert ref.open().decode(ref.open().encode("x = 1")) == "x = 1"


def test_a_given_tokenizer_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    first = prepare(tmp_path / "a")
    with pytest.raises(ConfigError) as caught:
        prepare(tmp_path / "b", source=never, path=first.directory, vocab_size=400)
    assert caught.value.code == "tokenizer.vocab"
    assert caught.value.next_step == "set tokenizer.vocab_size=300"
    assert not (tmp_path / "b").exists()


def test_a_path_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        prepare(tmp_path, source=never, path=tmp_path / "nothing")
    assert caught.value.code == "tokenizer.path"


def test_an_error_while_the_texts_are_read_comes_through(tmp_path: Path) -> None:
    def broken() -> Iterator[str]:
        yield code(1)
        raise ConfigError("from the corpus", code="x")

    with pytest.raises(ConfigError, match="from the corpus"):
        prepare(tmp_path, source=broken)
    assert not (tmp_path / ".codex" / "store" / "tokenizers").exists()
