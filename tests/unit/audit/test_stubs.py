"""Stubs and tests without assertions on a labelled set: precision at least 0.95, recall at least 0.9."""

# ruff: noqa: E501 - the code of others stands here as it would in a file of theirs

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from audit_repos import notebook, write
from codex_ml.audit.audit import audit

pytestmark = pytest.mark.needs("audit")

#: (what a person says: stub or not, the code; the function that is meant is called `subject`).
LABELLED = (
    (True, "def subject(x):\n    raise NotImplementedError"),
    (True, "def subject(x):\n    raise NotImplementedError('later')"),
    (True, 'def subject(x):\n    """Train the model."""\n    raise NotImplementedError()'),
    (True, "def subject(x):\n    pass"),
    (True, "def subject(x):\n    ..."),
    (True, 'def subject(x):\n    """Load the data and return it."""'),
    (True, "async def subject(x):\n    raise NotImplementedError"),
    (True, "import os\ndef subject(x):\n    if os.environ.get('FALLBACK'):\n        return 1\n    raise NotImplementedError"),
    (True, "class Model:\n    def subject(self):\n        raise NotImplementedError"),
    (True, "class Model:\n    def subject(self):\n        pass\n    def other(self):\n        return 1"),
    (True, "def subject(x):\n    print('starting')\n    raise NotImplementedError"),
    (True, "class Model:\n    @property\n    def subject(self):\n        raise NotImplementedError"),
    (True, "class Model:\n    @staticmethod\n    def subject():\n        raise NotImplementedError"),
    (True, "class Model:\n    @classmethod\n    def subject(cls):\n        raise NotImplementedError('x')"),
    (True, "import builtins\ndef subject():\n    raise builtins.NotImplementedError"),
    (True, 'def subject(x, y=1):\n    """Compute the reward."""\n    ...'),
    (True, "class Trainer(Base):\n    def subject(self):\n        raise NotImplementedError('resume')"),
    (True, "def subject(path):\n    'Save the checkpoint.'\n    pass"),
    (True, "class Model:\n    async def subject(self):\n        ..."),
    (True, "def subject():\n    x = 1\n    raise NotImplementedError(x)"),
    (True, "import torch.nn as nn\nclass M(nn.Module):\n    def subject(self, x):\n        return x\n    def forward(self, x):\n        pass"),
    (True, "import click\n@click.command()\ndef subject():\n    'Train.'"),
    (True, "def subject(x):\n    raise NotImplementedError('streaming is not supported yet')"),
    (True, "def subject(hook=None):\n    pass"),
    (True, "def subject(path, optional=None):\n    pass"),
    (True, "from typing import Protocol\nclass Other(Protocol):\n    def subject(self): ...\n    def more(self): ...\nclass Engine:\n    def subject(self):\n        pass"),
    (False, "def subject(kind):\n    if kind == 'a':\n        return 1\n    elif kind == 'b':\n        return 2\n    raise NotImplementedError(kind)"),
    (False, "def subject(kinds):\n    for kind in kinds:\n        if kind.fits:\n            return kind\n    raise NotImplementedError"),
    (False, "class Plugin:\n    def __init__(self, fixed):\n        self.fixed = fixed\n    @property\n    def subject(self):\n        return self.fixed\n    @subject.setter\n    def subject(self, value):\n        raise NotImplementedError('set it in the constructor')"),
    (False, "import functools\n@functools.singledispatch\ndef subject(x):\n    raise NotImplementedError(type(x))\n@subject.register\ndef _(x: int):\n    return x"),
    (False, "def subject(x):\n    return x\n    raise NotImplementedError"),
    (False, "class Pipeline:\n    def on_after_forward(self, batch):\n        pass\n    def run(self):\n        return 1"),
    (False, "class Lora(Base):\n    def merge(self):\n        raise NotImplementedError('merging is not supported for this layer')"),
    (False, "def subject(rank):\n    raise NotImplementedError(f'rank {rank} cannot be had without a pipeline')"),
    (False, "def subject(x):\n    return None"),
    (False, "from abc import ABC, abstractmethod\nclass A(ABC):\n    @abstractmethod\n    def subject(self): ..."),
    (False, "from abc import ABC, abstractmethod\nclass A(ABC):\n    @abstractmethod\n    def subject(self):\n        raise NotImplementedError"),
    (False, "from typing import Protocol\nclass A(Protocol):\n    def subject(self): ..."),
    (False, "import typing\nclass A(typing.Protocol):\n    def subject(self):\n        '''Encode.'''"),
    (False, "from abc import ABCMeta\nclass A(metaclass=ABCMeta):\n    def subject(self):\n        raise NotImplementedError"),
    (False, "from typing import overload\n@overload\ndef subject(x: int) -> int: ...\ndef other(x): return x"),
    (False, "class Base:\n    def subject(self):\n        raise NotImplementedError\nclass Child(Base):\n    def subject(self):\n        return 1"),
    (False, "class Base:\n    def subject(self):\n        raise NotImplementedError\nclass Middle(Base):\n    pass\nclass Child(Middle):\n    def subject(self):\n        return 1"),
    (False, "TEMPLATE = '''\ndef subject():\n    raise NotImplementedError\n'''"),
    (False, "def subject(kind):\n    if kind == 'a':\n        return 1\n    else:\n        raise NotImplementedError(kind)"),
    (False, "def subject(kind):\n    match kind:\n        case 'a':\n            return 1\n        case _:\n            raise NotImplementedError"),
    (False, "class SubjectError(Exception):\n    pass"),
    (False, "class Model:\n    def __init__(self):\n        pass"),
    (False, "class Sink:\n    def subject(self):\n        '''Nothing to close.'''"),
    (False, "def subject(*_args):\n    '''A no-op, for callers that want no progress.'''"),
    (False, "class NullLogger:\n    def subject(self, text):\n        pass"),
    (False, "class Callback(Base):\n    def subject(self):\n        pass"),
    (False, "import click\n@click.group()\ndef subject():\n    '''Commands of the data.'''"),
    (False, "def outer():\n    def subject():\n        pass\n    return subject"),
    (False, "def __getattr__(name):\n    pass"),
    (False, "def subject(x):\n    try:\n        return f(x)\n    except NotImplementedError:\n        pass"),
    (False, "def subject(self, other):\n    return NotImplemented"),
    (False, "class Hook:\n    def subject(self):\n        '''Called before each step; subclasses may override it.'''"),
    (False, "from typing import Protocol\nclass Sink(Protocol):\n    def subject(self): ...\nclass Quiet:\n    def subject(self):\n        pass"),
    (False, "def subject(x):\n    '''Identity.'''\n    return x"),
    (False, "def subject(x):\n    while True:\n        pass"),
    (False, "def subject():\n    yield"),
    (False, "x = 'raise NotImplementedError'\ndef subject():\n    return x"),
    (False, "def subject(x):\n    # TODO: nothing here raises NotImplementedError\n    return x + 1"),
)  # fmt: skip


