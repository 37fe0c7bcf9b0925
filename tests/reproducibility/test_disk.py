"""A disk that is full, fails or refuses a rename: a clear end or training goes on, nothing is lost."""

from __future__ import annotations

import pytest

from reproducibility.harness import chosen, counted, fingerprint, unequal, unsound
from reproducibility.lab import Done, Lab, laboratory

pytestmark = pytest.mark.needs("train")

STOP, CONTINUE = "checkpoint.on_failure=stop", "checkpoint.on_failure=continue"


def after_trouble(lab: Lab, name: str, done: Done, expected: dict) -> list[str]:
    """What is wrong after a disk in trouble: how it ended, half a checkpoint, a resume with space again."""
    odd = [] if done.code == 0 or (done.code == 1 and done.error.startswith("storage")) else [done.text]
    odd += unsound(lab.run(name))
    again = lab.train(name)
    if again.code != 0:
        return [*odd, again.text]
    odd += unequal(lab.run(name), expected)
    if not odd:
        lab.drop(name)
    return odd


def sizes(lab: Lab) -> list[int]:
    """30 sizes from nothing to just above the largest file of a run."""
    largest = max(path.stat().st_size for path in lab.run("whole").rglob("*") if path.is_file())
    return [int((largest + 2000) * number / 30) for number in range(30)]


@pytest.mark.parametrize("policy", [STOP, CONTINUE])
def test_a_disk_full_at_any_size_ends_cleanly_and_goes_on_with_space(policy: str) -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("whole"))
    if policy == CONTINUE:
        expected.pop("kept")  # without the saves that failed there is less to choose from
    ends: dict[int, int] = {}
    with counted("K5 disk full at 30 sizes", policy=policy) as row:
        for size in chosen(sizes(lab), 2):
            name = lab.new()
            done = lab.train(name, policy, faults={"file_size_limit": {"size": size}})
            ends[done.code] = ends.get(done.code, 0) + 1
            odd = after_trouble(lab, name, done, expected)
            row.check(not odd, (size, odd))
        row.detail["exit_codes"] = ends


@pytest.mark.parametrize("number", ["ENOSPC", "EIO"])
def test_an_fsync_that_fails_anywhere_in_a_save_publishes_nothing(number: str) -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("whole"))
    with counted("K5 fsync fails from the n-th on", errno=number) as row:
        for after in chosen(list(range(48)), 1, full=24):
            name = lab.new()
            done = lab.train(name, STOP, faults={"failing_fsync": {"number": number, "after": after}})
            odd = after_trouble(lab, name, done, expected)
            row.check(done.code == 1 and not odd, (after, done.text, odd))


def test_training_goes_on_past_one_save_that_failed() -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("whole"))
    expected.pop("kept")
    with counted("K5 one failed fsync, on_failure=continue") as row:
        for after in chosen(list(range(30)), 1, full=15):
            name = lab.new()
            trouble = {"failing_fsync": {"number": "EIO", "after": after, "times": 1}}
            done = lab.train(name, CONTINUE, faults=trouble)
            odd = unequal(lab.run(name), expected) + unsound(lab.run(name))
            row.check(done.code == 0 and not odd, (after, done.text, odd))


@pytest.mark.parametrize("number", ["EXDEV", "EEXIST", "EROFS", "ENOSPC"])
def test_a_rename_that_the_file_system_refuses_deletes_nothing(number: str) -> None:
    lab = laboratory()
    expected = fingerprint(lab.whole("whole"))
    with counted("K6 publishing refused", errno=number) as row:
        for after in chosen([0, 1, 2, 3], 1):
            name = lab.new()
            done = lab.train(name, STOP, faults={"failing_rename": {"number": number, "after": after}})
            steps = [path.name for path in lab.checkpoints(name)]
            odd = [] if len(steps) == min(after, 2) else [f"kept {steps}"]
            odd += after_trouble(lab, name, done, expected)
            row.check(done.code == 1 and not odd, (after, done.text, odd))
