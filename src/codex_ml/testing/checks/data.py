"""Tokenizers, data sources, metrics and classifiers of texts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from codex_ml.errors import DataError

TEXTS = ("", "def f(x):\n    return x + 1\n", "naïve café ☕ 日本語", "\t\ttabs  and   blanks ", "a" * 500)


def decoding_gives_back_what_was_encoded(make: Any, _directory: Path) -> None:
    """Every text, whatever it holds."""
    tokenizer = make()
    for text in TEXTS:
        found = tokenizer.decode(tokenizer.encode(text))
        assert found == text, f"{text[:40]!r} came back as {found[:40]!r}"


def ids_are_below_the_size_of_the_vocabulary(make: Any, _directory: Path) -> None:
    """Also those of padding and end."""
    tokenizer = make()
    ids = [number for text in TEXTS for number in tokenizer.encode(text)]
    for number in (*ids, tokenizer.pad_id, tokenizer.eos_id):
        assert 0 <= number < tokenizer.vocab_size, f"id {number}, vocabulary of {tokenizer.vocab_size}"
    assert tokenizer.pad_id != tokenizer.eos_id, "pad and eos are one token, so the loss on eos is lost"


def batches_are_padded_and_cut_as_asked(make: Any, _directory: Path) -> None:
    """Ids and mask of one shape, padding where it was asked for."""
    tokenizer = make()
    texts = [TEXTS[1], TEXTS[1] * 2]
    batch = tokenizer.batch_encode(texts, padding="right")
    lengths = [len(tokenizer.encode(text)) for text in texts]
    assert batch.ids.shape == batch.mask.shape == (2, max(lengths)), (
        f"{batch.ids.shape} and {batch.mask.shape}"
    )
    assert batch.mask.sum(axis=1).tolist() == lengths, "the mask does not count the tokens"
    assert (batch.ids[0, lengths[0] :] == tokenizer.pad_id).all(), "padding is not pad_id"
    cut = tokenizer.batch_encode(texts, padding="left", max_length=3)
    assert cut.ids.shape == (2, min(3, max(lengths))), f"max_length=3 gave {cut.ids.shape}"


def the_same_arguments_give_the_same_finite_number(function: Any, _directory: Path) -> None:
    """A float, twice."""
    one, two = (function(["a", "b"], ["a", "c"]) for _ in range(2))
    assert isinstance(one, int | float) and math.isfinite(one), f"{one!r} is no finite number"
    assert one == two, f"{one} and then {two}"


def lists_of_different_lengths_are_refused(function: Any, _directory: Path) -> None:
    """Silently comparing the shorter part gives wrong figures."""
    try:
        found = function(["a", "b"], ["a"])
    except (ValueError, DataError):
        return
    raise AssertionError(f"two predictions and one target gave {found!r}, wanted an error")


def documents_come_twice_in_the_same_order(make: Any, directory: Path) -> None:
    """Streaming, and the same bytes each time."""
    one, two = ([_document(row) for row in _source(make, directory).documents()] for _ in range(2))
    assert one, "it gave no document of the two files that were there"
    assert one == two, "the second reading gave other documents"


def inputs_are_hashed_and_in_order(make: Any, directory: Path) -> None:
    """What a dataset's digest is made of."""
    source = _source(make, directory)
    inputs = source.inputs()
    assert [one.path for one in inputs] == sorted(one.path for one in inputs), "inputs are not sorted by path"
    assert all(len(one.sha256) == 64 for one in inputs), "an input has no sha256"
    assert all(isinstance(value, str) for value in source.origin.values()), "origin maps names to texts"


def _source(make: Any, directory: Path) -> Any:
    """The source over a folder of two files, built from a config as runs build it."""
    from codex_ml.config.compose import compose

    folder = directory / "given"
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_text("first\n", encoding="utf-8")
    (folder / "b.txt").write_text("second, naïve\n", encoding="utf-8")
    cfg = compose(
        ["data.source=files", f"data.path='{folder}'", "data.include=['**/*.txt']"], environ={}
    ).config
    return make(cfg.data)


def _document(row: Any) -> tuple[str, str]:
    return type(row).__name__, repr(row)


def a_score_is_between_0_and_1(classify: Any, _directory: Path) -> None:
    """For every text."""
    for text in TEXTS:
        assert 0 <= classify(text) <= 1, f"{text[:20]!r} got {classify(text)!r}"
