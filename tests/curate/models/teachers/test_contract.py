"""The contract suite: every law, on every kind of teacher.

The second half breaks each law on purpose: a suite that a wrong teacher passes proves nothing.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

import pytest

from curate.errors import BackendError
from curate.models.teachers.base import Completion, Generator, Request, Sampling
from curate.models.teachers.open import TEACHERS, Access, TeacherKind, open_generator
from curate.models.teachers.options import Backend, OpenAIOptions, Teacher
from tests.curate.models.teachers import laws
from tests.curate.models.teachers.backings import BACKINGS, FAULTS, MARKS, asking, dying
from tests.curate.models.teachers.laws import BROKEN, REFUSED, Backing
from tests.curate.registering import registered
from tests.servers.openai_server import serving

Law = Callable[[Backing], None]
LAWS: Final[tuple[Law, ...]] = (
    laws.every_request_has_one_completion,
    laws.requests_are_read_as_they_are_needed,
    laws.a_cut_sample_is_treated_as_it_says,
    laws.a_refusal_is_a_failed_sample,
    laws.a_fault_stops_the_run_and_what_came_is_kept,
    laws.a_sink_that_fails_stops_everything,
    laws.identity_is_told_before_anything_is_opened,
    laws.nothing_is_left_behind,
)
CASES: Final = [
    pytest.param(make, id=f"{kind}-{way}", marks=MARKS.get(kind, ()))
    for kind, ways in BACKINGS.items()
    for way, make in ways.items()
]


@pytest.fixture(scope="module")
def faulty_server() -> Iterator[str]:
    """A server that refuses one thing and breaks at another."""
    with serving(faults=FAULTS) as url:
        yield url


@pytest.fixture
def dying_engine() -> Iterator[None]:
    """An engine that is dead to one request."""
    with dying():
        yield


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("make", CASES)
def test_every_teacher_keeps_every_law(
    law: Law, make: Callable[[pytest.FixtureRequest], Backing], request: pytest.FixtureRequest
) -> None:
    law(make(request))


def test_every_kind_is_tried() -> None:
    assert set(TEACHERS.names) == BACKINGS.keys(), "say in backings.py how a test reaches it"


def test_every_kind_has_a_word_of_its_own() -> None:
    assert len(set(TEACHERS.names)) == len(TEACHERS)
    for kind in TEACHERS:
        assert TEACHERS.get(kind.name) is kind
        assert kind.options.model_fields["backend"].annotation is not str


class Tunnelled(OpenAIOptions):
    """A server behind something of the user's own."""

    backend: Literal["tunnelled"]  # pyright: ignore[reportIncompatibleVariableOverride]


class Anyhow(Backend):
    """Options that no recipe could tell from others."""


def test_options_derived_from_shipped_ones_are_opened_by_their_own_kind() -> None:
    opened = Plain()
    kind = TeacherKind(Tunnelled, lambda _access, _options: opened)
    access = Access(Teacher("tiny-teacher"), Sampling(), None, Path())
    with registered(TEACHERS, kind):
        options = Tunnelled(backend="tunnelled", url="http://localhost/v1")
        assert open_generator(access, options) is opened
    with pytest.raises(TypeError, match=r'Anyhow has no name .*`backend: Literal\["mine"\]'):
        TEACHERS.register(TeacherKind(Anyhow, lambda _access, _options: opened))


# What follows is wrong on purpose.


class Plain:
    """Answers one request after the other: the sound base of the broken ones."""

    def identity(self) -> Mapping[str, Any]:
        return {"model": "plain", "revision": None}

    def preflight(self, requests: Iterable[Request]) -> None:
        for _ in requests:
            pass

    def generate(self, requests: Iterable[Request], sink: Callable[[Completion], None]) -> None:
        for request in requests:
            sink(self.draw(request))

    def draw(self, request: Request) -> Completion:
        question = request.prompt or ""
        if BROKEN in question:
            raise BackendError("it broke; what came is recorded")
        if REFUSED in question:
            return Completion(request.key, "", "error", error="too long")
        return Completion(
            request.key, f"{request.prefix} eight.", "stop", 2 + request.prefix_tokens
        )

    def close(self) -> None:
        pass


class Twofold(Plain):
    """Answers twice."""

    def generate(self, requests: Iterable[Request], sink: Callable[[Completion], None]) -> None:
        super().generate((twin for request in requests for twin in (request, request)), sink)


class Merging(Plain):
    """Takes siblings of a question for one request."""

    def generate(self, requests: Iterable[Request], sink: Callable[[Completion], None]) -> None:
        super().generate({request.prompt: request for request in requests}.values(), sink)


class Greedy(Plain):
    """Reads all requests before it begins."""

    def generate(self, requests: Iterable[Request], sink: Callable[[Completion], None]) -> None:
        super().generate(list(requests), sink)


