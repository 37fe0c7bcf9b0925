"""A plan is a topological order of its tasks, or an error that names what stands against it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_ml.digest.tasks import Check, Task, ordered
from codex_ml.errors import DataError


def task(name: str, *after: str) -> Task:
    return Task(name, f"do {name}", Check("seen"), depends_on=after)


@st.composite
def graphs(draw: st.DrawFn) -> list[Task]:
    """Tasks without a cycle, in any order."""
    count = draw(st.integers(0, 12))
    tasks = [
        task(f"t{at}", *(f"t{before}" for before in draw(st.sets(st.integers(0, at - 1)))) if at else ())
        for at in range(count)
    ]
    return draw(st.permutations(tasks))


@given(graphs())
def test_every_task_stands_after_what_it_depends_on_and_none_is_lost(tasks: list[Task]) -> None:
    done = ordered(tasks)
    place = {one.id: at for at, one in enumerate(done)}
    assert sorted(place) == sorted(one.id for one in tasks)
    assert all(place[name] < place[one.id] for one in done for name in one.depends_on)
    assert ordered(tasks) == done


def test_tasks_that_depend_on_nothing_stay_as_they_came() -> None:
    tasks = [task("b"), task("a"), task("c")]
    assert ordered(tasks) == tuple(tasks)


@pytest.mark.parametrize("last", [("c",), ("c", "d")])
def test_a_cycle_is_named_from_end_to_end(last: tuple[str, ...]) -> None:
    tasks = [task("a", "b"), task("b", "c"), task("c", "a"), task("d", *last)]
    with pytest.raises(DataError, match="a -> b -> c -> a") as caught:
        ordered(tasks)
    assert caught.value.code == "digest.cycle"


def test_a_task_that_waits_for_itself_is_a_cycle() -> None:
    with pytest.raises(DataError, match="a -> a"):
        ordered([task("a", "a")])


def test_an_unknown_dependency_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(DataError, match="did you mean 'build'") as caught:
        ordered([task("build"), task("test", "biuld")])
    assert caught.value.code == "digest.dependency"


def test_two_tasks_of_one_id_are_an_error() -> None:
    with pytest.raises(DataError) as caught:
        ordered([task("a"), task("a")])
    assert caught.value.code == "digest.task-id"