def found_in(tmp_path: Path, files: dict[str, str], rule: str) -> list[str]:
    write(tmp_path, dict(files))
    return [one.evidence.symbol for one in audit(tmp_path, workers=1).findings if one.rule == rule]


def test_precision_and_recall_on_the_labelled_set(tmp_path: Path) -> None:
    write(tmp_path, {f"module_{number}.py": code + "\n" for number, (_label, code) in enumerate(LABELLED)})
    found = {one.evidence.path for one in audit(tmp_path, workers=1).findings if one.rule == "stub"}
    told = [f"module_{number}.py" in found for number in range(len(LABELLED))]
    right = sum(said and label for said, (label, _code) in zip(told, LABELLED, strict=True))
    wrong = [code for said, (label, code) in zip(told, LABELLED, strict=True) if said != label]
    assert right / sum(told) >= 0.95, wrong
    assert right / sum(label for label, _code in LABELLED) >= 0.9, wrong


TESTS = (
    (True, "def test_subject():\n    assert True"),
    (True, "def test_subject():\n    assert (work() == 2, 'it is two')"),
    (True, "def test_subject():\n    work()\n    if False:\n        assert work()"),
    (True, "def test_subject():\n    work()\n    return\n    assert work()"),
    (True, "def test_subject():\n    def check():\n        assert work()\n    work()"),
    (True, "def test_subject():\n    try:\n        assert work()\n    except AssertionError:\n        pass"),
    (False, "def test_subject():\n    def check():\n        assert work()\n    check()"),
    (
        False,
        "import unittest\nclass A(unittest.TestCase):\n    def _h(self, x): self.assertTrue(x)\n    def test_subject(self): self._h(work())",
    ),
    (True, "def test_subject():\n    work()"),
    (True, "def test_subject():\n    pass"),
    (True, "def test_subject():\n    '''It works.'''\n    result = work()\n    print(result)"),
    (True, "class TestIt:\n    def test_subject(self):\n        work()"),
    (False, "def test_subject():\n    assert work()"),
    (False, "import pytest\ndef test_subject():\n    with pytest.raises(ValueError):\n        work()"),
    (
        False,
        "import unittest\nclass A(unittest.TestCase):\n    def test_subject(self):\n        self.assertEqual(1, 1)",
    ),
    (False, "import subprocess\ndef test_subject():\n    subprocess.run(['true'], check=True)"),
    (False, "import numpy as np\ndef test_subject():\n    np.testing.assert_allclose(1, 1)"),
    (False, "def check_it(x):\n    assert x\ndef test_subject():\n    check_it(work())"),
    (
        False,
        "def loses(x):\n    if not x:\n        raise AssertionError\ndef test_subject():\n    loses(work())",
    ),
    (False, "import pytest\n@pytest.mark.skip(reason='later')\ndef test_subject():\n    work()"),
    (False, "import pytest\n@pytest.fixture\ndef test_subject():\n    return work()"),
)


