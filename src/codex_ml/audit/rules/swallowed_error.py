"""Errors of any kind caught and dropped."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from codex_ml.audit.model import Finding
from codex_ml.audit.names import dotted
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Source


def _source(source: Source) -> Iterable[Finding]:
    if source.is_test:
        return
    for handler, owner in source.handlers:
        if _broad(handler) and all(_nothing(one) for one in handler.body):
            yield RULE.finding(
                source.place(handler.lineno),
                "every error is caught and dropped",
                "catch the error that is expected, and log what is not",
                symbol=owner,
            )


def _broad(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or dotted(handler.type) in ("Exception", "BaseException")


def _nothing(one: ast.stmt) -> bool:
    return isinstance(one, ast.Pass | ast.Continue) or (
        isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
    )


RULE = Rule(
    "swallowed-error", "medium", "Swallowed error", "What went wrong is never heard of.", source=_source
)