class Elsewhere(Plain):
    """Delivers from a thread of its own."""

    def generate(self, requests: Iterable[Request], sink: Callable[[Completion], None]) -> None:
        thread = threading.Thread(target=super().generate, args=(requests, sink))
        thread.start()
        thread.join()


class Repeating(Plain):
    """Draws again and says that it continues."""

    def draw(self, request: Request) -> Completion:
        return super().draw(replace(request, prefix=""))


class Stammering(Plain):
    """Writes once more what was there."""

    def draw(self, request: Request) -> Completion:
        return super().draw(replace(request, prefix=2 * request.prefix))


class Miscounting(Plain):
    """Counts only what it wrote itself."""

    def draw(self, request: Request) -> Completion:
        return super().draw(replace(request, prefix_tokens=0))


class Touchy(Plain):
    """Stops at one refused request."""

    def draw(self, request: Request) -> Completion:
        completion = super().draw(request)
        if completion.finish_reason == "error":
            raise BackendError(completion.error or "")
        return completion


class Stoic(Plain):
    """Takes a fault of the backend for a sample that failed."""

    def draw(self, request: Request) -> Completion:
        try:
            return super().draw(request)
        except BackendError as error:
            return Completion(request.key, "", "error", error=str(error))


class Hoarding(Plain):
    """Delivers when all is done."""

    def generate(self, requests: Iterable[Request], sink: Callable[[Completion], None]) -> None:
        for completion in [self.draw(request) for request in requests]:
            sink(completion)


class Deaf(Plain):
    """Goes on where a completion could not be kept."""

    def generate(self, requests: Iterable[Request], sink: Callable[[Completion], None]) -> None:
        failure: OSError | None = None
        for request in requests:
            try:
                sink(self.draw(request))
            except OSError as error:
                failure = error
        if failure:
            raise failure


class Moody(Plain):
    """Is somebody else each time it is asked."""

    asked: ClassVar[Iterator[int]] = count()

    def identity(self) -> Mapping[str, Any]:
        return {"model": "plain", "revision": next(self.asked)}


class Located(Plain):
    """Has its address in the key."""

    def identity(self) -> Mapping[str, Any]:
        return {"model": "plain", "revision": None, "url": "http://localhost"}


class Leaving(Plain):
    """Leaves a process running."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def generate(self, requests: Iterable[Request], sink: Callable[[Completion], None]) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        LEFT.append(self.process)
        super().generate(requests, sink)


LEFT: Final[list[subprocess.Popen[bytes]]] = []


class PlainBacking:
    """A teacher of one of these classes."""

    ahead = 1
    continues = True
    refuses = True

    def __init__(self, kind: type[Plain]) -> None:
        self._kind = kind

    def open(self) -> Generator:
        return self._kind()

    def request(self, key: str, about: str = "3") -> Request:
        return asking(key, f"What is {about} plus 5?", chat=False)

    def cut(self) -> Request:
        return replace(self.request("k"), prefix="We add and", prefix_tokens=3)

    def use_and_close(self) -> None:
        generator = self.open()
        generator.generate([self.request("k")], lambda _: None)
        generator.close()


BROKEN_KINDS: Final[tuple[tuple[Law, type[Plain]], ...]] = (
    (laws.every_request_has_one_completion, Twofold),
    (laws.every_request_has_one_completion, Merging),
    (laws.requests_are_read_as_they_are_needed, Greedy),
    (laws.requests_are_read_as_they_are_needed, Elsewhere),
    (laws.a_cut_sample_is_treated_as_it_says, Repeating),
    (laws.a_cut_sample_is_treated_as_it_says, Stammering),
    (laws.a_cut_sample_is_treated_as_it_says, Miscounting),
    (laws.a_refusal_is_a_failed_sample, Touchy),
    (laws.a_fault_stops_the_run_and_what_came_is_kept, Stoic),
    (laws.a_fault_stops_the_run_and_what_came_is_kept, Hoarding),
    (laws.a_sink_that_fails_stops_everything, Deaf),
    (laws.identity_is_told_before_anything_is_opened, Moody),
    (laws.identity_is_told_before_anything_is_opened, Located),
)


@pytest.mark.parametrize(("law", "kind"), BROKEN_KINDS)
def test_the_suite_catches_a_teacher_that_breaks_a_law(law: Law, kind: type[Plain]) -> None:
    with pytest.raises((AssertionError, BackendError, pytest.fail.Exception)):
        law(PlainBacking(kind))


def test_the_suite_catches_a_teacher_that_leaves_something_behind() -> None:
    try:
        with pytest.raises(AssertionError, match="processes"):
            laws.nothing_is_left_behind(PlainBacking(Leaving))
    finally:
        for process in LEFT:
            process.kill()
            process.wait()


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_the_suite_passes_a_sound_teacher(law: Law) -> None:
    law(PlainBacking(Plain))
