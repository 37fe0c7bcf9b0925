from __future__ import annotations

import gzip
import lzma
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.needs("train")


@pytest.fixture(scope="module")
def context(prepared, decoder_of, config_of) -> Any:
    import torch

    from codex_ml.evaluation.task import EvalContext
    from codex_ml.interfaces.reporter import Silent

    return EvalContext(
        model=decoder_of("model.init_std=0.1", seed=2).eval(),
        tokenizer=prepared.tokenizer.open(),
        split=prepared.split("validation"),
        texts=lambda: (document.text.encode() for document in prepared.corpus.documents("validation")),
        cfg=config_of("eval.batch_size=8", "eval.parse.samples=6", "eval.parse.max_tokens=500").eval,
        seed=3,
        device=torch.device("cpu"),
        reporter=Silent(),
    )


# ---- parse ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("x = 1\n", True),
        ("def f():\n    return 1\n", True),
        ("print 'x'\n", False),
        ("def f(:\n", False),
        ("", False),
        ("\n  \n", False),
        ("# only a comment\n", False),
        ("x = '\\d'\n", True),
        ("x = 1\0\n", False),
        ("(" * 10_000, False),
        ("-" * 100_000 + "1", False),
    ],
)
def test_what_counts_as_valid_python(text: str, good: bool) -> None:
    from codex_ml.evaluation.tasks.parse import parses

    assert parses(text) is good


@pytest.mark.parametrize(
    ("text", "judged"),
    [
        ("x = 1\ny = 2\nz = (", "x = 1\ny = 2\n"),
        ("def f():\n    return 1\n\ndef g():\n    ret", "def f():\n    return 1\n\n"),
        ("x = 1\n\n\ny", "x = 1\n\n\n"),
        ("only = 'one line", "only = 'one line"),
        ("    indented\n  only", "    indented\n  only"),
        ("", ""),
    ],
)
def test_a_cut_sample_is_judged_up_to_its_last_statement_and_an_ended_one_whole(
    text: str, judged: str
) -> None:
    from codex_ml.evaluation.tasks.parse import judged_text
    from codex_ml.generation.generate import Completion

    assert judged_text(Completion((1,), ended=False), text) == judged
    assert judged_text(Completion((1,), ended=True), text) == text


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_a_proportion_holds_it_and_solves_its_own_equation(pair: tuple[int, int]) -> None:
    """Wilson: the bounds are the p at which the observed share lies z standard errors away."""
    from codex_ml.evaluation.tasks.parse import wilson_interval

    good, n = pair
    low, high = wilson_interval(good, n)
    share = good / n
    assert 0 <= low <= share + 1e-12 and share - 1e-12 <= high <= 1
    for bound in (low, high):
        if 1e-9 < bound < 1 - 1e-9:
            distance = abs(share - bound) / math.sqrt(bound * (1 - bound) / n)
            assert distance == pytest.approx(1.959964, rel=1e-6)


def test_the_interval_covers_a_small_proportion_about_95_times_in_100() -> None:
    from codex_ml.evaluation.tasks.parse import wilson_interval

    rng, truth, covered = random.Random(0), 0.15, 0
    for _ in range(2000):
        low, high = wilson_interval(sum(rng.random() < truth for _ in range(30)), 30)
        covered += low <= truth <= high
    assert 0.92 < covered / 2000 < 0.985


def test_the_task_counts_the_samples_that_parse(context) -> None:
    from codex_ml.evaluation.tasks.parse import evaluate_parse, judged_text, parses
    from codex_ml.generation.generate import complete

    found = evaluate_parse(context)["parse_rate"]
    end = context.tokenizer.eos_id
    samples = complete(
        context.model, [end], samples=6, max_tokens=31, temperature=0.6, top_p=1.0, seed=3, end=end
    )
    good = sum(parses(judged_text(s, context.tokenizer.decode(s.tokens))) for s in samples)
    assert (found.value, found.n) == (good / 6, 6)
    assert found == evaluate_parse(context)["parse_rate"]


# ---- lm and compressors --------------------------------------------------------------------------


def test_the_figures_of_the_model_fit_each_other(context) -> None:
    from codex_ml.evaluation.score import row_scorer, score_split
    from codex_ml.evaluation.tasks.lm import evaluate_lm

    found = evaluate_lm(context)
    score = score_split(
        row_scorer(context.model), context.split, batch_size=8, max_rows=0, device=context.device
    )
    size = sum(len(text) for text in context.texts())
    assert found["loss"].value == pytest.approx(score.loss, rel=1e-9)
    assert found["loss"].n == sum(score.tokens) == context.split.tokens - 1
    assert found["perplexity"].value == pytest.approx(math.exp(score.loss))
    assert found["bits_per_byte"].n == size
    assert found["bits_per_byte"].value == pytest.approx(sum(score.nll) / math.log(2) / size)
    assert found["token_accuracy"].value == pytest.approx(sum(score.hits) / sum(score.tokens))
    for name, measured in found.items():
        assert measured.ci_low < measured.value < measured.ci_high, name


def test_compressors_are_measured_file_by_file(context) -> None:
    from codex_ml.evaluation.tasks.compressors import evaluate_compressors

    texts = list(context.texts())
    size = sum(map(len, texts))
    found = evaluate_compressors(context)
    assert found["gzip_bits_per_byte"].value == 8 * sum(len(gzip.compress(t, 9)) for t in texts) / size
    assert found["xz_bits_per_byte"].value == 8 * sum(len(lzma.compress(t, preset=9)) for t in texts) / size
    assert {measured.n for measured in found.values()} == {len(texts)}


def test_an_empty_split_has_nothing_to_compress(context) -> None:
    import dataclasses

    from codex_ml.errors import DataError
    from codex_ml.evaluation.tasks.compressors import evaluate_compressors

    with pytest.raises(DataError) as caught:
        evaluate_compressors(dataclasses.replace(context, texts=lambda: iter(())))
    assert caught.value.code == "eval.empty"
