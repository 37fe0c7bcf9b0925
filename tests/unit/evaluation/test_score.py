from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.needs("train")


@pytest.fixture(scope="module")
def model(decoder_of) -> Any:
    return decoder_of("model.init_std=0.2", seed=5).eval()


@pytest.fixture(scope="module")
def stream(prepared) -> list[int]:
    """The validation documents one after the other, each closed by the end token."""
    tokenizer = prepared.tokenizer.open()
    tokens: list[int] = []
    for document in prepared.corpus.documents("validation"):
        tokens += [*tokenizer.encode(document.text), tokenizer.eos_id]
    return tokens


def score(model: Any, prepared: Any, *, batch_size: int = 4, max_rows: int = 0, **options: Any) -> Any:
    import torch

    from codex_ml.evaluation.score import row_scorer, score_split

    return score_split(
        row_scorer(model),
        prepared.split("validation"),
        batch_size=batch_size,
        max_rows=max_rows,
        device=torch.device("cpu"),
        **options,
    )


def direct(model: Any, stream: list[int]) -> list[tuple[float, int, int]]:
    """Row by row from the stream of documents, one token after the other, in double precision."""
    import torch

    rows = []
    for start in range(0, len(stream) - 1, 32):
        window = stream[start : start + 33]
        with torch.no_grad():
            logits_TV = model(torch.tensor([window[:-1]]))[0].double()
        nll = -torch.log_softmax(logits_TV, -1)[range(len(window) - 1), window[1:]]
        hits = (logits_TV.argmax(-1) == torch.tensor(window[1:])).sum()
        rows.append((float(nll.sum()), int(hits), len(window) - 1))
    return rows


def test_the_score_is_that_of_the_stream_of_documents(model, prepared, stream) -> None:
    found, expected = score(model, prepared), direct(model, stream)
    assert found.tokens == [row[2] for row in expected]
    assert sum(found.tokens) == len(stream) - 1
    assert found.hits == [row[1] for row in expected]
    assert found.nll == pytest.approx([row[0] for row in expected], rel=1e-5)
    assert found.loss == pytest.approx(sum(row[0] for row in expected) / (len(stream) - 1), rel=1e-5)


def test_the_last_row_is_shorter_and_its_padding_does_not_count(model, prepared, stream) -> None:
    rest = (len(stream) - 1) % 32
    assert rest != 0, "the corpus of this test must not fill its last row"
    found = score(model, prepared)
    assert found.tokens[-1] == rest
    assert set(found.tokens[:-1]) == {32}


@pytest.mark.parametrize("batch_size", [1, 3, 7, 1000])
def test_the_batch_size_changes_no_sum(batch_size: int, model, prepared) -> None:
    one, other = score(model, prepared, batch_size=16), score(model, prepared, batch_size=batch_size)
    assert (one.hits, one.tokens) == (other.hits, other.tokens)
    assert one.nll == pytest.approx(other.nll, rel=1e-5)


def test_every_batch_has_the_same_shape(prepared) -> None:
    import torch

    from codex_ml.evaluation.score import row_scorer, score_split

    shapes = set()

    def logits_of(inputs_BT: Any) -> Any:
        shapes.add(tuple(inputs_BT.shape))
        return torch.zeros(*inputs_BT.shape, 300)

    split = prepared.split("validation")
    assert split.eval_rows() % 5
    score_split(row_scorer(logits_of), split, batch_size=5, max_rows=0, device=torch.device("cpu"))
    assert shapes == {(5, 32)}


def test_fewer_rows_are_spread_evenly_over_the_split(model, prepared) -> None:
    whole, rows = score(model, prepared), prepared.split("validation").eval_rows()
    for wanted in (1, 3, rows - 1, rows, rows + 100):
        part = score(model, prepared, max_rows=wanted)
        count = min(wanted, rows)
        indices = [n * rows // count for n in range(count)]
        assert part.nll == pytest.approx([whole.nll[n] for n in indices], rel=1e-5)


def test_progress_is_told_to_the_last_row(model, prepared) -> None:
    told: list[tuple[int, int | None, str]] = []
    score(model, prepared, progress=lambda *words: told.append(words))
    rows = prepared.split("validation").eval_rows()
    assert told[-1] == (rows, rows, "evaluation rows")
    assert [item[0] for item in told] == sorted(item[0] for item in told)


def test_a_uniform_model_costs_the_logarithm_of_the_vocabulary(prepared) -> None:
    import torch

    found = score(lambda inputs_BT: torch.zeros(*inputs_BT.shape, 300), prepared)
    assert found.loss == pytest.approx(np.log(300))


class Team:
    """One of several workers, each a thread; they meet where they gather."""

    def __init__(self, rank: int, parts: list[list[float]], barrier: threading.Barrier) -> None:
        self.rank, self.size = rank, len(parts)
        self._parts, self._barrier = parts, barrier

    def gather(self, values: Sequence[float]) -> list[float]:
        self._parts[self.rank] = list(values)
        self._barrier.wait(timeout=60)
        assert len({len(part) for part in self._parts}) == 1, "lists of unequal lengths cannot be gathered"
        return [value for part in self._parts for value in part]


def scored_by(count: int, model: Any, prepared: Any, **options: Any) -> list[Any]:
    """What each of *count* workers gets."""
    parts: list[list[float]] = [[] for _ in range(count)]
    barrier = threading.Barrier(count)
    teams = [Team(rank, parts, barrier) for rank in range(count)]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(lambda team: score(model, prepared, workers=team, **options), teams))


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize("max_rows", [0, 1, 13])
def test_several_workers_each_get_the_score_of_one_bit_for_bit(
    workers: int, max_rows: int, model, prepared
) -> None:
    expected = score(model, prepared, max_rows=max_rows)
    for found in scored_by(workers, model, prepared, max_rows=max_rows):
        assert found == expected


def test_before_each_batch_there_is_a_chance_to_leave(model, prepared) -> None:
    class LeftError(Exception):
        pass

    calls = 0

    def leave() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise LeftError

    with pytest.raises(LeftError):
        score(model, prepared, before_batch=leave)
    assert calls == 2
    score(model, prepared, before_batch=leave, batch_size=4, max_rows=12)
    assert calls == 2 + 3
