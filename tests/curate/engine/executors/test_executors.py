"""Executors: the same results in the same order, wherever the tasks run."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from curate.engine.executors import Executor, open_executor
from curate.errors import BackendError
from curate.recipe.model import Where

HERE: Sequence[tuple[Where, int | None]] = [
    ("local", None),
    ("local", 2),
    ("ray", 2),
    ("ray", None),
]


def square(number: int) -> int:
    return number * number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise ValueError("three is not to be had")
    return number


def size_of(path: str) -> int:
    return Path(path).stat().st_size


def worker(_: int) -> int:
    return os.getpid()


def end(_: int) -> None:
    os._exit(1)


@pytest.fixture(scope="module", params=HERE, ids=lambda given: "-".join(map(str, given)))
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    opened = open_executor(*request.param)
    yield opened
    opened.close()


def test_results_come_in_the_order_of_the_tasks(executor: Executor) -> None:
    assert list(executor.map(square, range(20))) == [number * number for number in range(20)]
    assert list(executor.map(square, [])) == []


def test_an_error_arrives_as_it_was_raised(executor: Executor) -> None:
    with pytest.raises(ValueError, match="three is not to be had"):
        list(executor.map(fail_at_three, range(5)))
    assert list(executor.map(square, [4])) == [16], "and the executor goes on"


def test_work_is_done_elsewhere_only_where_it_was_asked_for() -> None:
    for where, workers in (("local", 1), ("local", 2), ("ray", 2)):
        opened = open_executor(where, workers)
        found = set(opened.map(worker, range(6)))
        opened.close()
        assert (os.getpid() in found) == (workers == 1)


def test_a_worker_that_ends_is_told_with_the_usual_cause() -> None:
    opened = open_executor("local", 2)
    with pytest.raises(BackendError, match=r"ended before its work.*notebook.*memory"):
        list(opened.map(end, range(3)))
    opened.close()


def test_work_that_no_other_process_can_be_given_is_told_before_it_is_begun() -> None:
    class TypedIn:
        """Nothing that a module has."""

    opened = open_executor("local", 2)
    with pytest.raises(BackendError, match=r"TypedIn.*put it into a file and import it"):
        list(opened.map(id, [TypedIn()]))
    assert list(opened.map(square, [4])) == [16], "and the executor goes on"
    opened.close()


def test_a_node_that_does_not_see_the_store_is_told_apart() -> None:
    opened = open_executor("ray", 1)
    with pytest.raises(BackendError, match=r"found no '/nowhere/shard'.*CURATE_STORE"):
        list(opened.map(size_of, ["/nowhere/shard"]))
    opened.close()
