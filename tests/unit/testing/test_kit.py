"""The kit tells what is broken: for each check a component that breaks it and one that does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from codex_ml.errors import LoadError, NotFoundError
from codex_ml.registry.builtins import BUILTINS
from codex_ml.registry.contracts import CONTRACTS
from codex_ml.testing import conformance_checks, run_checks
from codex_ml.testing.checks import CHECKS

pytestmark = pytest.mark.needs("train", "audit")

TOKENIZER = """
import numpy as np
class Batch:
    def __init__(self, ids, mask): self.ids, self.mask = ids, mask
class Right:
    vocab_size, pad_id, eos_id = 258, 256, 257
    def encode(self, text): return list(text.encode())
    def decode(self, ids): return bytes(i for i in ids if i < 256).decode()
    def batch_encode(self, texts, *, padding="right", max_length=None, truncation="right"):
        rows = [self.encode(t)[:max_length] for t in texts]
        width = max(map(len, rows))
        ids = np.full((len(rows), width), self.pad_id); mask = np.zeros_like(ids)
        for n, row in enumerate(rows): ids[n, :len(row)] = row; mask[n, :len(row)] = 1
        return Batch(ids, mask)
class Lossy(Right):
    def decode(self, ids): return super().decode(ids).strip()
class Outside(Right):
    vocab_size = 100
class OnePad(Right):
    pad_id = eos_id = 257
class Uncut(Right):
    def batch_encode(self, texts, *, padding="right", max_length=None, truncation="right"):
        return super().batch_encode(texts, padding=padding)
class NoDecode:
    vocab_size, pad_id, eos_id = 258, 256, 257
    def encode(self, text): return []
    def batch_encode(self, texts): return None
"""
SOURCES = """
import random
from codex_ml.data.document import Document, InputFile
class Right:
    def __init__(self, cfg): self.cfg = cfg
    @property
    def origin(self): return {"a": "b"}
    def inputs(self): return [InputFile("a", 1, "0" * 64)]
    def documents(self): yield Document("a", "a", "a", b"text")
class Shuffled(Right):
    def documents(self):
        yield Document(str(random.random()), "a", "a", b"text")
class Empty(Right):
    def documents(self): return iter(())
class Unhashed(Right):
    def inputs(self): return [InputFile("b", 1, ""), InputFile("a", 1, "")]
"""
OTHERS = """
import random, torch, click
def right(predictions, targets):
    if len(predictions) != len(targets): raise ValueError
    return 0.5
def zips(predictions, targets): return float(sum(a == b for a, b in zip(predictions, targets)))
def draws(predictions, targets):
    if len(predictions) != len(targets): raise ValueError
    return random.random()
class Reward:
    def evaluate(self, prompt, completion, metadata=None): return float(len(completion))
    def batch_evaluate(self, pairs): return [self.evaluate(*pair) for pair in pairs]
    def learn(self, comparisons): return {}
class OtherTogether(Reward):
    def batch_evaluate(self, pairs): return [0.0 for _ in pairs]
class Endless(Reward):
    def evaluate(self, prompt, completion, metadata=None): return float("nan")
class LearnsNothing(Reward):
    def learn(self, comparisons): return {"loss": float("inf")}
class Agent:
    def __init__(self): self.bias = 0
    def act(self, prompt, *, seed): return f"{prompt}{seed}{self.bias}"
    def update(self, trajectories): self.bias += 1; return {"n": 1.0}
    def save(self, directory): directory.mkdir(); (directory / "bias").write_text(str(self.bias))
    def load(self, directory): self.bias = int((directory / "bias").read_text())
class Forgetful(Agent):
    def load(self, directory): pass
class Unseeded(Agent):
    def act(self, prompt, *, seed): return str(random.random())
def loss(logits, labels):
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
def mean(logits, labels): return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
class Tracker:
    def __init__(self, context): pass
    def write(self, records): pass
    def sync(self): pass
    def close(self, status, artifacts): pass
class Once(Tracker):
    def __init__(self, context): (context.run_directory / "mine").open("x").close()
class Raises(Tracker):
    def write(self, records): raise OSError("the disk is full")
def score(text): return 0.5
def above(text): return len(text)
@click.command()
def silent(): pass
@click.command(help="Do it.")
def command(): pass
def callback(record): pass
def wrong_callback(): pass
class Model(torch.nn.Module):
    def __init__(self, cfg, *, vocab_size, compute_dtype):
        super().__init__()
        self.table = torch.nn.Embedding(vocab_size, vocab_size, dtype=compute_dtype)
    def forward(self, ids): return self.table(ids)
class Peeks(Model):
    def forward(self, ids): return super().forward(ids).flip(1).cumsum(1).flip(1)
class OnlyLast(Model):
    def forward(self, ids): return super().forward(ids)[:, -1]
