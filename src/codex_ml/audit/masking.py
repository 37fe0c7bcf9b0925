"""Texts of the audited tree on their way into a report: no secret in them, and no half of one."""

from __future__ import annotations

from typing import Any

from codex_ml.audit.secrets import find_secrets
from codex_ml.core.redact import redact_value

#: Any name: what is looked at is a text, not a Python file.
_PATH = "report.txt"


def masked(text: str) -> str:
    """*text* without what any detector of secrets finds in it; the same on every machine."""
    found: str = redact_value(text, known=False)
    for secret in find_secrets(_PATH, found):
        found = found.replace(secret.value, "[redacted]")
    return found


def excerpt(text: str, most: int) -> str:
    """The beginning of a text, on one line; masked before it is cut: half a secret is not known as one."""
    return masked(" ".join(text.split()))[:most]


def mask_all(value: Any) -> Any:
    """Every string in *value* masked; keys of dictionaries and, of keys of findings, the rule stay."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {
            name: list(map(_masked_key, one)) if name == "keys" else mask_all(one)
            for name, one in value.items()
        }
    return [mask_all(one) for one in value] if isinstance(value, list | tuple) else value


def _masked_key(key: str) -> str:
    rule, colon, rest = key.partition(":")
    return f"{rule}{colon}{masked(rest)}"


def leaks(text: str) -> bool:
    """Whether a secret stands in *text*."""
    return masked(text) != text
