"""A threshold moved: tighter asks the student nothing, looser asks about the newly live rows alone.

How many items a run measures does not depend on the student's weights, so it is a random Llama of
two layers with a tokenizer trained on the questions.
"""

import json
import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from safetensors import SafetensorError

from curate.engine.progress.progress import Progress
from curate.engine.run import RunOptions, RunResult, run
from curate.errors import ModelError
from curate.recipe.files import read_recipe
from curate.store.record import Book

pytestmark = pytest.mark.data

RECIPE = """
name: thresholds
questions:
  path: ${CURATE_TEST_DATA}/svamp_teachers/gold.json
  columns: {question: instruction, gold: output}
  gold: {type: number}
sources:
  - use: import
    name: teachers
    path: ${CURATE_TEST_DATA}/svamp_teachers/*_level*.json
    columns: {question: instruction, completion: output}
    teacher: {file: '(.+)_level'}
    prompt_id: {file: '_(level.+)\\.json'}
    gold_shown: true
measures: {score: {student: student, calibrate: 0}}
filters:
  - use: completeness
  - {use: length, unit: words, max: 60}
  - use: correctness
  - {use: rationale_difficulty, variant: paper, max: 1.0}
"""
BASE, TIGHT, LOOSE = 60, 40, 90
"""Words of a rationale that pass: a quarter of all lies between each two of them."""

SELECTION = ("selected", "selection_rank")
SCORES = ("nll_with_rationale", "nll_masked", "nll_rationale", "rd_paper", "rd_masked", "rd_spread")


