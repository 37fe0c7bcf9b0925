"""Every key of the schema is read by something, and every default stands in YAML."""

from __future__ import annotations

import ast
import dataclasses

from codex_ml.config.keys import all_keys
from codex_ml.config.schema import RunConfig
from sources import files, tree


def _attributes_read() -> set[str]:
    """Names read as attributes anywhere outside the schema itself."""
    found = set()
    for path in files():
        if "schema" not in path.parts:
            found |= {
                node.attr
                for node in ast.walk(tree(path))
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
            }
    return found


def test_every_key_is_read_by_something() -> None:
    read = _attributes_read()
    assert [path for path in all_keys() if path.rsplit(".", 1)[-1] not in read] == []


def test_no_default_hides_in_the_schema() -> None:
    pending: list[type] = [RunConfig]
    while pending:
        section = pending.pop()
        for field in dataclasses.fields(section):
            assert field.default is dataclasses.MISSING, f"{section.__name__}.{field.name}"
            assert field.default_factory is dataclasses.MISSING, f"{section.__name__}.{field.name}"
        hints = dict(section.__annotations__.items())
        pending += [
            getattr(__import__("codex_ml.config.schema", fromlist=["x"]), name)
            for name in hints.values()
            if isinstance(name, str) and name.endswith("Config")
        ]
