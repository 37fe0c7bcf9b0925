"""Which chat template: the file of the config, else the tokenizer's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_ml.core.digest import digest_bytes
from codex_ml.core.publish import read_json
from codex_ml.errors import ConfigError
from codex_ml.tokenization.hf_tokenizer import TOKENIZER_CONFIG

TEMPLATE_FILE = "chat_template.jinja"
SPECIAL_MAP = "special_tokens_map.json"


@dataclass(frozen=True)
class ChatTemplate:
    """The text of a template; *name* says to people where it came from."""

    name: str
    text: str
    special: dict[str, str]  # the names it may use, as bos_token

    @property
    def sha256(self) -> str:
        return digest_bytes(self.text.encode("utf-8"))


def find_template(given: str | None, *, tokenizer: Path) -> ChatTemplate | None:
    """The file *given*, else the template of the directory *tokenizer*, else None.

    Raises ConfigError for a file that cannot be read, or several templates of which none is the default.
    """
    special = special_tokens(tokenizer)
    if given is not None:
        return ChatTemplate(f"data.template={given}", _read(Path(given).expanduser()), special)
    own = tokenizer / TEMPLATE_FILE
    if own.is_file():
        return ChatTemplate(f"of the tokenizer ({TEMPLATE_FILE})", _read(own), special)
    text = _configured(_settings(tokenizer / TOKENIZER_CONFIG).get("chat_template"))
    return None if text is None else ChatTemplate(f"of the tokenizer ({TOKENIZER_CONFIG})", text, special)


def special_tokens(tokenizer: Path) -> dict[str, str]:
    """The named special tokens of a tokenizer directory, such as ``eos_token``."""
    found: dict[str, str] = {}
    for file in (SPECIAL_MAP, TOKENIZER_CONFIG):
        for name, token in _settings(tokenizer / file).items():
            token = token.get("content") if isinstance(token, dict) else token
            if name.endswith("_token") and isinstance(token, str):
                found[name] = token
    return found


def no_template(tokenizer: str) -> ConfigError:
    """The error for conversations without a template."""
    return ConfigError(
        "conversations need a chat template, and the tokenizer has none",
        code="template.missing",
        got=f"no {TEMPLATE_FILE} and no chat_template in {TOKENIZER_CONFIG} of {tokenizer}",
        wanted="a Jinja template that turns messages into text",
        next_step="give the template that the model was trained with: data.template=FILE",
    )


def _configured(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    named = {
        row.get("name"): row.get("template")
        for row in (value if isinstance(value, list) else [])
        if isinstance(row, dict)
    }
    text = named.get("default")
    if isinstance(text, str):
        return text
    raise ConfigError(
        f"the chat templates in {TOKENIZER_CONFIG} have no default",
        code="template.unreadable",
        got=", ".join(sorted(map(str, named))) or type(value).__name__,
        wanted="a text, or a list of named templates of which one is 'default'",
        next_step="copy the one that is meant into a file and give it: data.template=FILE",
    )


def _settings(path: Path) -> dict[str, Any]:
    content = read_json(path) if path.is_file() else {}
    return content if isinstance(content, dict) else {}


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the chat template {path} cannot be read",
            code="template.unreadable",
            got=str(error),
            next_step="set data.template to a Jinja file, or to null for the tokenizer's own",
        ) from error
    # A byte-order mark would become the first character of every sample.
    return text.removeprefix("\ufeff")
