"""One failure has one fingerprint, whatever differs between two runs of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.digest.fingerprint import fingerprint

_ADDRESS = st.integers(0x1000, 0x7FFF_FFFF_FFFF).map(hex)
_TIME = st.datetimes().map(lambda when: when.isoformat(sep=" ", timespec="milliseconds"))
_NAME = st.text("abcdefghij0123456789_", min_size=1, max_size=12)
_FOLDER = st.lists(_NAME, max_size=4).map(lambda names: "/" + "".join(f"{name}/" for name in names))
_TEMPORARY = st.tuples(st.sampled_from(["/tmp/", "/var/tmp/", "/var/folders/x/"]), _NAME).map("".join)


def error(address: str, time: str, folder: str, temporary: str, worker: int, pid: int) -> str:
    return (
        f"{time} [gw{worker}] worker {worker} (pid {pid}): {folder}shard.bin at {address} does not open; "
        f"see {temporary}/log.txt"
    )


_PARTS = st.tuples(_ADDRESS, _TIME, _FOLDER, _TEMPORARY, st.integers(0, 99), st.integers(1, 9_999_999))


@given(_PARTS, _PARTS)
def test_addresses_times_folders_temporary_files_and_workers_do_not_matter(one: tuple, two: tuple) -> None:
    assert fingerprint(error(*one)) == fingerprint(error(*two))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("KeyError: 'x'", "KeyError: 'y'"),
        ("assert 1 == 2", "assert 1 == 3"),
        ("/a/train.bin is cut", "/a/valid.bin is cut"),
        ("ValueError: bad", "TypeError: bad"),
    ],
)
def test_what_tells_failures_apart_stays(one: str, two: str) -> None:
    assert fingerprint(one) != fingerprint(two)


def test_the_step_belongs_to_the_failure() -> None:
    assert fingerprint("E", step="nox -s a") != fingerprint("E", step="nox -s b")


def test_durations_and_blanks_do_not_matter() -> None:
    assert fingerprint("timed out after 1.25 s") == fingerprint("timed out  after\n31.0 s")
