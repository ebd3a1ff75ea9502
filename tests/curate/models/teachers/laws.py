"""The laws of a teacher (`Generator`), each a function that raises where one breaks it.

They are given a `Backing`: a teacher as the suite has it behind one kind of backend, real or wrong
on purpose, that can refuse one request and break at another.
"""

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, Protocol

import psutil
import pytest

from curate.errors import BackendError
from curate.models.teachers.base import Completion, Generator, Request

REFUSED = "refused"
BROKEN = "broken"
MAX_TOKENS = 24
MANY = 10_000
"""More than anybody draws while a backend is given up."""


class Backing(Protocol):
    """A teacher behind one kind of backend, sampled for `MAX_TOKENS` tokens at most.

    Attributes:
        ahead: most requests that it reads beyond those that are done.
        continues: whether it goes on with a sample that was cut; else it is drawn again.
        refuses: whether it can refuse one request; an engine of our own never does.
    """

    ahead: int
    continues: bool
    refuses: bool

    def open(self) -> Generator:
        """Give the generator."""
        ...

    def request(self, key: str, about: str = "3") -> Request:
        """Make a request; about `REFUSED` it is refused, about `BROKEN` (its key too) it breaks."""
        ...

    def cut(self) -> Request:
        """Make a request for a sample of which three tokens are there."""
        ...

    def use_and_close(self) -> None:
        """Use a generator of its own, as far as that is not too dear, and close it."""
        ...


def every_request_has_one_completion(backing: Backing) -> None:
    """Each request is answered once, siblings with equal prompts too, under its own key."""
    requests = [backing.request(f"{n}-{i}", str(n)) for n in range(5) for i in range(2)]
    drawn = _draw(backing.open(), requests)
    assert sorted(completion.key for completion in drawn) == sorted(r.key for r in requests)
    for completion in drawn:
        assert completion.finish_reason in {"stop", "length"}
        assert completion.text
        assert completion.error is None
        assert 0 < (completion.completion_tokens or 1) <= MAX_TOKENS
    assert _draw(backing.open(), []) == []


def requests_are_read_as_they_are_needed(backing: Backing) -> None:
    """A pool of any size is never held in memory, and completions come while requests wait."""
    read, done, ahead, count = 0, 0, 0, backing.ahead + 4
    threads = set[int]()

    def lazily() -> Iterator[Request]:
        nonlocal read
        for number in range(count):
            read += 1
            yield backing.request(str(number))

    def sink(_: Completion) -> None:
        nonlocal done, ahead
        ahead = max(ahead, read - done)
        done += 1
        threads.add(threading.get_ident())

    backing.open().generate(lazily(), sink)
    assert done == count
    assert ahead <= backing.ahead
    assert threads == {threading.get_ident()}, "the sink is called from the thread that draws"


def a_cut_sample_is_treated_as_it_says(backing: Backing) -> None:
    """A cut sample is continued, its earlier text and tokens counted, or drawn again as a whole."""
    request = backing.cut()
    assert request.prefix_tokens == 3
    (completion,) = _draw(backing.open(), [request])
    assert completion.finish_reason in {"stop", "length"}
    tokens = completion.completion_tokens
    assert tokens is None or 3 < tokens <= MAX_TOKENS
    assert completion.text.startswith(request.prefix) == backing.continues
    assert completion.text.count(request.prefix) == int(backing.continues)
    assert len(completion.text) > len(request.prefix)


def a_refusal_is_a_failed_sample(backing: Backing) -> None:
    """Where one request is refused, it failed for good, and all others are drawn."""
    if not backing.refuses:
        return
    requests = [backing.request(str(number)) for number in range(6)]
    requests[2] = backing.request("2", REFUSED)
    drawn = {completion.key: completion for completion in _draw(backing.open(), requests)}
    assert drawn.keys() == {str(number) for number in range(6)}
    failed = {key for key, completion in drawn.items() if completion.finish_reason == "error"}
    assert failed == {"2"}
    assert drawn["2"].error
    assert drawn["2"].text == ""


def a_fault_stops_the_run_and_what_came_is_kept(backing: Backing) -> None:
    """Where the backend breaks, nothing is taken for a sample that failed; what came is there."""
    before = [backing.request(str(number)) for number in range(backing.ahead + 3)]
    after = (backing.request(f"later-{number}") for number in range(MANY))
    drawn: list[Completion] = []
    generator = backing.open()
    with pytest.raises(BackendError, match="record"):
        generator.generate(chain(before, [backing.request(BROKEN, BROKEN)], after), drawn.append)
    keys = [completion.key for completion in drawn]
    assert len(set(keys)) == len(keys) < MANY
    assert len(keys) >= 4, "as many were done when the one that breaks was read"
    assert BROKEN not in keys
    assert "error" not in {completion.finish_reason for completion in drawn}
    assert len(_drawn_again(backing, before[:4])) == 4, "and it can be asked again"


def _drawn_again(backing: Backing, requests: Sequence[Request]) -> list[Completion]:
    """Draw once a backend has recovered, which takes one of them a second."""
    for _ in range(12):
        with suppress(BackendError):
            return _draw(backing.open(), requests)
        time.sleep(0.25)
    return _draw(backing.open(), requests)


def a_sink_that_fails_stops_everything(backing: Backing) -> None:
    """Where a completion can't be kept, no more are drawn, and the cause is what is raised."""
    taken: list[str] = []

    def full(completion: Completion) -> None:
        taken.append(completion.key)
        raise OSError(28, "No space left on device")

    requests = (backing.request(str(number)) for number in range(MANY))
    with pytest.raises(OSError, match="No space left"):
        backing.open().generate(requests, full)
    assert len(taken) <= backing.ahead


def identity_is_told_before_anything_is_opened(backing: Backing) -> None:
    """Who the teacher is, is known without asking it, is the same each time, and can be keyed."""
    identity = backing.open().identity()
    assert {"model", "revision"} <= identity.keys()
    assert json.loads(json.dumps(identity)) == identity
    assert backing.open().identity() == identity
    assert "http" not in json.dumps(identity), "where it is reached is no part of it"


def nothing_is_left_behind(backing: Backing) -> None:
    """After it is closed, no process, thread or connection of it is there."""
    backing.use_and_close()  # what is loaded once a process stays
    before = _traces()
    backing.use_and_close()
    deadline = time.monotonic() + 2
    while (after := _traces()) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    for kind, marks in after.items():
        assert marks <= before[kind], kind


def _draw(generator: Generator, requests: Iterable[Request]) -> list[Completion]:
    """Look first, as a run does, then draw."""
    waiting = list(requests)
    generator.preflight(iter(waiting))
    drawn: list[Completion] = []
    generator.generate(iter(waiting), drawn.append)
    return drawn


def _traces() -> Mapping[str, set[Any]]:
    """Give what this process has running and open."""
    here = psutil.Process()
    return {
        "processes": {child.pid for child in here.children(recursive=True)},
        "threads": {thread.ident for thread in threading.enumerate()},
        "connections": {(c.laddr, c.raddr) for c in here.net_connections() if c.raddr},
    }
