"""What src must not hold: code loading, printing, swallowed errors, a second door to Hydra, long files."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sources import PACKAGE, calls, dotted, files, imports, tree

Rule = Callable[[Path, ast.Module], Iterator[str]]

PICKLERS = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"}
LOADERS = {"torch.load", "torch.save", "torch.hub.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
MAX_FILE, MAX_FUNCTION = 400, 70


def code_loading(path: Path, module: ast.Module) -> Iterator[str]:
    """No pickle, no eval or exec, no unsafe loader, no trust_remote_code set to anything but False."""
    for found in imports(path, module=module):
        if found.module.split(".")[0] in PICKLERS:
            yield f"{found.where}: imports {found.module}"
        if found.module in LOADERS:
            yield f"{found.where}: imports {found.module}"
    for call in calls(module):
        name = dotted(call.func)
        if name in {"eval", "exec", "compile", "builtins.eval", "builtins.exec"} | LOADERS:
            yield f"{path}:{call.lineno}: calls {name}"
        # numpy.load unpickles object arrays when it is told to.
        if any(word.arg == "allow_pickle" and not _is_false(word.value) for word in call.keywords):
            yield f"{path}:{call.lineno}: allow_pickle"
        if any(word.arg == "trust_remote_code" and not _is_false(word.value) for word in call.keywords):
            yield f"{path}:{call.lineno}: trust_remote_code"


def _is_false(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def printing(path: Path, module: ast.Module) -> Iterator[str]:
    """Only cli/ prints."""
    if "cli" in path.parts or path == PACKAGE / "__main__.py":
        return
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and dotted(node.func) in ("print", "builtins.print"):
            yield f"{path}:{node.lineno}: prints"
        if isinstance(node, ast.Attribute) and dotted(node) in ("sys.stdout", "sys.stderr", "sys.__stdout__"):
            yield f"{path}:{node.lineno}: uses {dotted(node)}"


def swallowing(path: Path, module: ast.Module) -> Iterator[str]:
    """An error of any kind may not be caught only to be forgotten."""
    for node in ast.walk(module):
        if not isinstance(node, ast.ExceptHandler):
            continue
        broad = node.type is None or dotted(node.type) in ("Exception", "BaseException")
        silent = all(
            isinstance(line, ast.Pass | ast.Continue)
            or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
            for line in node.body
        )
        if broad and silent:
            yield f"{path}:{node.lineno}: swallows every error"


def hydra_elsewhere(path: Path, module: ast.Module) -> Iterator[str]:
    """config/compose.py is the only importer of hydra and omegaconf."""
    if path == PACKAGE / "config" / "compose.py":
        return
    for found in imports(path, module=module):
        if found.module.split(".")[0] in ("hydra", "omegaconf"):
            yield f"{found.where}: imports {found.module}"


def length(path: Path, module: ast.Module) -> Iterator[str]:
    """A file fits in a head, a function on a screen."""
    last = max((node.end_lineno or 0 for node in module.body), default=0)
    if last > MAX_FILE:
        yield f"{path}:1: {last} lines, at most {MAX_FILE}"
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION:
                yield f"{path}:{node.lineno}: {node.name} has {lines} lines, at most {MAX_FUNCTION}"


def undocumented(path: Path, module: ast.Module) -> Iterator[str]:
    """The first line of a file says its one job."""
    if module.body and ast.get_docstring(module) is None:
        yield f"{path}:1: no docstring says what this file is for"


RULES: tuple[Rule, ...] = (code_loading, printing, swallowing, hydra_elsewhere, length, undocumented)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_src_holds_no_offence_against(rule: Rule) -> None:
    assert [line for path in files() for line in rule(path, tree(path))] == []


PLANTED: tuple[tuple[Rule, str], ...] = (
    (code_loading, "import pickle"),
    (code_loading, "def f():\n    from marshal import loads"),
    (code_loading, "import importlib\nimportlib.import_module('dill')"),
    (code_loading, "import shelve as s"),
    (code_loading, "import torch\ntorch.load('x')"),
    (code_loading, "from torch import load"),
    (code_loading, "from joblib import load"),
    (code_loading, "eval('1')"),
    (code_loading, "exec('1')"),
    (code_loading, "import yaml\nyaml.load('x', Loader=yaml.Loader)"),
    (code_loading, "f(trust_remote_code=True)"),
    (code_loading, "f(trust_remote_code=flag)"),
    (code_loading, "import numpy as np\nnp.load('x', allow_pickle=True)"),
    (printing, "print('x')"),
    (printing, "import sys\nsys.stderr.write('x')"),
    (swallowing, "try:\n    f()\nexcept Exception:\n    pass"),
    (swallowing, "try:\n    f()\nexcept:\n    ..."),
    (swallowing, "for x in y:\n    try:\n        f()\n    except BaseException:\n        continue"),
    (hydra_elsewhere, "def f():\n    from omegaconf import OmegaConf"),
    (hydra_elsewhere, "import hydra"),
    (length, "x = 1\n" * 401),
    (length, "def f():\n" + "    x = 1\n" * 70),
    (undocumented, "x = 1"),
)


@pytest.mark.parametrize(
    ("rule", "source"), PLANTED, ids=[f"{rule.__name__}-{n}" for n, (rule, _) in enumerate(PLANTED)]
)
def test_a_planted_offence_is_caught(rule: Rule, source: str) -> None:
    assert list(rule(PACKAGE / "data" / "planted.py", ast.parse(source)))


HARMLESS: tuple[tuple[Rule, str], ...] = (
    (
        code_loading,
        "f(trust_remote_code=False)\nmodel.eval()\nre.compile('x')\ntorch.compile(f)",
    ),
    (printing, "import logging\nlogging.getLogger(__name__).info('x')"),
    (swallowing, "try:\n    f()\nexcept Exception as error:\n    g(error)"),
    (swallowing, "try:\n    f()\nexcept OSError:\n    pass"),
)


@pytest.mark.parametrize(
    ("rule", "source"), HARMLESS, ids=[f"{rule.__name__}-{n}" for n, (rule, _) in enumerate(HARMLESS)]
)
def test_what_only_looks_alike_passes(rule: Rule, source: str) -> None:
    assert list(rule(PACKAGE / "data" / "planted.py", ast.parse(source))) == []
