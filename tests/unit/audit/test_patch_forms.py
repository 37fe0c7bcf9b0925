"""Patches of Python in many forms: the changed code does what was meant, and no other line is touched."""

# ruff: noqa: E501 - the code of others stands here as it would in a file of theirs

from __future__ import annotations

import ast
import difflib
import io
import itertools
import sys
import tokenize
import types
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codex_ml.audit.edits import Code
from codex_ml.audit.model import Evidence, Finding
from codex_ml.audit.patch_context import Rewrite
from codex_ml.audit.patches import (
    loader,
    markers,
    optional_import,
    resume,
    seed,
    tracker,
    weights_only,
    yaml_load,
)
from codex_ml.audit.patches.calls import with_keyword, without
from codex_ml.audit.rule import Rule
from codex_ml.audit.rules import (
    resume_not_wired,
    tracker_file_store,
    unsafe_load,
    unsafe_yaml,
    unseeded_loader,
)
from codex_ml.audit.source import Source
from codex_ml.audit.walk import parse

MAKERS: dict[str, tuple[Rule, Rewrite]] = {
    "unsafe-load": (unsafe_load.RULE, weights_only.weights_only),
    "unsafe-yaml": (unsafe_yaml.RULE, yaml_load.safe),
    "resume-not-wired": (resume_not_wired.RULE, resume.wire),
    "unseeded-loader": (unseeded_loader.RULE, loader.seed),
    "tracker-file-store": (tracker_file_store.RULE, tracker.from_environment),
}


def findings(rule: Rule, source: Source) -> list[Finding]:
    return list(rule.source(source)) if rule.source is not None else []


def mended(rule: str, text: str) -> str | None:
    look, rewrite = MAKERS[rule]
    code = Code("a.py", text)
    source = code.source
    assert source is not None
    found = findings(look, source)
    assert found, "the rule sees nothing here"
    return rewrite(code, source, found)


T = "import torch\n"
Y = "import yaml\n"
D = "import torch\nfrom torch.utils.data import DataLoader, random_split, RandomSampler\n"
M = "import mlflow\n"
H = "import argparse\nfrom transformers import Trainer\np = argparse.ArgumentParser()\n"

