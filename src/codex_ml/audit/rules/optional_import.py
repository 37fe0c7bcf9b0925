"""Optional packages imported at the top of a module without a guard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codex_ml.audit.index import Index
from codex_ml.audit.model import Finding
from codex_ml.audit.project import normal
from codex_ml.audit.rule import Rule


def _tree(index: Index, _found: Sequence[Finding]) -> Iterable[Finding]:
    needed = {normal(one.name) for one in index.project.requirements if not one.optional}
    own = normal(str(index.project.pyproject.get("project", {}).get("name", "")))
    parts = {normal(part) for file in index.tree.files for part in file.path.split("/")[:-1]} | {own}
    optional = {normal(one.name) for one in index.project.requirements if one.optional} - needed
    known = {
        "sentencepiece",
        "peft",
        "mlflow",
        "wandb",
        "bitsandbytes",
        "deepspeed",
        "flash-attn",
        "apex",
        "xformers",
    }
    asked = {normal(name) for facts in index.facts if not facts.is_test for name in facts.guarded}
    wanted = (optional | (known - needed)) - asked - parts
    for facts in index.facts:
        if facts.is_test or facts.path.endswith(".ipynb"):
            continue
        for module, line in sorted(facts.required.items()):
            if normal(module) in wanted:
                yield RULE.finding(
                    (facts.path, line),
                    f"{module} is optional and imported without a guard",
                    "catch the absence of this one module and name the package to install",
                    symbol=module,
                    confidence=4,
                )


RULE = Rule(
    "optional-import",
    "medium",
    "Optional package without a guard",
    "The module cannot be imported where the package is absent, and says so far from the cause.",
    tree=_tree,
)
