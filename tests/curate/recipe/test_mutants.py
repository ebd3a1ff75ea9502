"""Whatever a recipe holds, it is read, or refused in one message before anything is written.

`make fuzz PYTEST=tests/curate/recipe/test_mutants.py` draws ten thousand.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from curate.recipe.files import read_recipe
from curate.recipe.plan import make_plan
from curate.sources import SampledSource
from tests.curate.recipe.mutants import ROOT, mutants
from tests.curate.watched import call, faults_of
from tests.servers.odd_server import odd_server

ROW: Final[dict[str, Any]] = {
    "question": "Ann has 3 nuts and finds 4. How many?",
    "instruction": "Ann has 3 nuts and finds 4. How many?",
    "input": "How many?",
    "answer": "3 + 4 = 7\n#### 7",
    "output": "3 + 4 = 7. The answer is 7",
    "rationale": "3 + 4 = 7. The answer is 7",
    "label": "7",
    "ground_truth": "3 + 4 = 7\nA: 7",
    "choices": ["7", "8"],
    "id": "a1",
    "writer": "careful",
    "group": "g",
    "thought": {"text": "Add them."},
    "score": 0.5,
    "175b_verification": {"solution": "7"},
    "175b_finetuning": {"solution": "7"},
    "6b_verification": {"solution": "7"},
    "6b_finetuning": {"solution": "7"},
}
"""Has every column that a recipe below names."""
TABLES: Final = (
    "first_look_pool.jsonl", "folder/a.jsonl", "gsm8k/example_model_solutions.jsonl", "here.jsonl",
    "mentor_kd/date_understanding_6.json", "obqa_teachers/gold.json",
    "obqa_teachers/gpt_level1.json", "palm/cqa/cqa_train.json", "quickstart_questions.jsonl",
    "svamp_teachers/gold.json", "svamp_teachers/gpt_level1.json",
)  # fmt: skip
RICH: Final = """
name: rich
release: 1.2.3
description: Every section, and most keys.
questions:
  path: here.jsonl
  columns:
    {question: [question, input], gold: label, rationale: output, choices: null, group: group,
     id: id, domain: writer}
  gold: {type: number, extract: '(\\d+)', max_refused: 0.5}
  limit: 10
sources:
  - use: import
    name: pool
    path: here.jsonl
    columns:
      {question: [question, input], completion: [rationale, output],
       reasoning: [thought.text, thought.text],
       scores: {theirs: {column: [score, score], better: lower}, plain: [score, score]}}
    join: question
    teacher: {completion: '(.+)'}
    prompt_id: {file: '(.+)\\.jsonl'}
    max_unmatched: 0.9
    stop: ["\\n\\n"]
    answer: {after: ["The answer is"]}
    terms: cc0-1.0
  - {use: gold, name: known}
filters:
  - {use: completeness, min_words: 2}
  - {use: length, unit: words, max: 40}
  - {use: repetition, max_line_share: 0.9}
  - {use: correctness, name: right}
  - {use: duplicates, jaccard: 0.9, ngram: 3}
  - {use: diversity, by: [path], distance: 0.1}
select:
  budget: {rows: 4}
  per_question: 2
  one_per: cluster
  order_by:
    - -rationale_words
    - {rank_fusion: {keys: [theirs, -rationale_words], k: 3}}
    - {draw: {weights: 2^-rank(plain)}}
  seed: 3
arms: [random, all_correct, shortest, "lowest:rationale_words", "highest:theirs", "without:right"]
sweep:
  order_by: [theirs, {rank_fusion: {keys: [plain]}}]
  budget: [{rows: 2}, {share: 0.5}]
  direction: [lowest, highest]
exclude_teachers: []
splits: {validation: 0.5}
publish: {repo: me/rich, private: true, include: [rejected], formats: [messages, dpo]}
licence: mit
language: en
runtime: {executor: local, workers: 1, questions_per_shard: 2, max_hours: 1}
"""
SAMPLED: Final = """
name: sampled
questions: {path: here.jsonl, columns: {question: question, gold: label}, gold: {type: number}}
sources:
  - use: generate
    name: teacher
    model: tiny-teacher
    prompt: cot
    samples: 2
    seeds: true
    sampling: {temperature: 0.7, top_p: 0.9, max_tokens: 64, stop: ["END"]}
    terms: mit
