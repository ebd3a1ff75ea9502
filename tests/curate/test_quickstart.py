"""The shipped quickstart, whole: real vLLM, real encoder, real student, a dataset at the end.

The answers are checked here by code that shares nothing with the filters: the last amount after
"answer is" in what the teacher wrote, against the number in the questions' file.
"""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pytest

from curate.models.references import models_root, resolve
from curate.report.html.page import write_report
from tests.curate import sums
from tests.curate.report.html.browser import opened

pytestmark = [pytest.mark.slow, pytest.mark.vllm, pytest.mark.models]

MODELS = ("Qwen/Qwen2.5-Coder-0.5B-Instruct", "sentence-transformers/all-MiniLM-L6-v2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a store of its own that has the models and nothing else."""
    folder = tmp_path_factory.mktemp("quickstart")
    for model in MODELS:
        resolve(model)
    (folder / sums.STORE).mkdir()
    (folder / sums.STORE / "models").symlink_to(models_root().resolve())
    return folder


def curate(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run the command line and read what ``--json`` prints."""
    done = sums.curate(folder, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert "Exception ignored" not in done.stderr
    return json.loads(done.stdout)


def golds() -> dict[str, Decimal]:
    """Read the known answers from the file the recipe names."""
    lines = Path("recipes/quickstart_questions.jsonl").read_text().splitlines()
    return {row["question"]: Decimal(row["answer"]) for row in map(json.loads, lines)}


def stated(text: str) -> Decimal:
    """Read the one amount in the last box, after the last "answer is" or an equals sign there."""
    boxed = re.findall(r"\\boxed\{([^}]*)\}", text)
    clause = boxed[-1] if boxed else re.split(r"answer is|=", text, flags=re.IGNORECASE)[-1]
    amounts = set(re.findall(r"-?\d[\d,]*(?:\.\d+)?", clause))
    assert len(amounts) == 1, text
    return Decimal(amounts.pop().replace(",", ""))


@pytest.fixture(scope="module")
def first(folder: Path) -> dict[str, Any]:
    return curate(folder, "run", "quickstart")


def test_every_selected_answer_is_the_gold(folder: Path, first: dict[str, Any]) -> None:
    selected = datasets.load_dataset(first["folder"], cache_dir=str(folder / "cache"))["train"]
    known = golds()
    assert len(selected) >= 16
    assert len(set(selected["question"])) >= 12
    for row in selected:
        assert stated(row["answer"]) == known[row["question"]] == Decimal(row["gold"])
    (path,) = Path(first["folder"]).glob("audit/samples-*.parquet")
    written = pl.read_parquet(path).filter("selected")
    assert written.height == len(selected)
    for question, text in written.select("question", "raw_output").iter_rows():
        assert stated(text) == known[question]


def test_several_filters_had_something_to_drop(first: dict[str, Any]) -> None:
    (path,) = Path(first["folder"]).glob("audit/samples-*.parquet")
    audit = pl.read_parquet(path)
    verdicts = [column for column in audit.columns if column.startswith("verdict_")]
    assert audit.height == 32 * 4
    dropping = [c for c in verdicts if audit[c].struct.field("keep").eq(other=False).any()]
    assert len(dropping) >= 3


def test_again_no_model_is_asked(folder: Path, first: dict[str, Any]) -> None:
    again = curate(folder, "run", "quickstart")
    assert (again["sampled"], again["measured"]) == (0, 0)
    assert again["dataset_hash"] == first["dataset_hash"]


def test_its_report_opens_quietly_and_is_accessible(
    folder: Path, first: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(folder / sums.STORE))
    page = write_report(Path(first["folder"]))
    for width in (1400, 390):
        with opened(page, width) as there:
            said = there.page.inner_text("main")
            assert "their embeddings by sentence-transformers/all-MiniLM-L6-v2" in said
            assert "Calibration on" in said
            assert there.page.locator("[data-chart=scores] .main-svg").count() > 0
            assert there.violations() == []
            assert there.said == []
            assert there.asked == []
