"""Files loaded in a way that runs what is in them."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Call, Source

_PICKLES = (
    "pickle.load",
    "pickle.loads",
    "dill.load",
    "dill.loads",
    "cloudpickle.load",
    "joblib.load",
    "shelve.open",
)


def _source(source: Source) -> Iterable[Finding]:
    for call in source.calls:
        if call.name == "torch.load" and not _weights_only(call):
            yield RULE.finding(
                source.place(call.line),
                "torch.load without weights_only=True",
                "pass weights_only=True, or keep tensors as safetensors",
                symbol=call.owner,
                confidence=5,
            )
        elif call.name in _PICKLES and not source.is_test:
            yield RULE.finding(
                source.place(call.line),
                f"{call.name} runs what a file tells it to",
                "keep data as JSON, NumPy or safetensors",
                symbol=call.owner,
            )


def _weights_only(call: Call) -> bool:
    given = call.keyword("weights_only")
    if given is None:
        return any(one.arg is None for one in call.node.keywords)
    return not (isinstance(given, ast.Constant) and given.value is False)


RULE = Rule(
    "unsafe-load",
    "high",
    "Unsafe deserialisation",
    "Pickles run code when they are loaded; whoever can change the file runs it here.",
    source=_source,
)
