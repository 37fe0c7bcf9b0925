"""What each kind is put through. Components are built as the program builds them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

TEXTS = ("", "def f(x):\n    return x + 1\n", "naïve café ☕ 日本語", "\t\ttabs  and   blanks ", "a" * 500)


# ---- tokenizers ----------------------------------------------------------------------------------


def decoding_gives_back_what_was_encoded(make: Any, _directory: Path) -> None:
    """Every text, whatever it holds."""
    tokenizer = make()
    for text in TEXTS:
        found = tokenizer.decode(tokenizer.encode(text))
        assert found == text, f"{text[:40]!r} came back as {found[:40]!r}"


def ids_are_below_the_size_of_the_vocabulary(make: Any, _directory: Path) -> None:
    """Also those of padding and end."""
    tokenizer = make()
    ids = [number for text in TEXTS for number in tokenizer.encode(text)]
    for number in (*ids, tokenizer.pad_id, tokenizer.eos_id):
        assert 0 <= number < tokenizer.vocab_size, f"id {number}, vocabulary of {tokenizer.vocab_size}"
    assert tokenizer.pad_id != tokenizer.eos_id, "pad and eos are one token, so the loss on eos is lost"


def batches_are_padded_and_cut_as_asked(make: Any, _directory: Path) -> None:
    """Ids and mask of one shape, padding where it was asked for."""
    tokenizer = make()
    texts = [TEXTS[1], TEXTS[1] * 2]
    batch = tokenizer.batch_encode(texts, padding="right")
    lengths = [len(tokenizer.encode(text)) for text in texts]
    assert batch.ids.shape == batch.mask.shape == (2, max(lengths)), (
        f"{batch.ids.shape} and {batch.mask.shape}"
    )
    assert batch.mask.sum(axis=1).tolist() == lengths, "the mask does not count the tokens"
    assert (batch.ids[0, lengths[0] :] == tokenizer.pad_id).all(), "padding is not pad_id"
    cut = tokenizer.batch_encode(texts, padding="left", max_length=3)
    assert cut.ids.shape == (2, min(3, max(lengths))), f"max_length=3 gave {cut.ids.shape}"


# ---- metrics -------------------------------------------------------------------------------------


def the_same_arguments_give_the_same_finite_number(function: Any, _directory: Path) -> None:
    """A float, twice."""
    one, two = (function(["a", "b"], ["a", "c"]) for _ in range(2))
    assert isinstance(one, int | float) and math.isfinite(one), f"{one!r} is no finite number"
    assert one == two, f"{one} and then {two}"


def lists_of_different_lengths_are_refused(function: Any, _directory: Path) -> None:
    """Silently comparing the shorter part gives wrong figures."""
    try:
        found = function(["a", "b"], ["a"])
    except ValueError:
        return
    raise AssertionError(f"two predictions and one target gave {found!r}, wanted ValueError")


# ---- data sources --------------------------------------------------------------------------------


def documents_come_twice_in_the_same_order(make: Any, directory: Path) -> None:
    """Streaming, and the same bytes each time."""
    one, two = ([_document(row) for row in _source(make, directory).documents()] for _ in range(2))
    assert one, "it gave no document of the two files that were there"
    assert one == two, "the second reading gave other documents"


def inputs_are_hashed_and_in_order(make: Any, directory: Path) -> None:
    """What a dataset's digest is made of."""
    source = _source(make, directory)
    inputs = source.inputs()
    assert [one.path for one in inputs] == sorted(one.path for one in inputs), "inputs are not sorted by path"
    assert all(len(one.sha256) == 64 for one in inputs), "an input has no sha256"
    assert all(isinstance(value, str) for value in source.origin.values()), "origin maps names to texts"


def _source(make: Any, directory: Path) -> Any:
    """The source over a folder of two files, built from a config as runs build it."""
    from codex_ml.config.compose import compose

    folder = directory / "given"
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_text("first\n", encoding="utf-8")
    (folder / "b.txt").write_text("second, naïve\n", encoding="utf-8")
    cfg = compose(
        ["data.source=files", f"data.path='{folder}'", "data.include=['**/*.txt']"], environ={}
    ).config
    return make(cfg.data)


def _document(row: Any) -> tuple[str, str]:
    return type(row).__name__, repr(row)


# ---- reward models and agents --------------------------------------------------------------------

PAIRS = (("p", "good"), ("p", "bad"), ("", ""), ("def f():", "\n    return 1\n"))


def rewards_are_finite_and_the_same_alone_and_together(make: Any, _directory: Path) -> None:
    """`batch_evaluate` is `evaluate` of each."""
    model = make()
    alone = [model.evaluate(prompt, completion) for prompt, completion in PAIRS]
    assert all(isinstance(one, int | float) and math.isfinite(one) for one in alone), (
        f"{alone} are no finite rewards"
    )
    assert [model.evaluate(prompt, completion) for prompt, completion in PAIRS] == alone, (
        "the second time gave others"
    )
    together = model.batch_evaluate(list(PAIRS))
    assert list(together) == alone, f"together {list(together)}, alone {alone}"


def learning_gives_numbers(make: Any, _directory: Path) -> None:
    """Metrics by name; empty where nothing is learnt."""
    _numbers(make().learn([("p", "better", "worse")]))


def an_agent_acts_by_its_seed(make: Any, _directory: Path) -> None:
    """The same prompt and seed give the same completion."""
    agent = make()
    one, two = (agent.act("def f():", seed=3) for _ in range(2))
    assert isinstance(one, str), f"{one!r} is no text"
    assert one == two, f"seed 3 gave {one!r} and then {two!r}"


