"""What an executor is: a map over picklable tasks that keeps their order."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


class Executor(Protocol):
    """Runs a function over tasks, somewhere."""

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Yield the function's result for every task, in the tasks' order.

        Args:
            function: importable by name from another process.
            tasks: picklable.
        """
        ...

    def close(self) -> None:
        """End the workers."""
        ...
