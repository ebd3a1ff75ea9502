"""A teacher that several sources ask is loaded once, and gone before another model is loaded."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import yaml

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import BackendError
from curate.models.teachers.base import Completion, Request, Sampling
from curate.models.teachers.open import TEACHERS, Access, TeacherKind
from curate.models.teachers.options import Backend
from curate.recipe.files import read_recipe
from tests.curate import sums
from tests.curate.registering import registered

EVENTS: list[str] = []


class Loaded(Backend):
    """How a teacher is reached that writes down when it is loaded."""

    remote: ClassVar[bool] = True
    backend: Literal["loaded"]  # pyright: ignore[reportIncompatibleVariableOverride]
    stays: bool = True


class Teacher:
    """Says seven to everything, and can be asked for one source alone."""

    def __init__(self, access: Access, options: Loaded) -> None:
        self.access, self.options, self.sampling = access, options, access.sampling
        self.loaded = False

    def identity(self) -> Mapping[str, Any]:
        return self.access.teacher.identity(self.options)

    def preflight(self, requests: Iterable[Request]) -> None:
        for _ in requests:
            pass

    def generate(self, requests: Iterable[Request], sink: Callable[[Completion], None]) -> None:
        if not self.loaded:
            EVENTS.append(f"load {self.access.teacher.model}")
            self.loaded = True
        for request in requests:
            if "broken" in self.access.teacher.model:
                raise BackendError("it broke")
            sink(Completion(request.key, f"At {self.sampling.temperature}. It is 7.", "stop", 4))

    def close(self) -> None:
        if self.loaded:
            EVENTS.append(f"close {self.access.teacher.model}")


class Staying(Teacher):
    """Can go on for another source."""

    def resample(self, sampling: Sampling) -> None:
        self.sampling = sampling


def opened(access: Access, options: Loaded) -> Teacher:
    return (Staying if options.stays else Teacher)(access, options)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / sums.STORE))
    sums.write_questions(tmp_path, 4)
    EVENTS.clear()
    with registered(TEACHERS, TeacherKind(Loaded, opened)):
        yield tmp_path


def do(folder: Path, *sources: dict[str, Any], stays: bool = True) -> RunResult:
    path = sums.write_recipe(folder, "", sources)
    recipe = yaml.safe_load(path.read_text())
    reached = {"backend": "loaded", "stays": stays}
    recipe["runtime"]["sources"] = {source["name"]: reached for source in sources}
    path.write_text(yaml.safe_dump(recipe))
    options = RunOptions(runs=folder / "runs")
    return run(read_recipe(str(path)), options, Progress(quiet=True))


def source(name: str, model: str, temperature: float = 0.7) -> dict[str, Any]:
    return sums.source(name, model=model, sampling={"temperature": temperature})


def test_sources_of_one_teacher_load_it_once(folder: Path) -> None:
    result = do(folder, source("a", "one", 0.5), source("b", "one", 0.9), source("c", "two"))
    assert EVENTS == ["load one", "close one", "load two", "close two"]
    texts = dict(result.audit.select("source", "raw_output").unique().iter_rows())
    assert texts["a"].startswith("At 0.5.")
    assert texts["b"].startswith("At 0.9."), "each is drawn in its own way"


def test_a_teacher_that_cannot_go_on_is_ended_with_its_source(folder: Path) -> None:
    do(folder, source("a", "one"), source("b", "one", 0.9), stays=False)
    assert EVENTS == ["load one", "close one"] * 2


def test_a_teacher_that_broke_is_ended(folder: Path) -> None:
    with pytest.raises(BackendError, match="it broke"):
        do(folder, source("a", "broken"))
    assert EVENTS == ["load broken", "close broken"]


def test_what_is_recorded_loads_nothing(folder: Path) -> None:
    do(folder, source("a", "one"))
    EVENTS.clear()
    do(folder, source("a", "one"))
    assert EVENTS == []
