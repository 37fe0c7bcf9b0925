"""What makers of patches work with: files read once, and edits of those in which a rule found something."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from codex_ml.audit.audit import Audit
from codex_ml.audit.edits import Code
from codex_ml.audit.model import Finding
from codex_ml.audit.source import Source
from codex_ml.core.digest import digest_bytes


@dataclass(frozen=True)
class Edit:
    """One change, as files before (``None``: a new file) and after. Texts keep their line ends and marks."""

    title: str
    files: Mapping[str, tuple[str | None, str]]
    why: str
    risk: str
    validation: str
    rule: str

    @property
    def id(self) -> str:
        """The same when other edits come and go."""
        return f"{self.rule}-{digest_bytes(self.title.encode('utf-8', 'replace'))[:8]}"


class PatchContext:
    """An audit, and its files as they are taken up to be changed: each is read and parsed once."""

    def __init__(self, audit: Audit) -> None:
        self.audit = audit
        self._codes: dict[str, Code | None] = {}

    def code(self, path: str) -> Code | None:
        """A file of the repository; None for what cannot be read as UTF-8."""
        if path not in self._codes:
            text = exact_text(self.audit.tree.root, path)
            self._codes[path] = None if text is None else Code(path, text)
        return self._codes[path]


Maker = Callable[[PatchContext], Iterator[Edit]]
#: (file, what it holds, findings there) -> its text, mended; None where that cannot be done safely.
Rewrite = Callable[[Code, Source, list[Finding]], str | None]


def rewritten(
    context: PatchContext,
    rule: str,
    rewrite: Rewrite,
    *,
    title: str,
    why: str,
    risk: str,
    validation: str,
    by_symbol: bool = False,
) -> Iterator[Edit]:
    """One edit for each file where *rule* found something, or *by_symbol* for each file and symbol.

    The texts may name ``{path}`` and ``{symbols}``. Notebooks are left alone.
    """
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for one in context.audit.findings:
        if one.rule == rule and "#" not in one.evidence.path:
            groups[one.evidence.path, one.evidence.symbol if by_symbol else ""].append(one)
    for (path, _symbol), found in sorted(groups.items()):
        code = context.code(path)
        source = code.source if code is not None else None
        changed = rewrite(code, source, found) if code is not None and source is not None else None
        if code is not None and changed is not None:
            symbols = ", ".join(sorted({one.evidence.symbol for one in found}))
            texts = (title, why, risk, validation)
            name, *told = (words.format(path=path, symbols=symbols) for words in texts)
            yield Edit(name, {path: (code.text, changed)}, told[0], told[1], told[2], rule)


def lines_of(found: list[Finding]) -> set[int]:
    """The lines that findings stand on."""
    return {one.evidence.line for one in found}


def exact_text(root: Path, path: str) -> str | None:
    """The text of a file as it lies there, line ends and marks kept; None for what is no UTF-8."""
    try:
        return (root / path).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
