"""Golden token ids beside an exported model: whoever loads it proves that its tokenizer says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codex_ml.core.optional import require
from codex_ml.core.publish import read_json, write_json
from codex_ml.data.sft.renderer import Job, Renderer
from codex_ml.data.sft.template import find_template
from codex_ml.errors import ConfigError, DataError, IntegrityError

GOLDEN = "golden.json"
TEXTS = (
    "",
    " ",
    "\n",
    "Hello, world!",
    "hello world",
    "  two  spaces and trailing ",
    "\ttabs\tand\r\nline ends\n\n\n",
    "1234567890 3.14159 0xFF 1e-05",
    "don't you're we'll I'd",
    "naïve café, Zürich",
    "Привет, мир",
    "你好，世界",
    "こんにちは世界",
    "مرحبا بالعالم",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽",
    "e\u0301 \u00e9 \ufb01 \u200b|\u200d|\ufeff",
    "def f(x: int) -> int:\n    return x ** 2  # square\n",
    "for (int i = 0; i < n; ++i) { a[i] <<= 1; }",
    'print(f"{value!r:>10}")\n\n\nclass A(B):\n\tpass\n',
    "SELECT * FROM t WHERE a != 'b' AND c <> \"d\";",
    "https://example.org/a?b=c&d=%20#e",
    "CamelCase snake_case SCREAMING_CASE kebab-case",
)
_CHAT = ({"role": "user", "content": "What is 12 + 30?\n"}, {"role": "assistant", "content": "It is 42."})


def load_tokenizer(directory: Path) -> Any:
    """The tokenizer of *directory* as transformers loads it. Raises ConfigError where it does not load."""
    transformers = require("transformers", extra="train")
    try:
        return transformers.AutoTokenizer.from_pretrained(
            str(directory), local_files_only=True, trust_remote_code=False
        )
    except BaseException as error:
        # tokenizers raises exactly Exception for bad content, transformers the two others.
        if type(error) is not Exception and not isinstance(error, ValueError | OSError):
            raise
        raise ConfigError(
            f"the tokenizer of {directory} does not load",
            code="tokenizer.path",
            got=str(error)[:300],
            next_step="restore its tokenizer files from where the model came from",
        ) from error


def golden_of(directory: Path) -> dict[str, Any]:
    """What the tokenizer in *directory* makes of the fixed texts, its special tokens and a chat."""
    tokenizer = load_tokenizer(directory)
    specials = sorted(set(tokenizer.all_special_tokens))
    texts = [*TEXTS, *specials, *(f"a{token}b {token}" for token in specials)]
    chat = _chat_of(directory)
    return {
        "format": 1,
        "ids": [[text, list(tokenizer(text)["input_ids"])] for text in texts],
        "chat": chat,
        "chat_ids": None if chat is None else list(tokenizer(chat, add_special_tokens=False)["input_ids"]),
    }


def _chat_of(directory: Path) -> str | None:
    """The fixed chat through the directory's template; None without one, or where it does not render.

    In the same sandbox as training data, which knows no time: a date would be another text tomorrow.
    """
    template = find_template(None, tokenizer=directory)
    if template is None:
        return None
    try:
        with Renderer(template) as renderer:
            (found,) = renderer.render([Job("golden.json", [dict(turn) for turn in _CHAT], prompt=True)])
    except DataError:
        return None
    return None if isinstance(found, DataError) else found.text


def write_golden(directory: Path, *, source: Path) -> None:
    """Record what the tokenizer of *source* says, and require that the one in *directory* says the same."""
    write_json(directory / GOLDEN, golden_of(source))
    check_golden(directory)


def check_golden(directory: Path) -> None:
    """Raise IntegrityError when the tokenizer in *directory* says other than ``golden.json``."""
    wanted, found = read_json(directory / GOLDEN), golden_of(directory)
    for row, own in zip(wanted["ids"], found["ids"], strict=False):
        if row != own:
            raise _differs(directory, f"{row[0]!r} as {own[1]}", row[1])
    for name in ("ids", "chat", "chat_ids"):
        if wanted[name] != found[name]:
            raise _differs(directory, f"{name} {str(found[name])[:200]}", str(wanted[name])[:200])


def _differs(directory: Path, got: object, wanted: object) -> IntegrityError:
    return IntegrityError(
        f"the tokenizer of {directory} does not encode as it did when the model was written",
        code="model.golden",
        got=got,
        wanted=wanted,
        next_step="restore its tokenizer files, or use the version of transformers that wrote them",
    )
