"""Commands that go through a shell."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Call, Source


def _source(source: Source) -> Iterable[Finding]:
    for call in source.calls:
        if _through_shell(call):
            yield RULE.finding(
                source.place(call.line),
                f"{call.name} runs its text in a shell",
                "pass a list of words, and quote with shlex where a shell is wanted",
                symbol=call.owner,
                severity="low" if _constant(call) else "",
            )


def _through_shell(call: Call) -> bool:
    if call.name in ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"):
        return True
    given = call.keyword("shell")
    return isinstance(given, ast.Constant) and given.value is True


def _constant(call: Call) -> bool:
    """A fixed text can be read here; nothing else gets into it."""
    return bool(call.node.args) and isinstance(call.node.args[0], ast.Constant)


RULE = Rule("shell-true", "high", "Command through a shell", "A file name becomes a command.", source=_source)
