"""A path to resume from that is accepted and leads nowhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Source

_OPTION = re.compile(r"^--?resume([-_]from([-_]checkpoint)?)?$")
_TRAINER = re.compile(r"Trainer$")


def _source(source: Source) -> Iterable[Finding]:
    if "resume" not in source.text or source.is_test:
        return
    for call in source.calls:
        if _TRAINER.search(call.last) and call.keyword("resume_from_checkpoint") is not None:
            yield RULE.finding(
                source.place(call.line),
                f"{call.last}(resume_from_checkpoint=…): the constructor has no such argument",
                "pass it to .train(resume_from_checkpoint=…)",
                symbol=call.owner,
                confidence=5,
            )
        elif call.last == "add_argument" and _takes_resume(call.node) and _train_without(source):
            yield RULE.finding(
                source.place(call.line),
                "a path to resume from is read and not given to .train()",
                "pass it to .train(resume_from_checkpoint=…)",
                symbol=call.owner,
            )


def _takes_resume(node: ast.Call) -> bool:
    return any(isinstance(one, ast.Constant) and _OPTION.match(str(one.value)) for one in node.args)


def _train_without(source: Source) -> bool:
    """Whether a trainer is made here and started without a checkpoint."""
    started = [call for call in source.calls if call.last == "train" and "Trainer()" in call.name]
    return bool(started) and not any(call.node.args or call.has("resume_from_checkpoint") for call in started)


RULE = Rule(
    "resume-not-wired",
    "high",
    "Resume is not wired",
    "A run that was to go on starts over, and says nothing.",
    source=_source,
)
