"""Files loaded in a way that runs what is in them."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Call, Source

_TORCH = frozenset({"torch.load", "torch.serialization.load"})
_PICKLES = frozenset(
    {
        *("pickle.load", "pickle.loads", "pickle.Unpickler", "_pickle.load", "_pickle.loads", "cPickle.load"),
        *("dill.load", "dill.loads", "dill.Unpickler", "cloudpickle.load", "cloudpickle.loads"),
        *("joblib.load", "sklearn.externals.joblib.load", "shelve.open", "marshal.load", "marshal.loads"),
        *("pandas.read_pickle", "pandas.io.pickle.read_pickle", "jsonpickle.decode"),
    }
)
#: They call what they are given, with what they are given beside it.
CALLERS = frozenset(
    {
        *("partial", "map", "imap", "imap_unordered", "starmap", "map_async", "thread_map", "process_map"),
        *("submit", "apply_async", "run_in_executor", "to_thread", "run_sync", "delayed"),
    }
)
_SAFE = "pass weights_only=True, or keep tensors as safetensors"
_PLAIN = "keep data as JSON, NumPy or safetensors"


def _source(source: Source) -> Iterable[Finding]:
    for call in source.calls:
        if is_unsafe_torch_load(source, call):
            yield RULE.finding(
                source.place(call.line),
                "torch.load without weights_only=True",
                _SAFE,
                symbol=call.owner,
                confidence=5 if call.name in _TORCH else 4,
            )
        elif not source.is_test and (said := _unsafe(source, call)):
            yield RULE.finding(source.place(call.line), said, _PLAIN, symbol=call.owner)


def is_unsafe_torch_load(source: Source, call: Call) -> bool:
    """Whether ``torch.load`` is called, or handed on to be, and may unpickle anything."""
    named = call.name in _TORCH or (call.last in CALLERS and handed_on(source, call) in _TORCH)
    return named and not _weights_only(call)


def _unsafe(source: Source, call: Call) -> str:
    """What is wrong with a call, or nothing."""
    if call.name in _PICKLES:
        return f"{call.name} runs what a file tells it to"
    if call.name == "numpy.load":
        unsafe = _constant(call.keyword("allow_pickle")) is True
        return "numpy.load(allow_pickle=True) runs what a file tells it to" if unsafe else ""
    if call.name == "torch.hub.load_state_dict_from_url":
        return "" if _weights_only(call) else f"{call.name} without weights_only=True"
    name = handed_on(source, call)
    return f"{name}, handed on, runs what a file tells it to" if name in _PICKLES else ""


def handed_on(source: Source, call: Call) -> str:
    """The function that is called elsewhere, as in ``partial(torch.load)`` or ``map(pickle.loads, rows)``."""
    if call.last in CALLERS:
        for one in call.node.args:
            if isinstance(one, ast.Name | ast.Attribute):
                return source.meaning(one, call.owner)
    return ""


def _constant(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


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