"""
RULES = """
from codex_ml.audit.rule import Rule
def found(source): yield RIGHT.finding(source.place(4), "a function", "remove it")
RIGHT = Rule("right", "low", "Functions", "There are some.", source=found)
OTHERS = Rule("others", "low", "Functions", "There are some.", source=found)
TEXTS = Rule("texts", "low", "Functions", "There are some.", source=lambda source: ["a function"])
"""
#: kind -> (module, what conforms, {what does not: the check that tells}).
CASES = {
    "tokenizers": (
        "kit_tokenizer",
        "Right",
        {
            "Lossy": "decoding_gives_back_what_was_encoded",
            "Outside": "ids_are_below_the_size_of_the_vocabulary",
            "OnePad": "ids_are_below_the_size_of_the_vocabulary",
            "Uncut": "batches_are_padded_and_cut_as_asked",
            "NoDecode": "decoding_gives_back_what_was_encoded",
        },
    ),
    "data_sources": (
        "kit_sources",
        "Right",
        {
            "Shuffled": "documents_come_twice_in_the_same_order",
            "Empty": "documents_come_twice_in_the_same_order",
            "Unhashed": "inputs_are_hashed_and_in_order",
        },
    ),
    "metrics": (
        "kit_others",
        "right",
        {
            "zips": "lists_of_different_lengths_are_refused",
            "draws": "the_same_arguments_give_the_same_finite_number",
        },
    ),
    "reward_models": (
        "kit_others",
        "Reward",
        {
            "OtherTogether": "rewards_are_finite_and_the_same_alone_and_together",
            "Endless": "rewards_are_finite_and_the_same_alone_and_together",
            "LearnsNothing": "learning_gives_numbers",
        },
    ),
    "rl_agents": (
        "kit_others",
        "Agent",
        {"Forgetful": "a_saved_agent_acts_as_it_did", "Unseeded": "an_agent_acts_by_its_seed"},
    ),
    "objectives": ("kit_others", "loss", {"mean": "a_loss_is_a_sum_that_can_be_differentiated"}),
    "trackers": (
        "kit_others",
        "Tracker",
        {
            "Raises": "records_of_a_run_are_taken_and_it_is_closed",
            "Once": "a_run_that_is_resumed_opens_it_again",
        },
    ),
    "safety_classifiers": ("kit_others", "score", {"above": "a_score_is_between_0_and_1"}),
    "commands": ("kit_others", "command", {"silent": "a_command_explains_itself"}),
    "models": (
        "kit_others",
        "Model",
        {
            "Peeks": "a_position_sees_only_what_is_before_it",
            "OnlyLast": "a_model_gives_finite_logits_for_each_position",
        },
    ),
    "audit_rules": (
        "kit_rules",
        "RIGHT",
        dict.fromkeys(("OTHERS", "TEXTS"), "a_rule_looks_at_code_and_leaves_the_repository_alone"),
    ),
    "callbacks": ("kit_others", "callback", {"wrong_callback": "a_record_of_a_step_is_taken"}),
}
PARAMS = [
    (kind, name, check) for kind, (_module, _right, wrong) in CASES.items() for name, check in wrong.items()
]


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"kit_tokenizer": TOKENIZER, "kit_sources": SOURCES, "kit_others": OTHERS, "kit_rules": RULES}
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize("kind", sorted(CASES))
def test_what_conforms_passes_every_check(kind: str) -> None:
    module, right, _wrong = CASES[kind]
    rows = run_checks(kind, f"{module}:{right}")
    assert rows
    assert [row for row in rows if row["error"] is not None] == []


@pytest.mark.parametrize(("kind", "name", "check"), PARAMS)
def test_what_does_not_is_told_by_the_check_of_that(kind: str, name: str, check: str) -> None:
    rows = run_checks(kind, f"{CASES[kind][0]}:{name}")
    assert check in [row["check"] for row in rows if row["error"]]


@pytest.mark.parametrize("options", ["lr: 1.0\n", "- a list\n", None])
def test_a_package_of_options_holds_mappings(options: str | None, tmp_path: Path) -> None:
    (tmp_path / "kit_groups" / "train").mkdir(parents=True)
    (tmp_path / "kit_groups" / "__init__.py").touch()
    if options is not None:
        (tmp_path / "kit_groups" / "train" / "mine.yaml").write_text(options)
    sys.modules.pop("kit_groups", None)
    (row,) = run_checks("config_groups", "kit_groups")
    assert (row["error"] is None) is (options == "lr: 1.0\n")


@pytest.mark.needs("tracking")
@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("audit_rules", sorted(BUILTINS["audit_rules"])),
        ("data_sources", ["files"]),
        ("metrics", sorted(BUILTINS["metrics"])),
        ("models", ["decoder"]),
        ("objectives", sorted(BUILTINS["objectives"])),
        ("trackers", ["csv", "ndjson", "tensorboard"]),
    ],
)
def test_the_built_in_ones_conform(kind: str, names: list[str]) -> None:
    rows = [{"name": name, **row} for name in names for row in run_checks(kind, BUILTINS[kind][name])]
    assert rows
    assert [row for row in rows if row["error"] is not None] == []


def test_there_is_a_broken_component_for_every_check() -> None:
    told = {check for _kind, _name, check in PARAMS}
    assert {function.__name__ for functions in CHECKS.values() for function in functions} == {
        *told,
        "groups_hold_yaml",
    }


def test_a_module_that_leaves_the_program_is_a_failure_and_no_end(tmp_path: Path) -> None:
    (tmp_path / "kit_leaves.py").write_text("raise SystemExit(0)\n")
    rows = run_checks("metrics", "kit_leaves:metric")
    assert [row["error"] for row in rows] == ["SystemExit: 0"] * 2


def test_every_kind_has_checks_and_an_unknown_one_is_told() -> None:
    assert all(conformance_checks(kind) for kind in CONTRACTS)
    with pytest.raises(NotFoundError, match="trakers"):
        conformance_checks("trakers")


def test_arguments_are_given_to_the_component_and_its_contract_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "kit_new.py").write_text("CODEX_ML_CONTRACT = 7\ndef scaled(text, by): return by\n")
    (tmp_path / "kit_plain.py").write_text("def scaled(text, by): return by\n")
    (check,) = conformance_checks("safety_classifiers", by=0.25)
    check("kit_plain:scaled", tmp_path)
    (high,) = conformance_checks("safety_classifiers", by=2.0)
    with pytest.raises(AssertionError, match="got 2"):
        high("kit_plain:scaled", tmp_path)
    with pytest.raises(LoadError, match="another version"):
        check("kit_new:scaled", tmp_path)
