"""Every piece of evidence decides: with all of it a row is Implemented, without any one of them it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit_repos import commit, write
from audit_whole import WHOLE, WITHOUT
from codex_ml.audit.audit import Audit, audit
from codex_ml.audit.capabilities import CAPABILITIES
from codex_ml.audit.model import IMPLEMENTED, MISSING, PARTIAL

pytestmark = pytest.mark.needs("audit")
#: Needs that nothing alone takes away: what shows them shows more.
TOGETHER = {
    *(("modeling", "load"), ("modeling", "tested"), ("configuration", "use"), ("configuration", "kept")),
    *(("monitoring", "use"), ("monitoring", "scalars"), ("monitoring", "tested"), ("checkpointing", "load")),
    *(("checkpointing", "wired"), ("data", "use"), ("data", "tested"), ("ci", "begun"), ("ci", "tests")),
    *(("ci", "optional packages"), ("documentation", "notebooks"), ("cli", "use"), ("extensibility", "use")),
    ("extensibility", "conflicts"),
}


def judged(root: Path) -> Audit:
    return audit(root, workers=1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return judged(commit(write(tmp_path_factory.mktemp("whole") / "small", dict(WHOLE))))


def test_with_all_the_evidence_every_row_is_implemented(whole: Audit) -> None:
    lacking = {row.capability.id: [need.id for need in row.missing] for row in whole.rows if row.missing}
    assert lacking == {}
    assert {row.status for row in whole.rows} == {IMPLEMENTED}
    assert [one.rule for one in whole.findings] == []


def test_the_table_names_every_need() -> None:
    needs = {(one.id, need.id) for one in CAPABILITIES for need in one.needs}
    assert set(WITHOUT) | TOGETHER == needs
    assert not set(WITHOUT) & TOGETHER


@pytest.mark.parametrize(("capability", "need"), sorted(WITHOUT))
def test_without_it_the_row_is_not_implemented_and_names_it(
    tmp_path: Path, capability: str, need: str
) -> None:
    path, old, new = WITHOUT[capability, need]
    before = WHOLE[path]
    assert isinstance(before, str) and old in before
    root = commit(write(tmp_path / "small", {**WHOLE, path: before.replace(old, new)}))
    row = next(row for row in judged(root).rows if row.capability.id == capability)
    first = row.capability.needs[0].id
    assert need in [one.id for one in row.missing]
    assert row.status == (MISSING if need == first else PARTIAL)
    if need != first:
        # Where it is what tests have to reach, none does.
        others = ["tested"] if need == row.capability.tests_reach else []
        assert [one.id for one in row.missing] == [need, *others]


GAME = """
import hashlib
import random


class Game:
    def __init__(self):
        self.state = {"optimizer": self, "sampler": self}

    def encode(self, move):
        return [move]

    def decode(self, moves):
        return moves[0]

    def register(self, name, player):
        self.state[name] = player

    def get(self, name):
        return self.state[name]

    def load_state(self, cursor):
        return self.state["optimizer"], self.state["sampler"], cursor

    def save_state(self):
        return self.state


def resume():
    return 1


def get_lr(step):
    return step


def fold_in(seed, step):
    return hashlib.md5(f"{seed}{step}".encode()).hexdigest()


def batch_at(step):
    return step


def get_batch(step):
    random.seed(step)
    return [step]
"""
TEST_OF_GAME = """from game import Game, batch_at, fold_in, get_batch, get_lr, resume


def test_the_game():
    game = Game()
    game.register("a", 1)
    assert game.decode(game.encode(game.get("a"))) == 1
    assert (resume(), get_lr(1), batch_at(1), get_batch(1)) == (1, 1, 1, [1])
    assert game.load_state(0) and game.save_state() and fold_in(0, 1)
"""


def test_names_alone_make_no_training_of_a_game(tmp_path: Path) -> None:
    files = {"game.py": GAME, "tests/test_game.py": TEST_OF_GAME}
    rows = {row.capability.id: row for row in judged(write(tmp_path, dict(files))).rows}
    for name in ("modeling", "training", "evaluation", "checkpointing", "tracking", "monitoring"):
        assert rows[name].status == MISSING, name
    assert not [name for name, row in rows.items() if row.status == IMPLEMENTED]


DEAD = """import torch


def store(model, path):
    return
    torch.save(model.state_dict(), path)


def restore(model, path):
    if False:
        model.load_state_dict(torch.load(path, weights_only=True))
"""


def test_code_that_is_never_reached_is_no_evidence(tmp_path: Path) -> None:
    test = "from ckpt import store\n\n\ndef test_it():\n    assert store(None, 'x') is None\n"
    rows = {
        row.capability.id: row for row in judged(write(tmp_path, {"ckpt.py": DEAD, "test_it.py": test})).rows
    }
    assert rows["checkpointing"].status == MISSING and not any(rows["checkpointing"].shown.values())


def test_an_option_that_is_declined_is_no_evidence(tmp_path: Path) -> None:
    code = """from transformers import Trainer, TrainingArguments

args = TrainingArguments(output_dir="x", report_to="none", save_strategy="no")
trainer = Trainer(model, args)
trainer.train(resume_from_checkpoint=None)
"""
    rows = {row.capability.id: row for row in judged(write(tmp_path, {"train.py": code})).rows}
    assert rows["checkpointing"].status == MISSING and rows["tracking"].status == MISSING
    assert "resume" in [need.id for need in rows["training"].missing]


def test_helpers_of_tests_are_no_evidence(tmp_path: Path) -> None:
    helper = "import torch\n\n\ndef fit(loss):\n    loss.backward()\n    torch.save(loss, 'x')\n"
    rows = {
        row.capability.id: row.status for row in judged(write(tmp_path, {"tests/helpers.py": helper})).rows
    }
    assert rows["training"] == rows["checkpointing"] == MISSING


@pytest.mark.parametrize(
    ("body", "reached"),
    [
        ("assert save(1) is None", True),
        ("assert 'a'.encode()", False),
        ("assert Session", False),
        ("assert Session().store(1) is None", True),
        ("assert whole(1) is None", True),
    ],
)
def test_a_test_counts_for_what_it_calls(tmp_path: Path, body: str, reached: bool) -> None:
    code = """import torch


def save(model):
    torch.save(model, "x")


class Session:
    def store(self, model):
        torch.save(model, "y")


def whole(model):
    Session().store(model)
"""
    wanted = {"save": "save(", "Session": "Session", "whole": "whole("}
    names = [name for name, sign in wanted.items() if sign in body] or ["Session"]
    test = f"from ckpt import {', '.join(names)}\n\n\ndef test_it():\n    {body}\n"
    row = next(
        row
        for row in judged(write(tmp_path, {"ckpt.py": code, "test_it.py": test})).rows
        if row.capability.id == "checkpointing"
    )
    assert ("tested" not in [need.id for need in row.missing]) == reached
