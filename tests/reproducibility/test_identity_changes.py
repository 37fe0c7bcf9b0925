"""What makes the bits may not change in silence: no part of the state, no field of the run's identity."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from codex_ml.checkpointing.digest import weights_digest
from codex_ml.core.publish import MANIFEST, read_json, seal, write_json
from corpora import write_packages
from reproducibility.harness import chosen, counted
from reproducibility.lab import Lab, laboratory

pytestmark = pytest.mark.needs("train")

DIGESTS = {"model.safetensors": "weights_sha256", "optimizer.safetensors": "optimizer_sha256"}


def halfway(lab: Lab) -> str:
    """A run stopped after step 11."""
    if not lab.run("halfway").exists():
        done = lab.train("halfway", faults={"signal_after_step": {"steps": [11]}})
        assert done.code == 75, done.text
    return "halfway"


def resealed(checkpoint: Path) -> None:
    """Make the manifest fit what lies there now, as a careful forger would."""
    meta = read_json(checkpoint / MANIFEST)
    for part, name in DIGESTS.items():
        meta[name] = weights_digest(checkpoint / part)
    seal(checkpoint, {key: value for key, value in meta.items() if key not in ("files", "manifest_sha256")})


def test_a_state_that_lacks_a_key_or_has_another_is_refused_by_its_name() -> None:
    lab = laboratory()
    keys = sorted(read_json(lab.checkpoints(halfway(lab))[0] / "state.json"))
    with counted("R8 drop each key of the state, add one") as row:
        for key in [*chosen(keys, 3), "no-such-key"]:
            name = lab.copy("halfway")
            newest = lab.checkpoints(name)[0]
            state = read_json(newest / "state.json")
            if state.pop(key, self_ := object()) is self_:
                state[key] = 1
            write_json(newest / "state.json", state)
            resealed(newest)
            done = lab.train(name)
            row.check(done.code not in (0, 70) and key in done.text, (key, done.text))
            lab.drop(name)


def test_a_checkpoint_that_lacks_a_tensor_is_refused_by_its_name() -> None:
    lab = laboratory()
    newest = lab.checkpoints(halfway(lab))[0]
    points = [(part, tensor) for part in DIGESTS for tensor in sorted(load_file(newest / part))]
    with counted("R8 drop each tensor of weights and optimizer") as row:
        for part, tensor in chosen(points, 4):
            name = lab.copy("halfway")
            damaged = lab.checkpoints(name)[0]
            tensors = load_file(damaged / part)
            del tensors[tensor]
            save_file(tensors, damaged / part)
            resealed(damaged)
            done = lab.train(name)
            row.check(done.code == 3 and tensor.split("/")[-1] in done.text, (part, tensor, done.text))
            lab.drop(name)


def test_every_part_of_every_tensor_is_in_the_digest(tmp_path: Path) -> None:
    lab, path = laboratory(), tmp_path / "t.safetensors"
    newest = lab.checkpoints(halfway(lab))[0]
    with counted("R8 mutate each tensor: value, name, shape, dtype") as row:
        for part in DIGESTS:
            whole = load_file(newest / part)
            before = weights_digest(newest / part)
            save_file(whole, path)
            row.check(weights_digest(path) == before, f"{part} written again")
            for name, tensor in whole.items():
                value = tensor.clone()
                value.view(-1)[-1] += 1
                changes = [
                    {**whole, name: value},
                    {**{key: one for key, one in whole.items() if key != name}, name + "x": tensor},
                    {**whole, name: tensor.reshape(*tensor.shape, 1)},
                    {**whole, name: tensor.double()},
                ]
                for number, changed in enumerate(changes):
                    save_file(changed, path)
                    row.check(weights_digest(path) != before, (part, name, number))


def other_machine(field: str, value: str) -> dict:
    return {"other_machine": {"field": field, "value": value}}


#: field -> (words, faults) of a call that differs in it
CHANGES: dict[str, tuple[tuple[str, ...], dict]] = {
    "config.runtime.threads": (("runtime.threads=2",), {}),
    "config.train.optimizer.name": (("train.optimizer.name=adamw",), {}),
    "inputs.dataset": (("data.path=OTHER",), {}),
    "config.runtime.shards": (("runtime.shards=8",), {}),
    "config.train.batch_size": (("train.batch_size=16",), {}),
    "config.seed": (("seed=7",), {}),
    "config.model.dropout": (("model.dropout=0.2",), {}),
    "config.model.dim": (("model.dim=64",), {}),
    "config.train.lr": (("train.lr=0.001",), {}),
    "config.runtime.dtype": (("runtime.dtype=bfloat16",), {}),
    "config.runtime.determinism": (("runtime.determinism=fast",), {}),
    "inputs.tokenizer": (("tokenizer.vocab_size=299",), {}),
    "resolved.torch_build": ((), other_machine("torch_build", "2.99.0")),
    "resolved.cpu_capability": ((), other_machine("cpu_capability", "AVX9")),
    "resolved.python": ((), other_machine("python", "3.99.0")),
}
#: Changes after which the stored state still fits; the others meet a state of other tensors.
CAN_GO_ON = (
    *("config.runtime.threads", "inputs.dataset", "config.runtime.shards", "config.train.batch_size"),
    *("config.seed", "config.model.dropout", "config.train.lr", "resolved.torch_build", "resolved.python"),
)


def changed(lab: Lab, field: str) -> tuple[list[str], dict]:
    words, faults = CHANGES[field]
    other = lab.home / "other"
    if "data.path=OTHER" in words and not other.exists():
        write_packages(other, packages=11, modules=2)
    return [word.replace("OTHER", str(other)) for word in words], faults


def test_a_changed_field_of_the_identity_is_refused_by_its_name() -> None:
    lab = laboratory()
    with counted("R9 changed identity refused by field name") as row:
        for field in chosen(list(CHANGES), 4):
            name = lab.copy(halfway(lab))
            words, faults = changed(lab, field)
            done = lab.train(name, *words, faults=faults)
            row.check(done.code == 2 and done.error == "run.identity" and field in done.text, done.text)
            lab.drop(name)


def test_another_number_of_workers_in_exact_mode_is_refused() -> None:
    lab = laboratory()
    with counted("R9 workers changed in exact mode") as row:
        done, helper = lab.workers(lab.copy(halfway(lab)), 2)
        row.check(done.code == 2 and "resolved.workers" in done.text and helper.code != 0, done.text)


def test_an_accepted_change_goes_on_and_is_recorded() -> None:
    lab = laboratory()
    with counted("R9 --accept-change recorded, grade lowered") as row:
        for field in chosen(list(CAN_GO_ON), 2):
            name = lab.copy(halfway(lab))
            words, faults = changed(lab, field)
            refused = lab.train(name, *words, faults=faults)
            fields = [text.partition(":")[0] for text in refused.said["error"]["got"].split(", ")]
            done = lab.train(name, *words, faults=faults, accept=fields)
            record = read_json(lab.run(name) / "run.json")
            accepted = {change["field"] for change in record["accepted"]}
            lowered = record["resolved"]["grade"] == "statistical"
            row.check(done.code == 0 and accepted == set(fields) and lowered, (field, fields, done.text))
            lab.drop(name)
