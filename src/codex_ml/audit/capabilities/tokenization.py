"""Tokenization: text to ids and back."""

from __future__ import annotations

from codex_ml.audit.capability import TESTED, Capability, Need
from codex_ml.audit.signals import Signal

CAPABILITY = Capability(
    "tokenization",
    "Tokenization",
    signals=(
        Signal(
            "tok.use",
            calls=(
                *("AutoTokenizer.from_pretrained", "PreTrainedTokenizerFast", "*Tokenizer.from_pretrained"),
                *("*TokenizerFast.from_pretrained", "Tokenizer.from_file", "SentencePieceProcessor"),
                *("tiktoken.get_encoding", "tiktoken.Encoding", "tiktoken.encoding_for_model"),
            ),
            methods=(("encode", "decode"), ("encode_text", "decode_text")),
            promises=("encode", "tokenize"),
        ),
        Signal(
            "tok.batch",
            keywords=(("*", "padding"), ("*", "truncation"), (r"(?i)tokeniz", "max_length")),
            functions=("batch_encode", "pad_batch", "collate_fn", "encode_batch"),
            calls=(
                "pad_sequence",
                "DataCollatorWithPadding",
                "DataCollatorForLanguageModeling",
                "*.encode_batch",
            ),
            methods=(("batch_encode",),),
        ),
        Signal(
            "tok.special",
            names=(
                "pad_token",
                "eos_token",
                "pad_token_id",
                "eos_token_id",
                "eos_id",
                "pad_id",
                "special_tokens",
            ),
            calls=("*.add_special_tokens",),
        ),
    ),
    needs=(
        Need(
            "use",
            ("tok.use",),
            "no tokenizer that encodes and decodes",
            "text cannot become training data",
            "load or train a tokenizer and keep it with the model",
            5,
        ),
        Need(
            "batch",
            ("tok.batch",),
            "padding and truncation are not decided anywhere",
            "batches of unequal lengths fail or are cut silently",
            "encode in batches with explicit padding and truncation",
        ),
        Need(
            "special",
            ("tok.special",),
            "pad and end-of-sequence tokens are not handled",
            "the loss is taken on padding, and generation does not end",
            "set pad and eos tokens apart and test both",
        ),
        Need(
            "guarded",
            (),
            "an optional tokenizer package is imported without a guard",
            "an ImportError far from its cause where the package is absent",
            "guard the import with an error that names the package",
            2,
            without=("optional-import",),
        ),
        Need(
            TESTED,
            (TESTED,),
            "no test with an assertion reaches the tokenizer",
            "a change of ids passes unseen",
            "test that decoding gives back what was encoded, padding and truncation included",
        ),
    ),
)