@pytest.fixture
def folder(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    import torch

    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("CURATE_TEST_DATA", str(data.resolve()))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    questions = json.loads((data / "svamp_teachers" / "gold.json").read_text())
    write_student(tmp_path / "student", [question["instruction"] for question in questions])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two for so small a model wait for one another
    yield tmp_path
    torch.set_num_threads(threads)


def write_student(folder: Path, texts: list[str]) -> None:
    """Save a random student; drawn at 0.3, since at 0.02 it says nearly the same of every text."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    pieces: Any = Tokenizer(models.BPE())
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>"]
    trainer: Any = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    pieces.train_from_iterator(texts, trainer)
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=pieces, bos_token="<s>", eos_token="</s>"
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


@contextmanager
def unloadable(student: Path) -> Generator[None]:
    """Spoil a model's weights for a while; size and time stay, and so do its revision and keys."""
    weights = student / "model.safetensors"
    whole, state = weights.read_bytes(), weights.stat()

    def write(content: bytes) -> None:
        weights.write_bytes(content)
        os.utime(weights, ns=(state.st_atime_ns, state.st_mtime_ns))

    write(b"\xff" * len(whole))
    try:
        yield
    finally:
        write(whole)


def do(folder: Path, words: int, limit: int | None) -> RunResult:
    file = read_recipe(str(folder / "recipe.yaml"), [f"filters.length.max={words}"])
    return run(file, RunOptions(runs=folder / "runs", limit=limit), Progress(quiet=True))


def counted(result: RunResult) -> tuple[int, int]:
    """Give the items that were measured and those reused, as the run's own file has them."""
    told = json.loads((result.folder / "run.json").read_bytes())
    (score,) = [one for one in told["measures"] if one["name"] == "score"]
    return score["measured"], score["reused"]


def judged(result: RunResult) -> dict[str, int]:
    return json.loads((result.folder / "run.json").read_bytes())["judged"]


def to_measure(audit: pl.DataFrame, words: int) -> set[tuple[str, str]]:
    """List what a threshold lets through to the student: equal texts once, each question once."""
    items: set[tuple[str, str]] = set()
    for row in audit.iter_rows(named=True):
        text, answer = (row["rationale"] or "").strip(), row["answer"]
        if 0 < len(text.split()) <= words and answer and value(answer) == value(row["gold"]):
            items |= {(row["question"], text), (row["question"], "")}
    return items


def value(text: str) -> Fraction:
    """Read the last number of an answer, which may be a whole equation."""
    numbers = re.findall(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?", text)
    return Fraction(numbers[-1].replace(",", "")) if numbers else Fraction(-1, 7)


SIZES = [40, pytest.param(None, marks=pytest.mark.slow)]


@pytest.mark.parametrize("limit", SIZES)
def test_only_newly_live_rows_are_measured(folder: Path, limit: int | None) -> None:
    first = do(folder, BASE, limit)
    audit = first.audit
    assert audit.height == (15391 if limit is None else pytest.approx(limit * 22, abs=9))
    base, loose = to_measure(audit, BASE), to_measure(audit, LOOSE)
    assert counted(first) == (len(base), 0)
    tight = to_measure(audit, TIGHT)
    assert len(tight) < len(base) < len(loose)
    with unloadable(folder / "student"):
        tightened = do(folder, TIGHT, limit)
        assert counted(tightened) == (0, len(tight))
        assert judged(tightened)["completeness"] == 0
        restored = do(folder, BASE, limit)
        assert counted(restored) == (0, len(base))
        with pytest.raises((ModelError, SafetensorError)):  # so the spoilt weights are noticed
            do(folder, LOOSE, limit)
    looser = do(folder, LOOSE, limit)
    assert counted(looser) == (len(loose - base), len(base))
    with unloadable(folder / "student"):
        again = do(folder, BASE, limit)
    assert counted(again) == (0, len(base))
    assert again.summary.dataset_hash == restored.summary.dataset_hash
    assert again.summary.dataset_hash == first.summary.dataset_hash
    assert sum(judged(again).values()) == 0


def one_of(result: RunResult, book: Path) -> tuple[str, dict[str, Any], str]:
    """Choose a recorded item that exactly one kept row has: its key, its value, the row's id."""
    kept = result.audit.filter("live").with_columns(
        seen=pl.len().over("question_id", pl.col("rationale").str.strip_chars())
    )
    entries = Book(book)
    values = {key: entries.get(key) or {} for key in sorted(entries.keys())}
    entries.close()
    for row in kept.filter(pl.col("seen") == 1).sort("sample_id").iter_rows(named=True):
        keys = [
            key
            for key, value in values.items()
            if "paper" in value
            and value["rationale"]["nats"] / value["rationale"]["tokens"] == row["nll_rationale"]
        ]
        if len(keys) == 1:
            return keys[0], dict(values[keys[0]]), row["sample_id"]
    raise AssertionError("no recorded item belongs to one row alone")


def differing(before: RunResult, after: RunResult) -> list[str]:
    """List the samples about which two runs say anything different, selection left out."""
    old, new = (run.audit.drop(SELECTION).sort("sample_id") for run in (before, after))
    assert old.columns == new.columns
    assert old["sample_id"].equals(new["sample_id"])
    pairs = zip(old.iter_rows(), new.iter_rows(), old["sample_id"], strict=True)
    return [sample for mine, theirs, sample in pairs if mine != theirs]


@pytest.mark.parametrize("limit", SIZES)
def test_a_damaged_score_is_measured_again_and_no_other(folder: Path, limit: int | None) -> None:
    first = do(folder, BASE, limit)
    (book,) = (folder / "store" / "record" / "score").iterdir()
    key, _, sample = one_of(first, book)
    (segment,) = [path for path in book.glob("*.log") if key.encode() in path.read_bytes()]
    lines = segment.read_bytes().splitlines(keepends=True)
    (at,) = [number for number, line in enumerate(lines) if line[9:41] == key.encode()]
    lines[at] = lines[at].replace(b'"tokens"', b'"tokenz"', 1)
    segment.write_bytes(b"".join(lines))
    again = do(folder, BASE, limit)
    measured, reused = counted(first)[0], counted(again)[1]
    assert (counted(again)[0], reused, again.tally.damaged) == (1, measured - 1, 1)
    assert set(differing(first, again)) <= {sample}  # measured in other company, the last bits move
    old, new = (run.audit.filter(sample_id=sample).select(SCORES) for run in (first, again))
    assert_frame_equal(old, new, abs_tol=1e-4)
    with unloadable(folder / "student"):
        assert counted(do(folder, BASE, limit)) == (0, measured)


def test_a_verdict_rests_on_the_recorded_score_of_its_own_row(folder: Path) -> None:
    first = do(folder, BASE, 40)
    (book,) = (folder / "store" / "record" / "score").iterdir()
    key, value, sample = one_of(first, book)
    for part in value["paper"]:
        part["nats"] *= 10
    with Book(book) as entries:
        entries.append(key, value)
    with unloadable(folder / "student"):
        changed = do(folder, BASE, 40)
    assert counted(changed)[0] == 0
    assert differing(first, changed) == [sample]
    verdict = changed.audit.row(by_predicate=pl.col("sample_id") == sample, named=True)
    assert verdict["verdict_rationale_difficulty"]["reason"] == "too_difficult"
    assert not verdict["live"]