@pytest.mark.parametrize(("label", "code"), TESTS)
def test_a_test_that_cannot_fail_is_told(tmp_path: Path, label: bool, code: str) -> None:
    found = found_in(tmp_path, {"test_it.py": "from it import work\n" + code + "\n"}, "empty-test")
    assert bool(found) == label


def test_code_that_raises_for_its_users_is_no_assertion(tmp_path: Path) -> None:
    files = {
        "it.py": "def work(x):\n    if x < 0:\n        raise ValueError(x)\n    return x\n",
        "test_it.py": "from it import work\n\n\ndef test_subject():\n    work(1)\n",
    }
    assert found_in(tmp_path, files, "empty-test") == ["test_subject"]


def test_a_helper_of_another_file_that_asserts_counts(tmp_path: Path) -> None:
    files = {
        "helpers.py": "def same(a, b):\n    assert a == b\n",
        "test_it.py": "from helpers import same\n\n\ndef test_subject():\n    same(1, 1)\n",
    }
    assert found_in(tmp_path, files, "empty-test") == []


def test_comments_count_and_strings_do_not(tmp_path: Path) -> None:
    code = textwrap.dedent(
        '''
        # TODO: read it once
        text = "# TODO in a string"
        more = """
        # FIXME in a longer one
        """
        value = "é"  # FIXME after letters of two bytes
        name = f"{value} # TODO within"
        '''
    )
    write(tmp_path, {"a.py": code, "c.yaml": "path: TODO\nother: todo_list\n# FIXME later\n"})
    found = [
        (one.evidence.path, one.evidence.line)
        for one in audit(tmp_path, workers=1).findings
        if one.rule == "todo"
    ]
    assert found == [("a.py", 2), ("a.py", 7), ("c.yaml", 1), ("c.yaml", 3)]


def test_the_list_of_the_seed_report_looked_at_again(tmp_path: Path) -> None:
    """docs/audit.md shows both lists; these are files of the shapes that the report spoke of."""
    interface = (
        "from abc import ABC, abstractmethod\n\n\nclass TokenizerAdapter(ABC):\n    @abstractmethod\n"
        "    def encode(self, text):\n        raise NotImplementedError\n"
    )
    write(
        tmp_path,
        {
            "src/codex_ml/pipeline.py": "import os\n\n\ndef run_codex_pipeline(config):\n"
            "    if os.environ.get('CODEX_FALLBACK') == '1':\n        return {'loss': 0.0}\n"
            "    raise NotImplementedError('real training')\n",
            "src/codex_ml/interfaces/tokenizer.py": interface,
            "codex_digest/tokenizer.py": "class Tokenizer:\n    def tokenize(self, text):\n        raise NotImplementedError\n\n\n"
            "class DefaultTokenizer(Tokenizer):\n    def tokenize(self, text):\n        return text.split()\n",
            "configs/interfaces.example.yaml": "tokenizer:\n  path: TODO\n",
            "tests/test_offline_repo_auditor.py": "def test_stubs_are_found(tmp_path):\n"
            "    (tmp_path / 'a.py').write_text('# TODO later\\n')\n    assert scan(tmp_path)\n",
            "tools/apply_interfaces.py": f"TEMPLATE = '''\n{interface}'''\n\n\ndef write(path):\n    path.write_text(TEMPLATE)\n",
            "notebooks/gpu_training_example.ipynb": notebook(
                ("markdown", "TODO"), ("code", "!bash check_gpu.sh")
            ),
        },
    )
    rules = ("stub", "todo", "notebook-stub", "empty-test")
    found = {
        (one.rule, one.evidence.path) for one in audit(tmp_path, workers=1).findings if one.rule in rules
    }
    assert found == {
        ("stub", "src/codex_ml/pipeline.py"),
        ("todo", "configs/interfaces.example.yaml"),
        ("notebook-stub", "notebooks/gpu_training_example.ipynb#cell-1"),
    }
