"""On the whole standard library: equal ids from both encoders, and every byte comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from codex_ml.data.document import Document
from codex_ml.data.sources.python_stdlib import PythonStdlibSource
from codex_ml.tokenization.bpe import train_bpe
from codex_ml.tokenization.engine import FastEncoder
from codex_ml.tokenization.hf_tokenizer import HFTokenizerAdapter
from corpora import data_config

pytestmark = [pytest.mark.needs("train"), pytest.mark.slow]


def test_ids_are_equal_and_text_comes_back_on_every_file(tmp_path: Path) -> None:
    source = PythonStdlibSource(data_config("python_stdlib", include=("**/*.py",), on_error="skip"))
    texts = [item.text for item in source.documents() if isinstance(item, Document)]
    assert len(texts) > 400
    trained = train_bpe(texts[::20], vocab_size=4096)
    (tmp_path / "tokenizer.json").write_text(trained.to_str(), encoding="utf-8")
    encoder = FastEncoder.from_directory(tmp_path)
    assert encoder.backend == "tiktoken"
    fast = encoder.encode_documents(texts)
    trained.encode_special_tokens = True
    for start in range(0, len(texts), 200):
        part = slice(start, start + 200)
        slow = [row.ids for row in trained.encode_batch_fast(texts[part])]
        assert [row.tolist() for row in fast[part]] == slow
    adapter = HFTokenizerAdapter(tmp_path)
    for text, ids in list(zip(texts, fast, strict=True))[::5]:
        assert adapter.decode(ids.tolist()) == text