#: rule -> (before, what becomes of it; None: no patch is offered).
FORMS: dict[str, list[tuple[str, str | None]]] = {
    "unsafe-load": [
        (T + "import json\nx = json.load(open('c')), torch.load('p')\n", T + "import json\nx = json.load(open('c')), torch.load('p', weights_only=True)\n"),
        (T + "x = torch.load('p', weights_only=False)\n", T + "x = torch.load('p', weights_only=True)\n"),
        (T + "x = torch.load('p', weights_only=(False), map_location=None)\n", T + "x = torch.load('p', weights_only=(True), map_location=None)\n"),
        (T + "x = torch.load('p',)\n", T + "x = torch.load('p', weights_only=True,)\n"),
        (T + "x = torch.load(('p'))\n", T + "x = torch.load(('p'), weights_only=True)\n"),
        (T + "x = torch.load(  # why\n    'p'  # a path\n)\n", T + "x = torch.load(  # why\n    'p',  # a path\n    weights_only=True\n)\n"),
        (T + "x = torch.load(\n    'p',\n    map_location='cpu',  # here\n)  # there\n", T + "x = torch.load(\n    'p',\n    map_location='cpu',  # here\n    weights_only=True,\n)  # there\n"),
        (T + "x = torch.load(\n\t'p',\n\tmap_location='cpu')\n", T + "x = torch.load(\n\t'p',\n\tmap_location='cpu', weights_only=True)\n"),
        (T + "x = torch.load(*a)\n", T + "x = torch.load(*a, weights_only=True)\n"),
        (T + "é = 'ü', torch.load('p'), 'é'\n", T + "é = 'ü', torch.load('p', weights_only=True), 'é'\n"),
        (T + "x = torch.load(torch.load('p'))\n", T + "x = torch.load(torch.load('p', weights_only=True), weights_only=True)\n"),
        (T + "x = f'{torch.load(p)}' + '{torch.load(q)}'\n", T + "x = f'{torch.load(p, weights_only=True)}' + '{torch.load(q)}'\n"),
        ("from torch import load as get\nx = get('p')\n", "from torch import load as get\nx = get('p', weights_only=True)\n"),
        (T + "loader = torch.load\nx = loader('p')\n", T + "loader = torch.load\nx = loader('p', weights_only=True)\n"),
        (T + "from functools import partial\nx = partial(torch.load, map_location='cpu')\n", T + "from functools import partial\nx = partial(torch.load, map_location='cpu', weights_only=True)\n"),
        (T + "x = map(torch.load, paths)\n", None),
        (T + "x = torch.load('p', pickle_module=dill)\n", None),
        (T + "x = torch.load(p for p in ps)\n", None),
        ("import pickle\npickle.load(open('p', 'rb'))\n", None),
    ],
    "unsafe-yaml": [
        (Y + "x = yaml.load(Loader=yaml.Loader, stream=f)\n", Y + "x = yaml.safe_load(stream=f)\n"),
        (Y + "x = yaml.load(f, yaml.Loader)\n", Y + "x = yaml.safe_load(f)\n"),
        (Y + "x = yaml.load(f, Loader=yaml.FullLoader,)  # it\n", Y + "x = yaml.safe_load(f,)  # it\n"),
        (Y + "x = yaml.load(\n    f,\n    Loader=yaml.Loader,  # it\n)\n", Y + "x = yaml.safe_load(\n    f,\n)\n"),
        (Y + "x = yaml.load(\n    Loader=yaml.Loader,\n    stream=f\n)\n", Y + "x = yaml.safe_load(\n    stream=f\n)\n"),
        (Y + "x = yaml.load(f)\n", Y + "x = yaml.safe_load(f)\n"),
        (Y + "x = list(yaml.load_all(f, Loader=yaml.Loader))\n", Y + "x = list(yaml.safe_load_all(f))\n"),
        (Y + "x = yaml.unsafe_load_all(f)\n", Y + "x = yaml.safe_load_all(f)\n"),
        (Y + "x = yaml.full_load(f)\n", Y + "x = yaml.safe_load(f)\n"),
        ("import yaml as y\nx = y.load(y.load(f, y.Loader), y.Loader)\n", "import yaml as y\nx = y.safe_load(y.safe_load(f))\n"),
        ("from yaml import load, Loader\nx = load(f, Loader)\n", None),
        (Y + "x = yaml.unsafe_load()\n", None),
        (Y + "x = yaml.unsafe_load(*a)\n", Y + "x = yaml.safe_load(*a)\n"),
        (Y + "x = yaml.load(f, yaml.Loader, z)\n", None),
    ],
    "unseeded-loader": [
        (D + "x = DataLoader(d, shuffle=True)\n", D + "x = DataLoader(d, shuffle=True, generator=torch.Generator().manual_seed(0))\n"),
        (D + "x = DataLoader(d, 2, True)\n", D + "x = DataLoader(d, 2, True, generator=torch.Generator().manual_seed(0))\n"),
        (D + "x = random_split(d, [1, 2])\n", D + "x = random_split(d, [1, 2], generator=torch.Generator().manual_seed(0))\n"),
        (D + "x = RandomSampler(d)\n", D + "x = RandomSampler(d, generator=torch.Generator().manual_seed(0))\n"),
        ("import sklearn.model_selection as ms\nx = ms.train_test_split(y)\n", "import sklearn.model_selection as ms\nx = ms.train_test_split(y, random_state=0)\n"),
        ("from datasets import load_dataset\nx = load_dataset('a').train_test_split()\n", "from datasets import load_dataset\nx = load_dataset('a').train_test_split(seed=0)\n"),
        ("from torch.utils.data import DataLoader\nx = DataLoader(d, shuffle=True)\n", None),
        (D + "def f(torch):\n    return DataLoader(d, shuffle=True)\n", None),
    ],
    "tracker-file-store": [
        ('"""mlruns: a docstring."""\n' + M + 'import shutil\nshutil.rmtree("mlruns")\nmlflow.set_tracking_uri("file:mlruns")\n', '"""mlruns: a docstring."""\nimport os\n' + M + 'import shutil\nshutil.rmtree("mlruns")\nmlflow.set_tracking_uri(os.environ.get("CODEX_MLFLOW_URI", "sqlite:///mlflow.db"))\n'),
        (M + "from os import path\nURI = './mlruns'\n", "import os\n" + M + "from os import path\nURI = os.environ.get(\"CODEX_MLFLOW_URI\", \"sqlite:///mlflow.db\")\n"),
        (M + "import os.path\ndef f(tracking_uri='mlruns', *, run='mlruns'): return tracking_uri\n", M + "import os.path\ndef f(tracking_uri=os.environ.get(\"CODEX_MLFLOW_URI\", \"sqlite:///mlflow.db\"), *, run='mlruns'): return tracking_uri\n"),
        (M + "import os\nuri = os.environ.get('MLFLOW_TRACKING_URI', 'file:./mlruns')\n", M + "import os\nuri = os.environ.get('MLFLOW_TRACKING_URI', \"sqlite:///mlflow.db\")\n"),
        ("URI = 'mlruns'\nimport os\n" + M, "import os\nURI = os.environ.get(\"CODEX_MLFLOW_URI\", \"sqlite:///mlflow.db\")\nimport os\n" + M),
        ("#!/usr/bin/env python\n# a licence\n@deco\ndef f(uri='mlruns'): pass\n" + M, "#!/usr/bin/env python\n# a licence\nimport os\n@deco\ndef f(uri=os.environ.get(\"CODEX_MLFLOW_URI\", \"sqlite:///mlflow.db\")): pass\n" + M),
        (M + "def f(os):\n    mlflow.set_tracking_uri('mlruns')\n", None),
    ],
    "resume-not-wired": [
        (H + "p.add_argument('--resume', dest='ckpt')\nargs = p.parse_args()\nt = Trainer(model=m)\nt.train()\n", H + "p.add_argument('--resume', dest='ckpt')\nargs = p.parse_args()\nt = Trainer(model=m)\nt.train(resume_from_checkpoint=args.ckpt)\n"),
        (H + "p.add_argument('-r', '--resume-from')\ndef main():\n    args, _ = p.parse_known_args()\n    Trainer(model=m).train()\n", H + "p.add_argument('-r', '--resume-from')\ndef main():\n    args, _ = p.parse_known_args()\n    Trainer(model=m).train(resume_from_checkpoint=args.resume_from)\n"),
        (H + "p.add_argument('--resume')\nargs = p.parse_args()\ndef go():\n    Trainer(model=m).train()\n", H + "p.add_argument('--resume')\nargs = p.parse_args()\ndef go():\n    Trainer(model=m).train(resume_from_checkpoint=args.resume)\n"),
        (H + "p.add_argument('--resume')\ndef go():\n    Trainer(model=m).train()\ndef main():\n    args = p.parse_args()\n    go()\n", None),
        (H + "p.add_argument('--resume')\nargs = p.parse_args()\ndef go(args):\n    Trainer(model=m).train()\n", None),
        (H + "p.add_argument('--resume')\ndef go():\n    Trainer(model=m).train()\nif __name__ == '__main__':\n    args = p.parse_args()\n    go()\n", None),
        (H + "p.add_argument('--resume')\nTrainer(model=m).train()\nargs = p.parse_args()\n", None),
        ("from transformers import Trainer\ndef f(c):\n    t = Trainer(\n        m,\n        resume_from_checkpoint=c.path,  # why\n        args=a,\n    )\n    t.train()\n", "from transformers import Trainer\ndef f(c):\n    t = Trainer(\n        m,\n        args=a,\n    )\n    t.train(resume_from_checkpoint=c.path)\n"),
        ("from transformers import Trainer\nTrainer(m, resume_from_checkpoint=p).train()\n", "from transformers import Trainer\nTrainer(m).train(resume_from_checkpoint=p)\n"),
        ("from transformers import Trainer\ndef make(c):\n    return Trainer(m, resume_from_checkpoint=c)\ndef go():\n    t = Trainer(m)\n    t.train()\n", None),
    ],
}  # fmt: skip
CASES = [(rule, old, new) for rule, forms in FORMS.items() for old, new in forms]
ENDS = ("\n", "\r\n", "\r")


