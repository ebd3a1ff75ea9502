"""What an earlier version paid for and released is replayed by this one: the same hashes."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.curate import sums

STORES = Path(__file__).parents[2] / "stores"
WAYS = {"run": "recipe.yaml", "release": "release"}
INPUTS = {
    "sums": (
        "questions.path={}/questions.jsonl",
        "measures.score.student={}/student",
        "runtime.sources={{teacher: {{backend: openai, url: 'http://127.0.0.1:9/v1'}}}}",
    ),
    "formulas": ("questions.path={}/questions.jsonl", "sources.pool.path={}/pool.jsonl"),
}
"""What a release comes without."""
MODELS = ("Qwen/Qwen2.5-Coder-0.5B-Instruct", "sentence-transformers/all-MiniLM-L6-v2")


def hashes(release: Path) -> dict[str, str]:
    """Read the hash of every config of a release."""
    manifest = json.loads((release / "manifest.json").read_text())
    return {name: config["dataset_hash"] for name, config in manifest["configs"].items()}


def replay(name: str, folder: Path, *arguments: str, models: Path | None = None) -> dict[str, Any]:
    """Replay a copy of one of the stores, with models that are assembled already."""
    shutil.copytree(STORES / name, folder)
    if models is not None:
        (folder / "store" / "models").symlink_to(models.resolve())
    command = sums.command("run", *arguments, "--replay", "--out", "again", "--json")
    environment = sums.environment(folder) | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["sums", "formulas"])
def test_the_same_hashes(name: str, way: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    inputs = [line.format(folder) for line in INPUTS[name]] if way == "release" else []
    result = replay(name, folder, WAYS[way], *inputs)
    # LaTeX is compared in a newer way, which needs no model.
    assert (result["sampled"], result["measured"]) == (0, 5 if name == "formulas" else 0)
    assert result["reused"] > 0 or name == "formulas"
    again, before = hashes(folder / "again" / "dataset"), hashes(STORES / name / "release")
    # A release comes without the words of a person's verdicts, and the audit has the keys by which
    # LaTeX is compared.
    if way == "release" or name == "formulas":
        again.pop("audit", None)
        before.pop("audit", None)
    assert again == before


@pytest.mark.models
def test_the_same_hashes_of_real_models(tmp_path: Path) -> None:
    from curate.models.references import models_root, resolve

    for model in MODELS:
        resolve(model)
    folder = tmp_path / "quickstart"
    result = replay("quickstart", folder, "recipe.yaml", "--limit", "8", models=models_root())
    assert (result["sampled"], result["measured"]) == (0, 0)
    assert hashes(folder / "again" / "dataset") == hashes(STORES / "quickstart" / "release")
