"""What one file says: names by scope, comments, code that can be reached, suppressions, text to show."""

# ruff: noqa: E501 - the code of others stands here as it would in a file of theirs

from __future__ import annotations

import time
from pathlib import Path

import pytest

from audit_repos import notebook, write
from codex_ml.audit.audit import audit
from codex_ml.audit.masking import excerpt, leaks, masked
from codex_ml.audit.walk import parse

pytestmark = pytest.mark.needs("audit")


def called(code: str) -> list[str]:
    return [call.name for call in parse("a.py", code).calls]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import torch as t\nt.load(x)", ["torch.load"]),
        ("from torch import load\nload(x)", ["torch.load"]),
        ("from torch import *\nload(x)\nlen(x)", ["torch.load", "len"]),
        ("import torch\nload = torch.load\nload(x)", ["torch.load"]),
        ("def f():\n    from torch import load\n    load(x)\ndef g():\n    from json import load\n    load(x)", ["torch.load", "json.load"]),
        ("import yaml\ndef f(yaml):\n    yaml.load(x)", ["yaml.load"]),
        ("import io as yaml\ndef f(yaml):\n    yaml.load(x)", ["yaml.load"]),
        ("import torch\nclass A:\n    def __init__(self):\n        self.io = torch\n    def f(self):\n        self.io.load(x)", ["torch.load"]),
        ("try:\n    import wandb\nexcept ImportError:\n    wandb = None\nwandb.init()", ["wandb.init"]),
        ("import torch\nclass A:\n    def f(self):\n        self.o = torch.optim.SGD(p)\n        self.o.step()", ["torch.optim.SGD", "torch.optim.SGD().step"]),
    ],
)  # fmt: skip
def test_a_name_is_what_its_scope_says(code: str, names: list[str]) -> None:
    assert called(code) == names


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    return 1\n    gone()",
        "def f():\n    raise ValueError\n    gone()",
        "for x in y:\n    continue\n    gone()",
        "if False:\n    gone()",
        "if 0:\n    gone()\nelse:\n    pass",
        "if True:\n    pass\nelse:\n    gone()",
        "while False:\n    gone()",
        "def f(x):\n    if x:\n        return 1\n    else:\n        return 2\n    gone()",
    ],
)
def test_what_cannot_be_reached_says_nothing(code: str) -> None:
    assert "gone" not in called(code)


def test_what_can_be_reached_is_seen() -> None:
    code = "def f(x):\n    if x:\n        return 1\n    here()\nif x:\n    here()\nwhile True:\n    here()"
    assert called(code) == ["here"] * 3


def test_comments_are_those_outside_of_strings() -> None:
    code = 'x = """\n# no\n""" # yes\nf"#{x}#" # two\ny = "#"\n# three\nz = "é#" # four\n\x0c# five\n'
    assert parse("a.py", code).comments == [
        (3, "# yes"),
        (4, "# two"),
        (6, "# three"),
        (7, "# four"),
        (8, "# five"),
    ]


def test_comments_of_a_line_of_many_strings_are_found_in_linear_time() -> None:
    def seconds(count: int) -> float:
        source = parse("a.py", "x = [" + ",".join('"é#"' for _ in range(count)) + "]  # end\n")
        began = time.process_time()
        assert source.comments == [(1, "# end")]
        return time.process_time() - began

    assert seconds(16_000) < 40 * seconds(1_000) + 0.05  # a quadratic way takes 256 times as long


def told(root: Path, files: dict[str, str]) -> list[tuple[str, int]]:
    write(root, dict(files))
    return [
        (one.evidence.path, one.evidence.line)
        for one in audit(root, workers=1).findings
        if one.rule in ("shell-true", "container-root")
    ]


SHELL = "import os\nos.system(a)  # codex-audit: ignore[shell-true] a constant\nos.system(b)\n"
ALONE = "import os\n# codex-audit: ignore[shell-true] a constant\nos.system(a)\n"


def test_a_comment_behind_code_sets_its_own_line_aside_alone(tmp_path: Path) -> None:
    assert told(tmp_path, {"a.py": SHELL}) == [("a.py", 3)]


def test_a_comment_of_its_own_sets_the_next_line_aside(tmp_path: Path) -> None:
    assert told(tmp_path, {"a.py": ALONE}) == []


def test_a_comment_of_a_notebook_belongs_to_its_cell(tmp_path: Path) -> None:
    cells = (
        ("code", "# one\n# codex-audit: ignore[shell-true] a constant"),
        ("code", "import os\n\nos.system(a)"),
    )
    assert told(tmp_path, {"n.ipynb": notebook(*cells)}) == [("n.ipynb#cell-2", 3)]
    cells = (("code", "import os"), ("code", "# codex-audit: ignore[shell-true] a constant\nos.system(a)"))
    assert told(tmp_path, {"n.ipynb": notebook(*cells)}) == []


def test_an_image_sets_a_finding_aside_too(tmp_path: Path) -> None:
    image = 'FROM python:3.11\nHEALTHCHECK CMD ["true"]\nENTRYPOINT ["a"]\n'
    [(path, line)] = told(tmp_path, {"Dockerfile": image})
    rows = image.split("\n")
    rows.insert(line - 1, "# codex-audit: ignore[container-root] runs in a user namespace")
    assert told(tmp_path, {path: "\n".join(rows)}) == []


TOKEN = "ghp_" + "16C7e42F292c6912E7710c838347Ae178B4a"  # pragma: allowlist secret


def test_a_text_of_the_tree_is_shown_without_its_secrets() -> None:
    url = "postgresql://admin:" + "hunter22@db/x"
    for text in (f"TODO: remove {TOKEN}", f"ENV API_KEY={TOKEN}", url):
        assert leaks(text) and TOKEN not in masked(text) and "hunter22" not in masked(text)
    assert not leaks("TODO: the tokenizer's pad token wants a test of its own")


@pytest.mark.parametrize("cut", range(5, 60, 5))
def test_a_text_that_is_cut_holds_no_part_of_a_secret(cut: int) -> None:
    assert "16C7e42F" not in excerpt(f"TODO remove {TOKEN}", cut)
