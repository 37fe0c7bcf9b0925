"""A real model of 135 million parameters: in, fine-tuned, out again, and nothing lost on the way."""

from __future__ import annotations

import ast
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from realmodel.conftest import Base, Tuned
from realmodel.laboratory import Laboratory, load_base, load_plain, record

pytestmark = [pytest.mark.needs("train", "report"), pytest.mark.slow]

CAPITAL = "What is the capital of France?"
CODE = "Write a Python function `add(a, b)` that returns the sum of its arguments. Answer with code only."


def chat_ids(tokenizer: Any, text: str) -> list[int]:
    asked = [{"role": "user", "content": text}]
    return list(tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False))


def looks_like_python(text: str) -> bool:
    fenced = re.search(r"```(?:python)?\n(.*?)(?:```|\Z)", text, re.DOTALL)
    code = fenced[1] if fenced else text
    try:
        return bool(ast.parse(code).body)
    except SyntaxError:
        return "return" in code


def test_the_imported_model_completes_as_plain_transformers_does(lab: Laboratory, base: Base) -> None:
    import torch

    from codex_ml.generation.generate import complete
    from codex_ml.modeling.golden import load_tokenizer

    tokenizer = load_tokenizer(base.directory)
    end = tokenizer.eos_token_id
    ours, plain = load_base(base.directory), load_plain(base.directory)
    said, tokens, started = [], 0, time.perf_counter()
    for text in (CAPITAL, CODE):
        ids = chat_ids(tokenizer, text)
        (found,) = complete(ours, ids, samples=1, max_tokens=64, temperature=0.0, top_p=1.0, seed=0, end=end)
        theirs = plain.generate(
            torch.tensor([ids]), max_new_tokens=64, do_sample=False, eos_token_id=end, pad_token_id=end
        )
        expected = theirs[0, len(ids) :].tolist()
        assert [*found.tokens, *([end] if found.ended else [])] == expected
        said.append(tokenizer.decode(found.tokens))
        tokens += len(expected)
    assert "Paris" in said[0], said[0]
    assert looks_like_python(said[1]), said[1]
    record("greedy completions equal to transformers'", tokens=tokens, seconds=time.perf_counter() - started)


def test_fine_tuning_lowers_the_loss_on_packages_it_never_saw(
    lab: Laboratory, base: Base, tuned: Tuned
) -> None:
    import torch

    from codex_ml.data.sft.rows import SampleSplit
    from codex_ml.evaluation.score import score_split, scorer_of

    dataset = lab.home / ".codex" / "store" / "samples" / tuned.printed["inputs"]["dataset"]
    split = SampleSplit.open(dataset, "validation")
    started = time.perf_counter()
    score = score_split(
        scorer_of(load_base(base.directory)), split, batch_size=4, max_rows=0, device=torch.device("cpu")
    )
    after = tuned.printed["metrics"]["loss"]
    record(
        "held-out loss, nats a token",
        before=score.loss,
        after=after,
        fall=1 - after / score.loss,
        tokens=sum(score.tokens),
        rows=split.rows,
        samples=split.samples,
        seconds=time.perf_counter() - started,
    )
    assert after <= 0.9 * score.loss


def test_the_base_is_unchanged_and_named_by_the_run(base: Base, tuned: Tuned) -> None:
    from codex_ml.modeling.pretrained_files import inspect_directory

    manifest = json.loads((tuned.directory / "run.json").read_text())
    assert inspect_directory(base.directory).weights_sha256 == base.weights_sha256
    assert manifest["inputs"]["base_weights"] == base.weights_sha256


def test_the_export_computes_what_base_and_adapter_compute_in_plain_peft(base: Base, tuned: Tuned) -> None:
    from peft import PeftModel
    from transformers import AutoTokenizer

    from codex_ml.modeling.golden import check_golden
    from codex_ml.modeling.probe import compare, probe_logits

    started = time.perf_counter()
    exported = probe_logits(load_plain(tuned.export))
    plain = load_plain(base.directory)
    before = probe_logits(plain)
    adapted = probe_logits(PeftModel.from_pretrained(plain, str(tuned.export / "adapter")).eval())
    drift, effect = compare(adapted, exported), compare(before, adapted)
    record(
        "export against base and adapter in peft",
        drift=drift,
        effect=effect,
        seconds=time.perf_counter() - started,
    )
    assert drift <= 1e-4 < effect
    check_golden(tuned.export)
    tokenizer = AutoTokenizer.from_pretrained(str(tuned.export), local_files_only=True)
    golden = json.loads((tuned.export / "golden.json").read_text())
    assert all(list(tokenizer(text)["input_ids"]) == ids for text, ids in golden["ids"])


def test_merging_by_hand_gives_the_weights_of_the_export(
    lab: Laboratory, base: Base, tuned: Tuned, tmp_path: Path
) -> None:
    from codex_ml.modeling.probe import compare, probe_logits

    merged, file = lab.home / "merged", lab.home / "gguf" / "merged.gguf"
    _, seconds = lab.cli("model", "merge", base.directory, tuned.export / "adapter", "--out", merged)
    assert _tensors(merged) == _tensors(tuned.export)
    done, writing = lab.cli("model", "export", "--format", "gguf", "--out", file, merged)
    drift = compare(
        probe_logits(load_plain(tuned.export)), probe_logits(load_plain(file.parent, gguf_file=file.name))
    )
    record("merge by hand", seconds=seconds)
    record("GGUF of the merged model", seconds=writing, bytes=done.json["size"], drift=drift)
    assert drift <= 1e-2


def _tensors(directory: Path) -> dict[str, tuple[object, ...]]:
    """Name, dtype, shape and digest of each weight."""
    import torch
    from safetensors.torch import load_file

    from codex_ml.core.digest import digest_bytes

    return {
        name: (value.dtype, value.shape, digest_bytes(value.contiguous().view(torch.uint8).numpy().tobytes()))
        for name, value in load_file(directory / "model.safetensors").items()
    }


def test_the_run_verifies_and_running_it_again_changes_nothing(lab: Laboratory, tuned: Tuned) -> None:
    from codex_ml.core.digest import digest_file

    def files() -> dict[str, tuple[str, int]]:
        return {
            str(path.relative_to(tuned.directory)): (digest_file(path), path.stat().st_mtime_ns)
            for path in sorted(tuned.directory.rglob("*"))
            if path.is_file()
        }

    before = files()
    verified, seconds = lab.cli("verify", "functions")
    assert verified.json["ok"]
    again, repeating = lab.cli(*tuned.words)
    assert again.json["already_finished"]
    assert files() == before
    record(
        "verify, and the same command again",
        checks=len(verified.json["checks"]),
        verify_seconds=seconds,
        again_seconds=repeating,
    )
