from __future__ import annotations

from pathlib import Path

import pytest

from codex_ml.core.paths import Home
from codex_ml.tokenization.evaluate import evaluate_tokenizer
from codex_ml.tokenization.store import prepare_tokenizer
from corpora import code, tokenizer_config

pytestmark = pytest.mark.needs("train")


def test_bytes_per_token_are_summed_by_language_beside_another_tokenizer(tmp_path: Path) -> None:
    texts = [code(seed) for seed in range(20)]
    small, large = (
        prepare_tokenizer(
            lambda: iter(texts), corpus_digest="c", cfg=tokenizer_config(size), home=Home(tmp_path)
        )
        for size in (280, 400)
    )
    pairs = [("a.py", code(99)), ("b/c.PY", code(98)), ("d.rs", "fn main() {}"), ("LICENSE", "text")]
    report = evaluate_tokenizer(large.directory, texts=pairs, against=small.directory)
    assert [row.language for row in report.rows] == ["python", "rust", "other", "all"]
    python, total = report.rows[0], report.rows[-1]
    assert python.documents == 2
    assert total.bytes == sum(len(text.encode()) for _, text in pairs)
    assert total.tokens == sum(len(large.open().encode(text)) for _, text in pairs)
    assert total.other_tokens == sum(len(small.open().encode(text)) for _, text in pairs)
    assert python.other_bytes_per_token is not None
    assert python.bytes_per_token > python.other_bytes_per_token
    alone = evaluate_tokenizer(large.directory, texts=pairs)
    assert alone.rows[-1].other_bytes_per_token is None
    assert alone.other_vocab_size is None
