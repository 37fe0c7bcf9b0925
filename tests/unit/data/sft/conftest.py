"""A small chat tokenizer, two ChatML templates, and samples to go with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from codex_ml.config.schema.data import DataConfig
from codex_ml.core.paths import Home
from codex_ml.data.sft.prepare import SamplesRef, prepare_samples
from codex_ml.tokenization.store import TokenizerRef, keep_given
from corpora import WORDS, code, data_config, tokenizer_config

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>")
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
MARKED = """\
{% for message in messages %}
    {% if message['role'] == 'assistant' %}
{{ '<|im_start|>assistant\\n' }}
{%- generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}
    {%- else %}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
    {%- endif %}
{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""


@dataclass(frozen=True)
class Kit:
    """What the tests of samples share."""

    base: Path
    chatml: str = CHATML
    marked: str = MARKED

    def tokenizer(self, directory: Path, *, template: str | None = CHATML, **settings: Any) -> Path:
        """A tokenizer directory with *template*; *settings* go into its tokenizer_config.json."""
        shutil.copytree(self.base, directory)
        path = directory / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))
        if template is not None:
            (directory / "chat_template.jinja").write_text(template)
        return directory

    def kept(self, directory: Path, *, home: Path) -> TokenizerRef:
        return keep_given(tokenizer_config(0, path=directory), home=Home(home))

    def config(self, path: Path, **changes: Any) -> DataConfig:
        new = {"format": "auto", "template": None, "overlong": "error", "packing": "best_fit"}
        return data_config(changes.pop("source", "jsonl"), path=path, **(new | changes))

    def write(self, path: Path, records: list[Any]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    def chats(self, count: int, *, turns: int = 1) -> list[dict[str, Any]]:
        """Different conversations of different lengths."""
        records = []
        for number in range(count):
            messages = [{"role": "system", "content": "You write code."}] if number % 3 == 0 else []
            for turn in range(1 + (number % turns)):
                asked = f"Write {WORDS[number % len(WORDS)]} number {number}, part {turn}: größer 数"
                said = code(number, functions=1 + number % 3)[: 20 + 7 * (number % 11)]
                messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
            records.append({"messages": messages})
        return records


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    # As Llama's: this trims blanks off the characters that a token is said to cover.
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([code(seed) for seed in range(10)], trainer)
    base = tmp_path_factory.mktemp("chat") / "tokenizer"
    base.mkdir()
    tokenizer.save(str(base / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|pad|>",
    }
    (base / "tokenizer_config.json").write_text(json.dumps(settings))
    return Kit(base)


Prepare = Callable[..., SamplesRef]


@pytest.fixture
def prepare(kit: Kit, tmp_path: Path) -> Prepare:
    """Samples from records, or from a file, with a tokenizer of *template*."""

    def call(
        data: list[Any] | Path,
        *,
        template: str | None = CHATML,
        context: int = 256,
        tokenizer: Path | None = None,
        progress: Any = None,
        home: Path | None = None,
        **changes: Any,
    ) -> SamplesRef:
        path = data if isinstance(data, Path) else kit.write(tmp_path / "data.jsonl", data)
        directory = tokenizer
        if directory is None:
            directory = tmp_path / f"tokenizer{len(list(tmp_path.iterdir()))}"
            kit.tokenizer(directory, template=template)
        home = home or tmp_path / "home"
        kept = kit.kept(directory, home=home)
        cfg = kit.config(path, **changes)
        return prepare_samples(cfg, tokenizer=kept, context=context, home=Home(home), progress=progress)

    return call
