"""How text is cut and merged so that two independent encoders provably give the same ids.

Text is cut into pieces by `PATTERN`, then bytes inside a piece are merged. Two properties make the
ids of the Hugging Face encoder and of tiktoken equal for every text:

1. `PATTERN` names ASCII characters only and treats all others alike, so it reads no Unicode table,
   and two regex engines of different Unicode versions cut alike. It needs no look-around either.
2. The merges are *proper*: every token, merged from its bytes, becomes itself, and each merge makes a
   new token (`why_improper`). Where two neighbouring tokens u, v form a token t, the segment uv, with
   boundaries on both sides, was merged as the string t alone would be (merges do not look across a
   boundary); properness says that t's own merging arrives at its listed pair. So u, v *is* the listed
   pair: merging "any pair that forms a token" (tiktoken) is merging "the listed pairs" (Hugging Face).
"""

from __future__ import annotations

import itertools
from typing import Any

from codex_ml.core.optional import require

_NON_ASCII = r"\x{80}-\x{10FFFF}"
_PUNCTUATION = r"[\x00-\x08\x0E-\x1F\x21-\x2F\x3A-\x40\x5B-\x60\x7B-\x7F]"
_LEAD = r"[\x00-\x09\x0B\x0C\x0E-\x2F\x3A-\x40\x5B-\x60\x7B-\x7F]"  # no letter, digit, CR or LF
_BLANK = r"[\x09-\x0D\x20]"

#: A word with the one character before it (" self", ".join", "_name"); digits by threes; punctuation
#: with the line end after it; blank lines; indentation. A line end always closes a piece, so that a
#: prompt that ends with one is cut as the same text in the middle of a file is.
PATTERN = rf"{_LEAD}?[A-Za-z{_NON_ASCII}]+|[0-9]{{1,3}}| ?{_PUNCTUATION}+[\r\n]*|{_BLANK}*[\r\n]+|{_BLANK}+"


def byte_of_char() -> dict[str, int]:
    """The byte that each character of the byte-level alphabet stands for (GPT-2's table)."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    shifted = [byte for byte in range(256) if byte not in set(plain)]
    table = {chr(byte): byte for byte in plain}
    return table | {chr(256 + index): byte for index, byte in enumerate(shifted)}


def why_improper(spec: dict[str, Any]) -> str | None:
    """Why the ``tokenizer.json`` content *spec* lacks the two properties, or None when it has both."""
    model, pre = spec["model"], spec.get("pre_tokenizer") or {}
    extras = ("dropout", "unk_token", "byte_fallback", "continuing_subword_prefix", "end_of_word_suffix")
    if model.get("type") != "BPE" or any(model.get(name) for name in extras):
        return "its model is not plain BPE"
    if spec.get("normalizer") is not None:
        return "it normalizes text"
    if any(not token["special"] for token in spec["added_tokens"]):
        return "it has added tokens that are not special"
    if not _cuts_like_ours(pre):
        return "it cuts text by another pattern"
    return _why_merges_improper(model, special={token["content"] for token in spec["added_tokens"]})


def _cuts_like_ours(pre: dict[str, Any]) -> bool:
    steps = pre.get("pretokenizers") or []
    if pre.get("type") != "Sequence" or [step["type"] for step in steps] != ["Split", "ByteLevel"]:
        return False
    split, level = steps
    return bool(
        split["pattern"] == {"Regex": PATTERN}
        and split["behavior"] == "Isolated"
        and not split["invert"]
        and not level["add_prefix_space"]
        and not level["use_regex"]
    )


def _why_merges_improper(model: dict[str, Any], *, special: set[str]) -> str | None:
    vocab: dict[str, int] = model["vocab"]
    pairs = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
    merged = ["".join(pair) for pair in pairs]
    if sorted(set(vocab) - special - set(merged)) != sorted(byte_of_char()):
        return "its vocabulary is not the 256 bytes plus one token per merge"
    ids = [vocab[token] for token in merged]
    if any(later <= earlier for earlier, later in itertools.pairwise(ids)):
        return "its ids do not follow the order of its merges"
    bpe = require("tokenizers", extra="train").models.BPE(vocab=vocab, merges=pairs)
    for token in merged:
        if [piece.id for piece in bpe.tokenize(token)] != [vocab[token]]:
            return f"its token {token!r} is not what its own bytes merge to"
    return None
