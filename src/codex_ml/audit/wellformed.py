"""Whether a file is still what its name says."""

from __future__ import annotations

import ast
import tomllib
import warnings

import yaml

from codex_ml.audit.dockerfile import is_dockerfile, stages_of


def parses(path: str, text: str) -> bool:
    """Whether *text* is Python, YAML without a key twice, TOML or a Dockerfile, as *path* says; else True."""
    try:
        if path.endswith((".py", ".pyi", ".pyw")):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(text.removeprefix("\ufeff"))
        elif path.endswith((".yaml", ".yml")):
            return not any(map(_has_a_key_twice, yaml.compose_all(text, yaml.SafeLoader)))
        elif path.endswith(".toml"):
            tomllib.loads(text)
        elif is_dockerfile(path.rpartition("/")[2]):
            return bool(stages_of(text))
    except (SyntaxError, ValueError, yaml.YAMLError, RecursionError):
        return False
    return True


def _has_a_key_twice(root: yaml.Node | None) -> bool:
    """YAML forbids it, and PyYAML takes the last."""
    seen: set[int] = set()
    todo = [root]
    while todo:
        node = todo.pop()
        if node is None or id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = [(key.tag, key.value) for key, _value in node.value if isinstance(key, yaml.ScalarNode)]
            if len(set(keys)) < len(keys):
                return True
            todo += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            todo += node.value
    return False