@pytest.mark.parametrize(("rule", "old", "new"), CASES)
def test_a_form_becomes_what_was_meant_and_the_rule_is_content(rule: str, old: str, new: str | None) -> None:
    assert mended(rule, old) == new
    if new is not None:
        assert not findings(MAKERS[rule][0], parse("a.py", new))


@pytest.mark.parametrize(
    ("mark", "end", "around"),
    list(itertools.product(["", "\ufeff"], ENDS, ["", "# é\f\n\f\ny = 1  # \f\n"])),
)
def test_marks_line_ends_and_form_feeds_stay_where_they_are(mark: str, end: str, around: str) -> None:
    for rule, old, new in CASES:
        if new is not None and "__future__" not in old:
            text = mark + (old + around).replace("\n", end)
            got = mended(rule, text)
            assert got == mark + (new + around).replace("\n", end)


def test_no_line_end_at_the_end_is_added() -> None:
    for rule, old, new in CASES:
        if new is not None:
            assert mended(rule, old.rstrip("\n")) == new.rstrip("\n")


def test_only_lines_of_what_was_found_are_taken_out() -> None:
    for rule, old, new in CASES:
        if new is None:
            continue
        source = parse("a.py", old)
        lines = {line for call in source.calls for line in range(call.line, (call.node.end_lineno or 0) + 1)}
        lines |= {one.evidence.line for one in findings(MAKERS[rule][0], source)}
        matched = difflib.SequenceMatcher(None, old.split("\n"), new.split("\n"), autojunk=False)
        for kind, start, stop, _, _ in matched.get_opcodes():
            assert kind in ("equal", "insert") or set(range(start + 1, stop + 1)) <= lines


