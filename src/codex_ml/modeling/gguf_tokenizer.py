"""How GGUF names the way text is cut, and the pre-tokenizer of ``tokenizer.json`` that each name means.

transformers converts the vocabulary and knows some of these names; the others it takes for GPT-2's,
which cuts numbers differently. A name that nobody knows is an error: wrong ids are worse than none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codex_ml.core.publish import read_json, write_json
from codex_ml.errors import UsageError
from codex_ml.modeling.pretrained_files import TOKENIZER

_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_DIGITS = {"type": "Digits", "individual_digits": True}
#: One digit at a time, then GPT-2's pattern (llama.cpp: LLAMA_VOCAB_PRE_TYPE_SMOLLM and its like).
_DIGITS_FIRST = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b")
#: GPT-2's own pattern, which the conversion gives. "default" are files from before names were written.
_PLAIN = ("gpt-2", "gpt2", "mpt", "olmo", "jais", "phi-2", "trillion", "default")


def pre_tokenizers() -> dict[str, dict[str, Any]]:
    """The pre-tokenizers that we write, by GGUF's name of each; the first name is the one exported."""
    digits = {"type": "Sequence", "pretokenizers": [_DIGITS, _BYTES]}
    return dict.fromkeys(_DIGITS_FIRST, digits) | dict.fromkeys(_PLAIN, _BYTES)


def fix_pre_tokenizer(directory: Path, facts: dict[str, Any]) -> None:
    """Give ``tokenizer.json`` the pre-tokenizer that the GGUF file names. Raises UsageError if unknown."""
    if facts.get("tokenizer.ggml.model") != "gpt2":
        return  # sentencepiece needs none
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    name = str(facts.get("tokenizer.ggml.pre", "default"))
    if name in GGUF_PRE_TOKENIZER_SPLITS:
        return
    known = pre_tokenizers()
    if name not in known:
        raise UsageError(
            "this GGUF file cuts text in a way that is not known here",
            code="model.gguf-tokenizer",
            got=name,
            wanted=", ".join(sorted({*known, *GGUF_PRE_TOKENIZER_SPLITS})),
            next_step="take the model's safetensors directory, which brings its own tokenizer.json",
        )
    content = read_json(directory / TOKENIZER)
    content["pre_tokenizer"] = known[name]
    write_json(directory / TOKENIZER, content)


def name_of(tokenizer: dict[str, Any]) -> str:
    """GGUF's name for how a ``tokenizer.json`` cuts text. Raises UsageError where it has none."""
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    cut = _relevant(tokenizer.get("pre_tokenizer"))
    model = tokenizer.get("model") or {}
    if tokenizer.get("normalizer") is None and model.get("type") == "BPE" and not model.get("byte_fallback"):
        for name, content in pre_tokenizers().items():
            if _relevant(content) == cut:
                return name
        for name in ("llama-bpe", "qwen2", "tekken", "gpt-4o"):
            if ("split", GGUF_PRE_TOKENIZER_SPLITS[name]) in cut and len(cut) == 2:
                return name
    raise UsageError(
        "GGUF has no name for the way this tokenizer cuts text",
        code="model.gguf-tokenizer",
        got=f"{model.get('type')}, {cut}"[:300],
        wanted="byte-level BPE as in " + ", ".join((*_DIGITS_FIRST[:1], *_PLAIN[:1], "llama-bpe", "qwen2")),
        next_step="use --format merged; llama.cpp cannot encode as this tokenizer does",
    )


def _relevant(step: Any) -> list[tuple[str, Any]]:
    """What of a pre-tokenizer decides where text is cut."""
    if not isinstance(step, dict):
        return []
    kind = step.get("type")
    if kind == "Sequence":
        return [part for inner in step["pretokenizers"] for part in _relevant(inner)]
    if kind == "ByteLevel":
        return [("bytes", (bool(step.get("add_prefix_space")), bool(step.get("use_regex", True))))]
    if kind == "Digits":
        return [("digits", bool(step.get("individual_digits")))]
    if kind == "Split" and not step.get("invert") and step.get("behavior") == "Isolated":
        return [("split", (step.get("pattern") or {}).get("Regex"))]
    return [("other", str(step))]
