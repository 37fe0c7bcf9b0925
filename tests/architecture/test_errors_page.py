"""docs/errors.md lists every error code of src, and no other."""

from __future__ import annotations

import ast
import re

from sources import ROOT, files, tree


def _codes_in_source() -> set[str]:
    """Every string given as ``code=…``, branches of a conditional included."""
    found = set()
    for path in files():
        for call in (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)):
            for word in call.keywords:
                if word.arg == "code":
                    found |= {
                        node.value
                        for node in ast.walk(word.value)
                        if isinstance(node, ast.Constant) and isinstance(node.value, str)
                    }
    return found


def test_the_page_lists_the_codes_of_the_source() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([a-z.-]+)` \|", page, re.MULTILINE))
    assert listed == _codes_in_source()
