"""The text of a difference as it may be kept: no secret, no binary content, no file made for secrets."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from codex_ml.core.redact import redact_text

#: Files whose very purpose is to hold secrets: only that they changed is kept.
_FOR_SECRETS = re.compile(
    r"(?i)(?:^|/)(?:\.env(?:\..*|rc)?|\.netrc|\.npmrc|\.pypirc|\.pgpass|\.htpasswd|\.git-credentials|"
    r"id_[a-z0-9]+|credentials(?:\..*)?|secrets?\.(?:ya?ml|json|toml|ini|txt|env)|"
    r".*\.(?:pem|key|p12|pfx|jks|keystore|kdbx|asc|gpg))$"
)
_BINARY = re.compile(r"^(GIT binary patch)\n(?:(?:literal|delta) \d+\n(?:[^\n]+\n)*\n?)+", re.MULTILINE)
#: Characters by which the speed of the redaction is measured before a long part.
_SAMPLE = 1 << 13
_LEFT_OUT = "[left out: {}]\n"
#: The names of the blobs: digests of whole files.
_BLOBS = re.compile(r"^index [0-9a-f]+\.\.[0-9a-f]+", re.MULTILINE)


@dataclass(frozen=True)
class CleanPatch:
    """A redacted difference. *complete*: nothing but secrets is missing; *redacted*: secrets are.

    *late*: there was no time for all of it.
    """

    text: str
    complete: bool
    redacted: bool
    late: bool = False


def is_for_secrets(name: str) -> bool:
    """Whether a file of this name or path is made to hold secrets."""
    return _FOR_SECRETS.search(name) is not None


def clean_patch(raw: bytes, *, most: int, seconds: float = 60.0) -> CleanPatch:
    """The beginning of a git difference without its secrets: of *most* bytes, as far as *seconds* suffice.

    Where one was taken out of a file's part, the digests of that file go too: from a digest and all the
    rest a short secret can be guessed.
    """
    text = raw[:most].decode("utf-8", "replace")
    end, complete = time.monotonic() + seconds, len(raw) <= most
    if not complete:
        text = text[: text.rfind("\n") + 1]
    sections = re.split(r"^(?=diff --git )", text, flags=re.MULTILINE)
    cleaned, late = list[CleanPatch](), False
    for section in sections:
        short = _in_time(section, end - time.monotonic())
        if short:
            cleaned.append(_section(short))
        if len(short) < len(section):
            late = True
            break
    return CleanPatch(
        "".join(part.text for part in cleaned),
        complete and not late and all(part.complete for part in cleaned),
        any(part.redacted for part in cleaned),
        late,
    )


def _in_time(section: str, seconds: float) -> str:
    """As many of the first lines of *section* as will be redacted in *seconds*, by the pace of samples."""
    if seconds <= 0:
        return ""
    if len(section) <= 2 * _SAMPLE:
        return section
    paces = []
    for at in (0, (len(section) - _SAMPLE) // 2, len(section) - _SAMPLE):
        started = time.perf_counter()
        redact_text(section[at : at + _SAMPLE])
        paces.append((time.perf_counter() - started) / _SAMPLE)
    room = int(seconds / max(paces))
    return section if len(section) <= room else section[: section.rfind("\n", 0, room) + 1]


def _section(section: str) -> CleanPatch:
    """One file's part."""
    head, mark, _ = section.partition("\n@@ ")
    names = re.findall(r"^(?:\+\+\+|---) \"?(?:[ab]/)?(.+?)\"?\t?$", head, flags=re.MULTILINE)
    if mark and any(is_for_secrets(name) for name in names):
        kept = _BLOBS.sub("index [redacted:digests]", redact_text(head))
        return CleanPatch(f"{kept}\n{_LEFT_OUT.format('a file for secrets')}", complete=False, redacted=True)
    without, count = _BINARY.subn(rf"\1\n{_LEFT_OUT.format('binary content')}", section)
    text = redact_text(without)
    if text != without:
        text = _BLOBS.sub("index [redacted:digests]", text)
    return CleanPatch(text, complete=not count, redacted=text != without)