filters: [{use: completeness}, {use: correctness}]
select: {per_question: 1}
runtime:
  max_tokens_total: 10000
  max_cost: 5
  sources:
    teacher:
      backend: openai
      url: ${TEACHER}
      in_flight: 2
      timeout: 5
      patience: 0.5
      price: {prompt: 0.1, completion: 0.2}
"""
FILES: Final = (
    "recipes/first-look", "recipes/import-svamp", "recipes/morsd", "recipes/quickstart",
    "tests/recipes/dates", "tests/recipes/gsm8k-solutions", "tests/recipes/obqa-teachers",
    "tests/recipes/palm-cqa",
)  # fmt: skip
RECIPES: Final[dict[str, Any]] = {
    "rich": yaml.safe_load(RICH),
    "sampled": yaml.safe_load(SAMPLED),
    **{name: yaml.safe_load((ROOT / f"{name}.yaml").read_text()) for name in FILES},
}


def furnish(folder: Path) -> None:
    """Put small data into a folder, and what looks like data and is none."""
    for name in TABLES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        row = ROW | {"output": "7"} if name == "svamp_teachers/gold.json" else ROW
        path.write_text(json.dumps([row] if path.suffix == ".json" else row) + "\n")
    (folder / "palm" / "cqa" / "train_CoT_1.json").write_text(json.dumps([ROW["rationale"]]))
    (folder / "empty.jsonl").touch()
    (folder / "binary.parquet").write_bytes(bytes(range(256)))
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "fifo")
    (folder / "home").mkdir()


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with data, in which all lies that a command may write to."""
    folder = tmp_path_factory.mktemp("mutants")
    furnish(folder)
    with pytest.MonkeyPatch.context() as patch, odd_server() as server:
        patch.chdir(folder)
        for name, value in {
            "CURATE_STORE": str(folder / "store"), "CURATE_TEST_DATA": str(folder),
            "HOME": str(folder / "home"), "TEACHER": server.url, "EMPTY": "", "COLUMNS": "200",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        patch.delenv("NOTHING", raising=False)
        for place in ("huggingface_hub.constants", "datasets.config"):
            patch.setattr(f"{place}.HF_HUB_OFFLINE", True)
        yield folder


def starts_much(recipe: Path) -> bool:
    """Tell whether a run of a recipe that is fine would load a model or start processes."""
    file = read_recipe(str(recipe))
    sampled = [each for each in file.recipe.sources if isinstance(each, SampledSource)]
    here = [each for each in sampled if not file.recipe.backend(each.name).remote]
    runtime = file.recipe.runtime
    processes = runtime.executor != "local" or 1 < (runtime.workers or 1) < 10**6
    needs = [need for step in make_plan(file.recipe).measures for need in step.kind.needs]
    return bool(here or processes or needs)


def faults_under(command: str, folder: Path, text: bytes) -> list[str]:
    """Give a recipe to a command, and remove what it makes; say what was wrong."""
    recipe = folder / "recipe.yaml"
    recipe.write_bytes(text)
    if command == "run" and call(folder, "check", "recipe.yaml").code == 0 and starts_much(recipe):
        command = "plan"
    done = call(folder, command, "recipe.yaml")
    faults = faults_of(done)
    if command != "run" and done.changed:
        faults.append(f"{command} wrote {done.changed[:8]}")
    for name in ("store", "runs"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "recipe.lock.json").unlink(missing_ok=True)
    return faults


@pytest.mark.parametrize("command", ["check", "plan", "run"])
@pytest.mark.parametrize("name", RECIPES)
def test_the_recipes_are_fine_before_they_are_changed(
    name: str, command: str, workplace: Path
) -> None:
    recipe = workplace / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(RECIPES[name]))
    if command != "run" or not starts_much(recipe):
        done = call(workplace, command, "recipe.yaml")
        assert (done.code, faults_of(done)) == (0, []), done.err


@pytest.mark.parametrize("name", RECIPES)
@given(command=st.sampled_from(("check", "plan", "run")), data=st.data())
def test_a_recipe_is_read_or_refused_in_one_message(
    name: str, workplace: Path, command: str, data: st.DataObject
) -> None:
    text = data.draw(mutants(RECIPES[name]))
    assert not faults_under(command, workplace, text)
