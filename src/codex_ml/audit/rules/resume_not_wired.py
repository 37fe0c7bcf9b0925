"""A path to resume from that is accepted and leads nowhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Call, Source

#: Whose trainers take the path in ``.train(resume_from_checkpoint=…)``, and nowhere else.
_PACKAGES = frozenset(
    {
        *("transformers", "trl", "adapters", "optimum", "setfit", "sentence_transformers", "unsloth"),
        *("span_marker", "pylate"),
    }
)
_OPTION = re.compile(r"^--resume(?:[-_]from(?:[-_]checkpoint)?)?$")
ARGUMENT = "resume_from_checkpoint"
_ACTION = f"pass it to .train({ARGUMENT}=…)"


def _source(source: Source) -> Iterable[Finding]:
    if "resume" not in source.text or source.is_test:
        return
    own = own_trainers(source)
    for call in source.calls:
        if is_trainer(call.name, own) and call.keyword(ARGUMENT) is not None and call.name not in own:
            yield RULE.finding(
                source.place(call.line),
                f"{call.last}({ARGUMENT}=…): the constructor has no such argument",
                _ACTION,
                symbol=call.owner,
                confidence=5,
            )
        elif resume_option(call) and _train_without(source, own) and not _is_read(source, call):
            yield RULE.finding(
                source.place(call.line),
                "a path to resume from is read and not given to .train()",
                _ACTION,
                symbol=call.owner,
            )


def own_trainers(source: Source) -> frozenset[str]:
    """Classes of the file below a trainer of Hugging Face."""
    found: set[str] = set()
    for one in source.definitions:  # in order: a class stands before those below it
        if one.is_class and any(is_trainer(base, frozenset(found)) for base in one.bases):
            found |= {one.name, one.short}
    return frozenset(found)


def is_trainer(name: str, own: frozenset[str]) -> bool:
    """Whether a resolved name is a trainer of Hugging Face, or of *own*."""
    return name in own or (name.endswith("Trainer") and name.partition(".")[0] in _PACKAGES)


def starts(source: Source, call: Call, own: frozenset[str]) -> bool:
    """Whether a call is ``.train()`` of such a trainer."""
    func = call.node.func
    if call.last != "train" or not isinstance(func, ast.Attribute):
        return False
    if isinstance(func.value, ast.Call):
        return is_trainer(source.meaning(func.value.func, call.owner), own)
    return is_trainer(call.name.removesuffix("().train"), own)


def resume_option(call: Call) -> str:
    """The name under which ``add_argument("--resume…")`` keeps its value; nothing for other calls."""
    if call.last != "add_argument":
        return ""
    options = [
        one.value for one in call.node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]
    if not any(_OPTION.match(one) for one in options):
        return ""
    kept = call.keyword("dest")
    if kept is not None:
        return kept.value if isinstance(kept, ast.Constant) and isinstance(kept.value, str) else ""
    return next(one for one in options if one.startswith("--")).lstrip("-").replace("-", "_")


def _is_read(source: Source, option: Call) -> bool:
    """Whether the file does something of its own with the value."""
    name = resume_option(option)
    return any(word == name for word, _line, _owner in source.names)


def _train_without(source: Source, own: frozenset[str]) -> bool:
    """Whether a trainer is made here and started without a checkpoint."""
    started = [call for call in source.calls if starts(source, call, own)]
    return bool(started) and not any(call.node.args or call.has(ARGUMENT) for call in started)


RULE = Rule(
    "resume-not-wired",
    "high",
    "Resume is not wired",
    "A run that was to go on starts over, and says nothing.",
    source=_source,
)
