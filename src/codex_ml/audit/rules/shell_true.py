"""Commands that go through a shell."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Call, Source

_SHELLS = frozenset(
    {
        *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"),
        *("asyncio.create_subprocess_shell", "asyncio.subprocess.create_subprocess_shell"),
    }
)
#: Their arguments are the words of the command; those of others are a list of them.
_BY_WORDS = re.compile(r"^(asyncio\.(subprocess\.)?create_subprocess_exec|os\.(exec|spawn)\w+)$")
_A_SHELL = re.compile(r"^(/usr)?(/bin/)?(ba|da|z|k|c|fi)?sh$")
_RUNS_TEXT = re.compile(r"^-[a-z]*c$")


def _source(source: Source) -> Iterable[Finding]:
    for call in source.calls:
        if (text := _text_for_a_shell(call)) is not None:
            yield RULE.finding(
                source.place(call.line),
                f"{call.name} runs its text in a shell",
                "pass a list of words, and quote with shlex where a shell is wanted",
                symbol=call.owner,
                severity="low" if isinstance(text, ast.Constant) else "",
            )
        elif _may_use_a_shell(call):
            yield RULE.finding(
                source.place(call.line),
                f"{call.name}(shell=…): whether a shell runs its text is decided elsewhere",
                "pass a list of words, and quote with shlex where a shell is wanted",
                symbol=call.owner,
                confidence=3,
                severity="medium",
            )


def _text_for_a_shell(call: Call) -> ast.expr | None:
    """The expression that a shell is given, wherever it comes from; None where there is no shell.

    A fixed text can be read where it stands; nothing else gets into it.
    """
    first = call.node.args[0] if call.node.args else call.keyword("args") or call.keyword("cmd")
    if call.name in _SHELLS or _option(call, "shell") is True:
        return first if first is not None else call.node
    if _BY_WORDS.match(call.name):
        return _script(call.node.args) or _script(call.node.args[1:])
    words = isinstance(first, ast.List | ast.Tuple) and call.name.startswith("subprocess.")
    return _script(first.elts) if words and isinstance(first, ast.List | ast.Tuple) else None


def _script(words: Sequence[ast.expr]) -> ast.expr | None:
    """What stands behind ``bash -c``, unless it is written out."""
    if len(words) < 3 or not _A_SHELL.match(_said(words[0])):
        return None
    flags = (at for at, word in enumerate(words[1:-1], 1) if _RUNS_TEXT.match(_said(word)))
    at = next(flags, None)
    return None if at is None or isinstance(words[at + 1], ast.Constant) else words[at + 1]


def _said(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _option(call: Call, name: str) -> object:
    """The value of an option that is written out, also within ``**{…}``; None where it is not."""
    given = call.keyword(name)
    for one in call.node.keywords:
        if one.arg is None and isinstance(one.value, ast.Dict):
            pairs = zip(one.value.keys, one.value.values, strict=True)
            given = next((value for key, value in pairs if key is not None and _said(key) == name), given)
    return given.value if isinstance(given, ast.Constant) else None


def _may_use_a_shell(call: Call) -> bool:
    given = call.keyword("shell")
    return call.name.startswith("subprocess.") and given is not None and not isinstance(given, ast.Constant)


RULE = Rule("shell-true", "high", "Command through a shell", "A file name becomes a command.", source=_source)
