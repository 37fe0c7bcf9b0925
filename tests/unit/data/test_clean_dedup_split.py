from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_ml.data.clean import verdict
from codex_ml.data.dedup import ExactDedup
from codex_ml.data.digest_set import DigestSet
from codex_ml.data.document import Document
from codex_ml.data.split import SPLITS, assign, shares
from codex_ml.data.tally import Tally
from codex_ml.errors import ConfigError, DataError
from corpora import code, data_config, split_config


def document(raw: bytes | str, name: str = "a.py") -> Document:
    return Document(id=name, group="g", path=name, raw=raw if isinstance(raw, bytes) else raw.encode())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1", "clean.short"),
        ("x" * 400, "clean.long"),
        (" \n\t" * 20, "clean.blank"),
        ("x" * 90 + "\nshort\n", "clean.line"),
        ("{}[]();" * 8, "clean.text-share"),
    ],
)
def test_each_filter_gives_its_reason_with_the_value_and_the_limit(text: str, reason: str) -> None:
    cfg = data_config(min_bytes=20, max_bytes=300, max_line_bytes=80, min_text_share=0.5)
    found = verdict(document(text), cfg=cfg)
    assert found is not None
    assert found.reason == reason
    assert reason == "clean.blank" or "data." in found.detail


def test_code_in_any_script_with_any_line_end_is_kept() -> None:
    cfg = data_config(min_text_share=0.6)
    for text in (code(1), code(1).replace("\n", "\r\n"), "\ufeff" + code(2), "变量 = 'größe — ёлка'\n" * 3):
        assert verdict(document(text), cfg=cfg) is None


def test_the_first_of_equal_texts_stays() -> None:
    dedup = ExactDedup()
    found = [
        dedup.verdict(document(raw, name), sha256=hashlib.sha256(raw).hexdigest())
        for name, raw in [("a", b"1"), ("b", b"2"), ("c", b"1"), ("d", b"1 ")]
    ]
    assert [item is not None for item in found] == [False, False, True, False]
    assert found[2] is not None
    assert hashlib.sha256(b"1").hexdigest() in found[2].detail


@given(st.lists(st.integers(0, 3000), max_size=3000))
@settings(max_examples=15)
def test_a_digest_set_is_a_set(values: list[int]) -> None:
    mine, theirs = DigestSet(), set()
    # Few values in the first half: many meet at one place of the table.
    for value in values:
        digest = (value % 7).to_bytes(8, "little") + (value // 7 + 1).to_bytes(8, "little") + b"tail"
        assert mine.add(digest) == (digest not in theirs)
        theirs.add(digest)
    assert len(mine) == len(theirs)


def test_a_digest_set_keeps_what_it_holds_when_it_grows() -> None:
    digests = [hashlib.sha256(str(number).encode()).digest() for number in range(5000)]
    found = DigestSet()
    assert all(found.add(digest) for digest in digests)
    assert not any(found.add(digest) for digest in digests)
    assert len(found) == 5000


NAMES = st.text(min_size=1, max_size=30)
CFG = split_config(train=0.7, validation=0.2, test=0.1)


@given(st.lists(NAMES, unique=True), st.lists(NAMES, unique=True))
def test_new_groups_move_no_old_one(old: list[str], new: list[str]) -> None:
    before = {name: assign(name, cfg=CFG) for name in old}
    after = {name: assign(name, cfg=CFG) for name in [*new, *old]}
    assert before == {name: after[name] for name in old}


def test_splits_get_their_shares_of_many_groups() -> None:
    counts = dict.fromkeys(SPLITS, 0)
    for number in range(20_000):
        counts[assign(f"group-{number}", cfg=CFG)] += 1
    for split, share in shares(CFG).items():
        assert abs(counts[split] / 20_000 - share) < 0.01


@given(NAMES)
def test_a_changed_share_moves_groups_only_to_or_from_train(name: str) -> None:
    moved = {assign(name, cfg=CFG), assign(name, cfg=split_config(train=0.4, validation=0.2, test=0.4))}
    assert len(moved) == 1 or "train" in moved
    moved = {assign(name, cfg=CFG), assign(name, cfg=split_config(train=0.5, validation=0.4, test=0.1))}
    assert len(moved) == 1 or "train" in moved


def test_the_assignment_is_the_one_it_has_always_been() -> None:
    names = ["json", "asyncio", "größe", "a/b"]
    assert [assign(name, cfg=split_config(train=0.4, validation=0.3, test=0.3)) for name in names] == GOLDEN
    assert assign("json", cfg=split_config(train=1, validation=0)) == "train"


GOLDEN: list[str] = ["train", "validation", "train", "test"]


def test_shares_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        shares(split_config(train=0.9, validation=0.2))
    assert caught.value.code == "data.split"


def test_an_empty_corpus_and_an_empty_split_are_clear_errors() -> None:
    tally = Tally()
    tally.drop(verdict(document(""), cfg=data_config()))  # type: ignore[arg-type]
    with pytest.raises(DataError) as caught:
        tally.check(cfg=CFG)
    assert (caught.value.code, "1 clean.short" in caught.value.line()) == ("data.empty", True)
    tally.keep(split="train", group="g", size=3, characters=3)
    with pytest.raises(DataError) as caught:
        tally.check(cfg=CFG)
    assert caught.value.code == "data.split-empty"
    assert "data.group_depth" in caught.value.line()
    tally.check(cfg=split_config(train=1, validation=0))
