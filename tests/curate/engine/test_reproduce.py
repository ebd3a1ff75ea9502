"""What was paid for once gives the same release again: the same bytes, wherever it is made."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from curate.release.files import hashes
from tests.curate import sums
from tests.curate.engine.test_thresholds import write_student
from tests.servers.openai_server import serving

QUESTIONS = 24
OTHER_PYARROW = "21.0.0"
WHEN = ("run.json",)
"""What tells of one run alone."""


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run that sampled a server and scored with a student."""
    folder = tmp_path_factory.mktemp("paid")
    sums.write_questions(folder, QUESTIONS)
    asked = [json.loads(line) for line in (folder / "questions.jsonl").read_text().splitlines()]
    write_student(folder / "student", [row["question"] for row in asked])
    with serving(folder / "book") as url:
        path = sums.write_recipe(folder, url, [sums.source(samples=4, terms="cc0-1.0")])
        recipe: dict[str, Any] = yaml.safe_load(path.read_text())
        score = {"student": "student", "calibrate": 4}
        more = [{"use": "diversity", "by": ["path"]}, {"use": "rationale_difficulty", "max": 1e9}]
        path.write_text(
            yaml.safe_dump(
                recipe
                | {"measures": {"score": score}, "filters": [*recipe["filters"], *more]}
                | {"arms": ["random", "all_correct", "without:diversity"]}
                | {"splits": {"validation": 0.2}}
                | {"publish": {"formats": ["messages", "dpo", "rl"]}}
            )
        )
        done = sums.curate(folder, "run", "recipe.yaml", "--out", "run")
    assert done.returncode == 0, done.stderr
    return folder


def replay(
    paid: Path, folder: Path, *overrides: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Replay the run in a fresh folder that has nothing but its inputs, lock file and record."""
    folder.mkdir()
    for name in ("questions.jsonl", "recipe.yaml", "recipe.lock.json"):
        shutil.copy(paid / name, folder)
    for name in ("student", f"{sums.STORE}/record"):
        shutil.copytree(paid / name, folder / name)
    command = sums.command(
        "run", "recipe.yaml", *overrides, "--replay", "--locked", "--out", "run", "--json"
    )
    return subprocess.run(
        command, cwd=folder, env=sums.environment(folder) | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_however_it_is_cut_and_shared_out_the_bytes_are_the_same(
    paid: Path, tmp_path: Path
) -> None:
    ways = {
        "one": ["runtime.questions_per_shard=5"],
        "two": ["runtime.questions_per_shard=2", "runtime.workers=2"],
        "three": ["runtime.workers=2"],
    }
    made: dict[str, dict[str, str]] = {}
    for way, overrides in ways.items():
        done = replay(paid, tmp_path / way, *overrides)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["sampled"], told["measured"]) == (0, 0)
        made[way] = hashes(tmp_path / way / "run")
    first = hashes(paid / "run")
    for name in WHEN:
        for one in (first, *made.values()):
            one.pop(name)
    assert {"dataset/manifest.json", "dataset/README.md"} < first.keys()
    assert {path.split("/")[2] for path in first if path.startswith("dataset/data/")} == {
        "default", "random", "all_correct", "without_diversity", "rejected", "messages", "dpo",
        "rl",
    }  # fmt: skip
    assert made == dict.fromkeys(ways, first)


@pytest.mark.slow
def test_another_pyarrow_gives_the_same_hash(paid: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(other)]
    subprocess.run([*pip, f"pyarrow=={OTHER_PYARROW}"], check=True)
    path = os.pathsep.join([str(other), str(Path.cwd())])
    done = replay(paid, tmp_path / "there", "runtime.questions_per_shard=5", PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    here, there = (
        json.loads((run / "dataset" / "manifest.json").read_text())
        for run in (paid / "run", tmp_path / "there" / "run")
    )
    assert here["configs"] == there["configs"]
    assert here["dataset_hash"] == json.loads(done.stdout)["dataset_hash"]
    files = (tmp_path / "there/run/dataset/data").rglob("*.parquet")
    written = {pq.read_metadata(file).created_by for file in files}
    assert written == {f"parquet-cpp-arrow version {OTHER_PYARROW}"}
    assert pa.__version__ != OTHER_PYARROW
