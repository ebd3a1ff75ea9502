"""The one vLLM engine of the suite; what it costs to start is paid once.

It finds no compiler, as on most machines without a GPU.
"""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from curate.models.references import resolve
from curate.models.teachers.base import Request, Sampling
from curate.models.teachers.options import Teacher, VllmOptions
from curate.models.teachers.vllm_engine import EngineGenerator

TEACHER = "Qwen/Qwen2.5-Coder-0.5B-Instruct"


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineGenerator]:
    """A teacher under real vLLM, started by its first use."""
    folder = tmp_path_factory.mktemp("engine")
    teacher = Teacher(TEACHER, dtype="float32")
    options = VllmOptions(max_num_seqs=4, max_model_len=256)
    path = resolve(TEACHER).path
    generator = EngineGenerator(teacher, Sampling(max_tokens=24), options, path=path, folder=folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXX", str(folder / "no-compiler"))
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder / "compiled"))
        yield generator
    processes = [int(line.split()[0]) for lock in locks(folder) for line in lines(lock)[1:]]
    generator.close()
    assert not locks(folder)
    assert not any(psutil.pid_exists(process) for process in processes)


def locks(folder: Path) -> list[Path]:
    """Find what says which processes an engine has."""
    return list(folder.glob("engine-*.lock"))


def lines(path: Path) -> list[str]:
    """Read a file line by line."""
    return path.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="session")
def engine_folder(engine: EngineGenerator) -> Path:
    """Where the engine keeps its lock and log."""
    return engine._folder


@pytest.fixture
def asked() -> list[Request]:
    """Three questions with two siblings each, seeded."""
    turns = [
        ({"role": "user", "content": f"What is {a} plus {a}? Answer with the number alone."},)
        for a in (2, 3, 4)
    ]
    return [
        Request(key=f"{n}-{i}", messages=turn, seed=10 * n + i)
        for n, turn in enumerate(turns)
        for i in range(2)
    ]
