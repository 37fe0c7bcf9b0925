"""Models whose own code is run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Call, Source

_OPTION = "trust_remote_code"
_ACTION = "leave it out and pin a reviewed copy of the model"


def _source(source: Source) -> Iterable[Finding]:
    for call in source.calls if _OPTION in source.text else ():
        given = _given(call.node)
        if isinstance(given, ast.Constant) and given.value is True:
            yield _told(source, call, f"{call.last}({_OPTION}=True)", 5, "")
        elif given is not None and not isinstance(given, ast.Constant):
            yield _told(source, call, f"{call.last}({_OPTION}=…): decided elsewhere", 2, "low")
    for call in source.calls if "hub" in source.text else ():
        if call.name == "torch.hub.load" and not _is_local(call):
            yield _told(source, call, "torch.hub.load runs the hubconf.py of the repository", 4, "")


def _told(source: Source, call: Call, said: str, confidence: int, severity: str) -> Finding:
    place = source.place(call.line)
    return RULE.finding(place, said, _ACTION, symbol=call.owner, confidence=confidence, severity=severity)


def _given(node: ast.Call) -> ast.expr | None:
    """What the option is given, also within ``**{…}``."""
    for one in node.keywords:
        if one.arg == _OPTION:
            return one.value
        if one.arg is None and isinstance(one.value, ast.Dict):
            for key, value in zip(one.value.keys, one.value.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == _OPTION:
                    return value
    return None


def _is_local(call: Call) -> bool:
    given = call.keyword("source")
    return isinstance(given, ast.Constant) and given.value == "local"


def _tree(index: Index, found: Sequence[Finding]) -> Iterable[Finding]:
    yield from found
    for file in index.tree.files:
        if file.suffix in (".yaml", ".yml") and file.size < 1_000_000:
            for number, line in index.project.lines(
                file, rf"(?i)\b{_OPTION}[\"']?\s*[:=]\s*[\"']?(true|yes|on)\b"
            ):
                if not line.lstrip().startswith("#"):
                    yield RULE.finding((file.path, number), line.strip()[:200], _ACTION, confidence=5)


RULE = Rule(
    "trust-remote-code",
    "high",
    "Remote code of a model is trusted",
    "Whoever can push to the model's repository runs code on this machine.",
    source=_source,
    tree=_tree,
)
