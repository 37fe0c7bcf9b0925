"""What can be scaffolded, and what it may be called."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest

from codex_ml.cli.scaffold import _WORDS
from codex_ml.errors import UsageError
from codex_ml.registry.contracts import CONTRACTS, check_version, lacking
from codex_ml.scaffold.kinds import KINDS, Part, filled, module_name, refuse_taken


def test_the_command_line_knows_every_kind() -> None:
    assert set(_WORDS) == {*KINDS, "plugin"}
    assert {kind for kind, _attribute in KINDS.values()} <= set(CONTRACTS)


@pytest.mark.needs("train", "audit")
@pytest.mark.parametrize("word", sorted(KINDS))
def test_its_module_has_what_the_entry_point_names_for_the_contract_of_today(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = Part(word, f"Scaffolded-{word}", "scaffolded_parts")
    (tmp_path / "scaffolded_parts").mkdir()
    (tmp_path / "scaffolded_parts" / f"{part.module}.py").write_text(part.source())
    monkeypatch.syspath_prepend(tmp_path)
    module, _, attribute = part.target.partition(":")
    found = importlib.import_module(module)
    assert lacking(part.kind, getattr(found, attribute)) is None
    check_version(part.kind, found.CODEX_ML_CONTRACT, who=word)
    assert found.__doc__
    assert part.target in part.test()
    assert ast.parse(part.test())
    for name in [name for name in sys.modules if name.startswith("scaffolded_parts")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "module"), [("mine", "mine"), ("My-Sink2", "my_sink2"), ("a", "a"), ("x" * 60, "x" * 60)]
)
def test_a_name_becomes_a_module(name: str, module: str) -> None:
    assert module_name(name) == module


@pytest.mark.parametrize(
    "name",
    ["", "1st", "-x", "a b", "a/b", "../a", "a.b", "ä", "a\n", "x" * 61, "class", "import", "a;b", "$a"],
)
def test_a_name_that_cannot_be_a_module_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        module_name(name)
    assert caught.value.code == "scaffold.name"


@pytest.mark.parametrize(
    ("word", "name", "told"),
    [
        ("tracker", "mlflow", "built in"),
        ("data-source", "files", "built in"),
        ("metric", "sum", "sum, which its code uses"),
        ("tracker", "Path", "Path, which its code uses"),
        ("metric", "tests", None),
        ("tracker", "sink", None),
        ("rule", "rule", None),
        ("tokenizer", "tokenizer", None),
        ("model", "model", None),
        ("agent", "agent", None),
        ("callback", "log", "log, which its code uses"),
        ("reward", "pytest", "pytest, which its code uses"),
        ("tokenizer", "batch", "Batch, which its code uses"),
        ("model", "none", "None"),
        ("model", "decoder", "Decoder"),
    ],
)
def test_a_name_that_would_hide_another_is_refused(word: str, name: str, told: str | None) -> None:
    if told is None:
        refuse_taken(Part(word, name, "my_parts"))
        return
    with pytest.raises(UsageError, match=told) as caught:
        refuse_taken(Part(word, name, "my_parts"))
    assert caught.value.code == "scaffold.name"
    refuse_taken(Part(word, f"my-{name}", "my_parts"))


def test_a_template_with_a_name_that_is_not_given_is_an_error() -> None:
    with pytest.raises(KeyError, match="contract"):
        filled("metric.py", {"name": "x", "kind": "metrics"})
