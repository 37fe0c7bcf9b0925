"""Secrets that stand on the lines below their key: block scalars, lists and brackets, also within a diff."""

from __future__ import annotations

import re

from codex_ml.core.secret_keys import is_mixed, is_secret_value, judge_key

#: A key with nothing on its line but what opens a block: ``token: >-``, ``password = (``, ``passwords:``.
_OPENING = re.compile(
    r"^(?P<mark>[+\- ]?)(?P<indent>[ \t]{0,80})(?:-[ \t]{1,4})?"
    r"[\"']?(?P<key>[A-Za-z][\w.\-]{1,80})[\"']?[ \t]{0,4}"
    r"(?P<sign>:=|=>|=|:)[ \t]{0,4}(?P<open>[>|][+-]?[0-9]?|\(|\[|)[ \t]{0,4}(?:#[^\n]*)?\r?$",
    re.MULTILINE,
)
_LINE = re.compile(r"(?P<mark>[+\- ]?)(?P<indent>[ \t]*)(?P<dash>-[ \t]+)?(?P<body>[^\r\n]*)")
_QUOTED = re.compile(r"^([rbfuRBFU]{0,2}[\"'])(.*?)([\"'][,)\]]*)$")
#: So many lines of one block are looked at.
_MOST = 60


def redact_blocks(text: str) -> str:
    """Replace the lines of a block under a key that names a secret."""
    pieces: list[str] = []
    done = 0
    for found in _OPENING.finditer(text):
        if found.start() < done:
            continue
        judged = judge_key(found["key"])
        if judged is None or (judged[1] != "certain" and not found["key"].lower().endswith("secrets")):
            continue
        listed = judged[1] == "likely"  # secrets: a list of names, or of values
        at = found.end() + 1
        for _ in range(_MOST):
            stop = text.find("\n", at)
            stop = len(text) if stop < 0 else stop
            line = _LINE.match(text, at, stop)
            if at >= len(text) or line is None or not _inside(line, found):
                break
            value = _secret(line["body"], found["open"])
            if value is not None and (is_secret_value(value, *judged) or (listed and is_mixed(value))):
                start = line.start("body") + line["body"].index(value)
                pieces += [text[done:start], f"[redacted:{judged[0]}]"]
                done = start + len(value)
            at = stop + 1
    return "".join([*pieces, text[done:]])


def _inside(line: re.Match[str], opening: re.Match[str]) -> bool:
    """Whether a line belongs to the block: deeper than its key, or a list at its depth."""
    if not line["body"].strip():
        return bool(line["dash"] is None and opening["open"] in (">", "|", ">-", "|-"))
    deeper = len(line["indent"]) > len(opening["indent"])
    return deeper or (line["dash"] is not None and len(line["indent"]) >= len(opening["indent"]))


def _secret(body: str, opened: str) -> str | None:
    """The text of a line that may be a secret: quoted, or one word, or any line of a block scalar."""
    body = body.strip()
    quoted = _QUOTED.match(body)
    if quoted:
        return quoted[2] or None
    if opened[:1] in (">", "|"):
        return body or None
    if opened or " " in body or body.endswith(":") or not body:
        return None  # code, prose or a mapping of its own
    return body
