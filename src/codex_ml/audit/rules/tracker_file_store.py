"""MLflow on a store of files, which today's MLflow refuses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from codex_ml.audit.model import Finding
from codex_ml.audit.rule import Rule
from codex_ml.audit.source import Source

_FILES = re.compile(r"^(file:|\./mlruns|mlruns)")


def _source(source: Source) -> Iterable[Finding]:
    if "mlruns" not in source.text and "file:" not in source.text:
        return
    if not any(one.module.partition(".")[0] == "mlflow" for one in source.imports) or source.is_test:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _FILES.match(node.value):
            yield RULE.finding(
                source.place(node.lineno),
                f"tracking store {node.value!r}",
                "read the URI from the environment, with sqlite as default: sqlite:///mlflow.db",
            )


RULE = Rule(
    "tracker-file-store",
    "low",
    "Tracker on a store of files",
    "MLflow asks for MLFLOW_ALLOW_FILE_STORE=true since it left that store; a default must work.",
    source=_source,
)