def a_saved_agent_acts_as_it_did(make: Any, directory: Path) -> None:
    """After an update, so that there is something to save."""
    agent = make()
    _numbers(agent.update([{"prompt": "p", "completion": "c", "reward": 1.0}]))
    agent.save(directory / "agent")
    again = make()
    again.load(directory / "agent")
    for seed in range(5):
        assert again.act("p", seed=seed) == agent.act("p", seed=seed), (
            f"after loading, seed {seed} acts otherwise"
        )


def _numbers(found: Mapping[str, float]) -> None:
    for name, value in found.items():
        assert math.isfinite(value), f"{name!r}: {value!r} is no metric"


# ---- trackers ------------------------------------------------------------------------------------


def records_of_a_run_are_taken_and_it_is_closed(make: Any, directory: Path) -> None:
    """As a run calls it: records, sync, the end."""
    tracker = make(_context(directory))
    tracker.write(_records(1))
    tracker.sync()
    tracker.write(_records(2))
    tracker.close("finished", [])


def a_run_that_is_resumed_opens_it_again(make: Any, directory: Path) -> None:
    """In the same directory, at a later step."""
    for step in (0, 1):
        tracker = make(_context(directory, resume_step=step))
        tracker.write(_records(step + 1))
        tracker.close("interrupted", [])


def _context(directory: Path, *, resume_step: int = 0) -> Any:
    from codex_ml.tracking.context import TrackerContext

    run = directory / "run"
    run.mkdir(exist_ok=True)
    return TrackerContext(run, "0" * 32, name="conformance", resume_step=resume_step, facts={"seed": "1"})


def _records(step: int) -> list[Any]:
    from codex_ml.metrics import MetricRecord

    return [MetricRecord("0" * 32, step, "train", "train", "loss", 2.5 / step, time.time())]


# ---- rules and callbacks -------------------------------------------------------------------------


def a_rule_looks_at_code_and_leaves_the_repository_alone(rule: Any, directory: Path) -> None:
    """Findings are findings, and carry the rule's id."""
    from codex_ml.audit.facts import facts_of
    from codex_ml.audit.index import Index
    from codex_ml.audit.model import SEVERITIES, Finding
    from codex_ml.audit.project import read_project
    from codex_ml.audit.source import parse
    from codex_ml.audit.tree import read_tree

    root = directory / "repository"
    root.mkdir()
    text = "import os\n\n\ndef train(path):\n    os.system(path)\n    raise NotImplementedError\n"
    (root / "a.py").write_text(text, encoding="utf-8")
    facts = facts_of(parse("a.py", text), [rule])
    tree = read_tree(root)
    found: Sequence[Any] = facts.findings
    if rule.tree is not None:
        found = list(rule.tree(Index(tree, read_project(tree), [facts], []), facts.findings))
    for one in found:
        assert isinstance(one, Finding) and one.rule == rule.id, f"{one!r} is no finding of {rule.id}"
        assert one.severity in SEVERITIES, f"no severity: {one.severity}"
    assert (root / "a.py").read_text(encoding="utf-8") == text


def a_record_of_a_step_is_taken(callback: Any, directory: Path) -> None:
    """It is called and returns."""
    for record in _records(1):
        callback(record)
    del directory


def a_score_is_between_0_and_1(classify: Any, _directory: Path) -> None:
    """For every text."""
    for text in TEXTS:
        assert 0 <= classify(text) <= 1, f"{text[:20]!r} got {classify(text)!r}"


def a_command_explains_itself(command: Any, _directory: Path) -> None:
    """Help for people, and a name."""
    assert command.help, "the command has no help"
    assert command.callback is not None or getattr(command, "commands", None), "the command does nothing"


def groups_hold_yaml(package: Any, _directory: Path) -> None:
    """GROUP/OPTION.yaml, each a mapping."""
    import yaml

    files = [path for place in package.__path__ for path in sorted(Path(place).glob("*/*.yaml"))]
    assert files, "the package holds no GROUP/OPTION.yaml"
    for file in files:
        body = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert isinstance(body, dict), f"{file} is no mapping"


def a_loss_is_a_sum_that_can_be_differentiated(loss: Any, _directory: Path) -> None:
    """A float32 scalar that grows with the number of tokens."""
    import torch

    logits = torch.zeros(1, 4, 8, requires_grad=True)
    labels = torch.tensor([[1, 2, 3, 4]])
    found = loss(logits, labels)
    assert found.shape == () and found.dtype == torch.float32, f"{found.shape}, {found.dtype}"
    found.backward()
    assert logits.grad is not None
    assert math.isclose(float(loss(logits[:, :2], labels[:, :2])) * 2, float(found), rel_tol=1e-5), (
        "it is no sum"
    )


CHECKS: Mapping[str, tuple[Callable[[Any, Path], None], ...]] = {
    "tokenizers": (
        decoding_gives_back_what_was_encoded,
        ids_are_below_the_size_of_the_vocabulary,
        batches_are_padded_and_cut_as_asked,
    ),
    "metrics": (the_same_arguments_give_the_same_finite_number, lists_of_different_lengths_are_refused),
    "data_sources": (documents_come_twice_in_the_same_order, inputs_are_hashed_and_in_order),
    "objectives": (a_loss_is_a_sum_that_can_be_differentiated,),
    "reward_models": (rewards_are_finite_and_the_same_alone_and_together, learning_gives_numbers),
    "rl_agents": (an_agent_acts_by_its_seed, a_saved_agent_acts_as_it_did),
    "trackers": (records_of_a_run_are_taken_and_it_is_closed, a_run_that_is_resumed_opens_it_again),
    "callbacks": (a_record_of_a_step_is_taken,),
    "audit_rules": (a_rule_looks_at_code_and_leaves_the_repository_alone,),
    "commands": (a_command_explains_itself,),
    "config_groups": (groups_hold_yaml,),
    "safety_classifiers": (a_score_is_between_0_and_1,),
}
