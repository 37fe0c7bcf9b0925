"""Of several processes of one run: which failed first, and which only saw that another one was gone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.digest.clean import clean
from codex_ml.digest.failures import Cause, Failure, Rank
from codex_ml.digest.ranks import RootCause, first_of

PEER = "torch.distributed.DistBackendError: NCCL error, remote process exited"
OWN = "ValueError: the loss is not a number"


def failure(line: int, text: str = OWN, *, stream: str = "", number: int = 0) -> Failure:
    return Failure("traceback", Rank.REAL, (Cause(text),), line, number=number, stream=stream)


def root_cause(*lines: str) -> RootCause:
    account = RootCause()
    account.begin()
    for line in lines:
        account.feed(clean(line.encode(), 1))
    return account


@pytest.mark.parametrize("stream", ["[rank3]:", "[default1]:", "[1,3]<stderr>:"])
def test_the_process_that_torchrun_names_comes_first(stream: str) -> None:
    account = root_cause("[0]:", "  time      : x", "  rank      : 3 (local_rank: 1)")
    assert not account.hot
    named = failure(9, stream=stream)
    assert first_of([failure(1, stream="[rank0]:"), named], account.names) is named


@pytest.mark.parametrize(
    "text",
    [
        PEER,
        "RuntimeError: [gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:4000",
        "torch.distributed.DistStoreError: TCPStore: wait timeout after 300000ms",
        "RuntimeError: [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=3)",
    ],
)
def test_a_complaint_that_a_peer_is_gone_waits_for_an_exception_of_the_code(text: str) -> None:
    own = failure(5)
    assert first_of([failure(1, text), own], frozenset()) is own
    assert first_of([failure(1, text), failure(5, text)], frozenset()).line == 1


@pytest.mark.parametrize(
    "text", ["ConnectionResetError: Connection reset by peer", "ImportError: libnccl.so"]
)
def test_what_is_no_complaint_of_a_collective_stays_first(text: str) -> None:
    assert first_of([failure(1, text), failure(5)], frozenset()).line == 1


def test_a_failure_of_a_later_step_explains_none_of_an_earlier_one() -> None:
    rows = [failure(1, PEER, number=1), failure(5, number=2, stream="[rank1]:")]
    assert first_of(rows, frozenset({"rank1"})).line == 1


def test_an_account_that_breaks_off_names_nobody_and_is_over() -> None:
    account = root_cause(*["x"] * 12)
    assert (account.names, account.hot) == (frozenset(), False)


ROWS = st.lists(
    st.tuples(st.sampled_from([OWN, PEER]), st.sampled_from(["", "[rank0]:", "[rank1]:"])), min_size=1
)


@given(ROWS, st.sampled_from([frozenset[str](), frozenset({"rank1", "default1"})]))
def test_it_is_one_of_them_and_a_complaint_only_where_nobody_else_has_failed(
    rows: list[tuple[str, str]], names: frozenset[str]
) -> None:
    failures = [failure(at, text, stream=stream) for at, (text, stream) in enumerate(rows, 1)]
    first = first_of(failures, names)
    assert first in failures
    assert first.root.text == OWN or all(one.root.text == PEER for one in failures)