# ---- the law of arguments -----------------------------------------------------------------------

ARGUMENTS = st.lists(
    st.sampled_from(
        ["a", "(b)", "'x, y)'", "f(c, d)", "[1, 2]", "k=1", "lambda q: q", "m=(2,\n 3)", "{'é': \"#\"}"]
    ),
    max_size=4,
    unique=True,
).map(lambda found: sorted(found, key=lambda one: "=" in one[:2]))
GAPS = st.sampled_from([" ", "", "\n    ", "  # a, comment)\n    "])


def written(arguments: Iterable[str], gap: str, *, first: str, comma: bool, last: str) -> str:
    body = f",{gap}".join(arguments)
    return f"x = [0, load({first}{body}{',' if comma and body else ''}{last})]\n"


def calls_of(text: str) -> tuple[Code, ast.Call]:
    code = Code("a.py", text)
    assert code.source is not None
    (node,) = (one.node for one in code.source.calls if one.raw == "load")
    return code, node


def comments(text: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [one.string for one in tokens if one.type == tokenize.COMMENT]


@settings(max_examples=150, deadline=None)
@example(["a", "k=1"], "\n    ", "\n    ", True, "  # z\n", "k")
@given(
    ARGUMENTS,
    GAPS,
    GAPS,
    st.booleans(),
    st.sampled_from(["", "\n", " # z\n", " "]),
    st.sampled_from(["new", "k"]),
)
def test_a_keyword_is_added_or_replaced_and_everything_else_stays(
    arguments: list[str], gap: str, first: str, comma: bool, last: str, name: str
) -> None:
    text = written(arguments, gap, first=first, comma=comma, last=last)
    code, node = calls_of(text)
    changes = with_keyword(code, node, name, "True")
    assert changes is not None
    after = code.changed(changes)
    assert after is not None
    _, wanted = calls_of(text)
    given_ = next((one for one in wanted.keywords if one.arg == name), None)
    if given_ is None:
        wanted.keywords.append(ast.keyword(name, ast.Constant(value=True)))
    else:
        given_.value = ast.Constant(value=True)
    assert ast.dump(calls_of(after)[1]) == ast.dump(wanted)
    assert comments(after) == comments(text)


@settings(max_examples=150, deadline=None)
@given(
    ARGUMENTS.filter(bool),
    GAPS,
    GAPS,
    st.booleans(),
    st.sampled_from(["", "\n", " # z\n"]),
    st.integers(0, 3),
)
def test_an_argument_is_taken_out_and_the_others_stay(
    arguments: list[str], gap: str, first: str, comma: bool, last: str, at: int
) -> None:
    text = written(arguments, gap, first=first, comma=comma, last=last)
    code, node = calls_of(text)
    values = [*node.args, *(one.value for one in node.keywords)]
    at %= len(values)
    changes = without(code, node, values[at])
    assert changes is not None
    after = code.changed(changes)
    assert after is not None
    _, wanted = calls_of(text)
    if at < len(wanted.args):
        del wanted.args[at]
    else:
        del wanted.keywords[at - len(wanted.args)]
    assert ast.dump(calls_of(after)[1]) == ast.dump(wanted)
    assert len(comments(text)) - len(comments(after)) in (0, 1)


# ---- what the changed code does -----------------------------------------------------------------


def finding(symbol: str, line: int) -> Finding:
    return Finding("r", "low", "t", Evidence("a.py", line, symbol), "m", "a")


def made(maker: Rewrite, text: str, *found: Finding) -> str | None:
    code = Code("a.py", text)
    assert code.source is not None
    return maker(code, code.source, list(found))


def run(text: str, monkeypatch: pytest.MonkeyPatch, **modules: object) -> dict[str, Any]:
    """The names that running *text* leaves, where *modules* are installed (None: absent)."""
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    space: dict[str, Any] = {"__name__": "a"}
    exec(compile(text.removeprefix("\ufeff"), "a.py", "exec"), space)
    return space


@pytest.fixture
def hidden() -> Iterable[None]:
    """peft and wandb are not installed, nor were they imported by another test."""
    imported = {name: sys.modules.pop(name) for name in [*sys.modules] if _is_hidden(name)}
    finder = types.SimpleNamespace(find_spec=_absent)
    sys.meta_path.insert(0, finder)  # type: ignore[arg-type]
    yield
    sys.meta_path.remove(finder)  # type: ignore[arg-type]
    sys.modules.update(imported)


def _is_hidden(name: str) -> bool:
    return name.partition(".")[0] in ("peft", "wandb")


def _absent(name: str, _path: object = None, _target: object = None) -> None:
    if _is_hidden(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def subclassed(thing: type) -> None:
    class _Below(thing):  # type: ignore[misc]
        pass


USES: list[Callable[[Any], object]] = [
    lambda it: it(r=8),
    lambda it: it(1, 2, key=3),
    lambda it: it.anything,
    lambda it: it.sub.deeper(),
    lambda it: isinstance(3, it),
    lambda it: issubclass(int, it),
    list,
    lambda it: it[0],
    lambda it: 3 in it,
    lambda it: it | None,
    subclassed,
]


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize(
    "statement",
    ["from peft import LoraConfig as it", "import peft as it", "from peft.tuners import (\n    it\n)"],
)
def test_every_use_of_an_absent_package_names_it(statement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = made(optional_import.guarded, f"x = 1\n{statement}  # noqa\ny = 2\n", finding("peft", 2))
    assert changed is not None
    it = run(changed, monkeypatch)["it"]
    for use in USES:
        with pytest.raises(ModuleNotFoundError, match="pip install peft") as caught:
            use(it)
        assert caught.value.name == "peft"


@pytest.mark.parametrize(
    "code",
    [
        "def f() -> it.Run: ...",
        "def f(*, x=it.y): ...",
        "def f(*a: it.T): ...",
        "class C:\n    x = it.y",
        "class C(it.B): ...",
        "class C(metaclass=it.M): ...",
        "if it.y:\n    z = 1",
        "for x in it: ...",
        "with it(): ...",
        "@it\ndef f(): ...",
        "x = [1 for _ in it]",
        "x: it.T = 1",
        "f = lambda a=it: a",
        "try:\n    z = 1\nexcept it.Error: ...",
        "def f():\n    return it.y\nz = f()",
        "import wandb.sdk",
        "it.x = 1",
    ],
)
def test_no_guard_is_offered_for_what_importing_needs(code: str) -> None:
    assert made(optional_import.guarded, f"import wandb as it\n{code}\n", finding("wandb", 1)) is None


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize(
    "code",
    [
        "from __future__ import annotations\nimport wandb as it\ndef f(x: it.T, *, y: it.T = 1) -> it.Run: ...",
        "import wandb as it\ndef f():\n    return it.y\nif __name__ == '__main__':\n    f()",
        "import wandb as it\nf = lambda: it.y\nclass C:\n    def g(self):\n        return it",
    ],
)
def test_a_module_that_uses_it_later_can_be_imported_without_it(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = 2 if "__future__" in code else 1
    changed = made(optional_import.guarded, code, finding("wandb", line))
    assert changed is not None
    assert "it" in run(changed, monkeypatch)


@pytest.mark.parametrize(
    "code",
    [
        "import wandb; x = 1",
        "x = 1; import wandb",
        "import wandb, os",
        "from wandb import *",
        "import wandb.sdk",
    ],
)
def test_an_import_that_is_more_than_one_is_left_alone(code: str) -> None:
    assert made(optional_import.guarded, f"{code}\n", finding("wandb", 1)) is None


DRAW = "import random\n\n\ndef main():\n    print_(random.random())\n\n\n"
STARTS = [
    "if __name__ == '__main__':\n    main()\n",
    "if __name__ == '__main__':\n\t# first\n\tmain()\n",
    "if __name__ == '__main__': main()\n",
    "if __name__ == '__main__':\n    @deco\n    def f(): ...\n    main()\n",
    "if __name__ == '__main__':\n    x = 1; main()\nelse:\n    pass\n",
]


@pytest.mark.parametrize(("start", "end"), list(itertools.product(STARTS, ENDS)))
def test_a_seeded_program_draws_the_same_twice(start: str, end: str) -> None:
    text = (DRAW + start).replace("\n", end)
    changed = made(seed.seeded, text, finding("", 8))
    assert changed is not None
    drawn: list[float] = []
    for _ in range(2):
        space = {"__name__": "__main__", "print_": drawn.append, "deco": lambda one: one}
        exec(compile(changed, "a.py", "exec"), space)
    assert len(drawn) == 2
    assert drawn[0] == drawn[1]
    kept = [line for line in changed.split(end) if line in text.split(end)]
    assert [line for line in kept if line] == [line for line in text.split(end) if line and line in kept]


def test_a_function_of_that_name_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "def seed_everything(a, b): return 7\n" + STARTS[0].replace("main()", "x = seed_everything(1, 2)")
    changed = made(seed.seeded, text, finding("", 2))
    assert changed is not None
    assert "seed_everything_here(0)" in changed


def test_the_patched_loads_run(monkeypatch: pytest.MonkeyPatch) -> None:
    given_: list[dict[str, object]] = []

    def load(*_places: object, **named: object) -> str:
        given_.append(named)
        return "p"

    torch = types.SimpleNamespace(load=load)
    ran = 0
    for rule, old, new in CASES:
        if rule == "unsafe-load" and new is not None and "'ü'" not in new:
            given_.clear()
            run(
                f"import io\na, p, open = ['x'], 'y', lambda _: io.StringIO('1')\n{new}",
                monkeypatch,
                torch=torch,
            )
            assert all(named.get("weights_only") for named in given_)
            ran += bool(given_)
        del old
    assert ran > 8


def test_the_patched_yaml_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for rule, _old, new in CASES:
        if rule == "unsafe-yaml" and new is not None and "safe_load(y." not in new and "*a" not in new:
            space = run(
                f"import io\nf = io.StringIO('a: 1')\n{new}\nx = x if isinstance(x, (dict, list)) else list(x)\n",
                monkeypatch,
            )
            assert space["x"] in ({"a": 1}, [{"a": 1}])


def test_the_store_is_the_one_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    mlflow = types.SimpleNamespace(set_tracking_uri=asked.append)
    monkeypatch.setenv("CODEX_MLFLOW_URI", "sqlite:///x")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr("shutil.rmtree", asked.append)
    for rule, _old, new in CASES:
        if rule == "tracker-file-store" and new is not None:
            space = run(new.replace("@deco\n", ""), monkeypatch, mlflow=mlflow)
            chosen = space.get("URI") or space.get("uri")
            assert chosen in (None, "sqlite:///x", "sqlite:///mlflow.db")
            if "f" in space:
                assert space["f"]() in ("sqlite:///x", None)
    assert asked == ["mlruns", "sqlite:///x"]


SKIPS = 'pytest.importorskip("wandb")\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import wandb\n", f"import pytest\n\n{SKIPS}import wandb\n"),
        ('"""Doc."""\nfrom __future__ import annotations\n# why\nimport wandb\n', f'"""Doc."""\nfrom __future__ import annotations\n# why\nimport pytest\n\n{SKIPS}import wandb\n'),
        ("import pytest\nimport wandb\n", f"import pytest\n\n{SKIPS}import wandb\n"),
        ("import os\n\nimport pytest  # here\n\nimport wandb\n", f"import os\n\nimport pytest  # here\n\n{SKIPS}\nimport wandb\n"),
        ("import pytest as pt\nimport wandb\n", f"import pytest\n\n{SKIPS}import pytest as pt\nimport wandb\n"),
        ("from pytest import mark\nimport wandb\n", f"import pytest\n\n{SKIPS}from pytest import mark\nimport wandb\n"),
        ("import wandb\nimport pytest\n", f"import pytest\n\n{SKIPS}import wandb\nimport pytest\n"),
        ("x = 1; import wandb\n", f"import pytest\n\n{SKIPS}x = 1; import wandb\n"),
        ("import pytest; import wandb\n", f"import pytest\n\n{SKIPS}import pytest; import wandb\n"),
        ("import wandb\ndef test_a(pytest): ...\n", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ENDS)
def test_a_test_file_is_marked_before_its_first_import_of_the_package(
    before: str, after: str | None, end: str
) -> None:
    line = next(at for at, row in enumerate(before.split("\n"), 1) if "import wandb" in row)
    changed = made(markers.marked, before.replace("\n", end), finding("wandb", line))
    assert changed == (None if after is None else after.replace("\n", end))
