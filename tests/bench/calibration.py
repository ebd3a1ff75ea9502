"""Calibrate students on GSM8K's model-written solutions; writes calibration.md beside this file.

    python tests/bench/calibration.py [MODEL ...]
    python tests/bench/calibration.py cost MODEL [PAIRS]

``cost`` says how much longer a run over PAIRS (1000) right rationales takes because it calibrates.
Needs CURATE_TEST_DATA.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl

from curate.measures.base import Item
from curate.measures.parse import parse
from curate.measures.score import Score
from curate.measures.score_options import ScoreOptions
from curate.models.references import resolve
from curate.store.keys import rank, short_id
from filters.answers import equal
from filters.answers.reading import TextOptions

STUDENTS = ("google/gemma-3-270m", "Qwen/Qwen2.5-Coder-0.5B-Instruct")
WRITERS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
TABLE = Path(__file__).with_name("calibration.md")


def pool(folder: Path, questions: int) -> pl.DataFrame:
    """Parse the four solutions of some questions, chosen by hash."""
    lines = (folder / "gsm8k" / "example_model_solutions.jsonl").read_text().splitlines()
    entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
    entries.sort(key=lambda entry: rank("bench", entry["question"]))
    rows: list[dict[str, Any]] = []
    for entry in entries[:questions]:
        for writer in WRITERS:
            read = parse(entry[writer]["solution"], None, "number", (), TextOptions())
            rows.append(
                {
                    "question_id": short_id(entry["question"]),
                    "sample_id": short_id(entry["question"], writer),
                    "question": entry["question"],
                    "gold": entry["ground_truth"].rpartition("A:")[2].strip().replace(",", ""),
                    "gold_type": "number",
                    "choices": None,
                    "rationale": read.rationale,
                    "answer": read.answer,
                }
            )
    return pl.DataFrame(rows, schema_overrides={"choices": pl.List(pl.String)})


def calibrate(student: str, frame: pl.DataFrame) -> dict[str, Any]:
    """Run one student's calibration as a run would; adds seconds and items."""
    score = Score(ScoreOptions(student=student), resolve(student))
    items = {item.key: item for item in score.pool_items(frame)}
    start = time.perf_counter()
    values = dict(score.compute(items.values()))
    seconds = time.perf_counter() - start
    score.close()
    return {**score.conclude(frame, values), "seconds": seconds, "items": len(items)}


def cost(student: str, pairs: int) -> dict[str, Any]:
    """Time what a run scores, with calibration's items and without."""
    frame = pool(Path(os.environ["CURATE_TEST_DATA"]), pairs)
    answers = frame.select("answer", "gold").rows()
    right = [answer is not None and bool(equal(answer, gold, "number")) for answer, gold in answers]
    live = frame.filter(pl.Series(right)).head(pairs)
    asked = frame.filter(pl.col("question_id").is_in(live["question_id"].unique().to_list()))
    score = Score(ScoreOptions(student=student), resolve(student))
    wanted = {item.key: item for item in score.items(live)}
    probes = {item.key: item for item in score.pool_items(asked)}
    dict(score.compute(list(wanted.values())[:24]))  # loads the student

    def timed(items: dict[str, Item]) -> float:
        start = time.perf_counter()
        dict(score.compute(items.values()))
        return time.perf_counter() - start

    both, without = timed(probes | wanted), timed(wanted)
    score.close()
    return {
        "student": student,
        "pairs": live.height,
        "questions": live["question_id"].n_unique(),
        "items of calibration not scored anyway": len(probes.keys() - wanted.keys()),
        "seconds with": both,
        "seconds without": without,
        "cost": both / without - 1,
    }


def interval(auc: dict[str, Any]) -> str:
    return f"{auc['value']:.2f} ({auc['low']:.2f}-{auc['high']:.2f})"


def main() -> None:
    if sys.argv[1:2] == ["cost"]:
        print(cost(sys.argv[2], int(sys.argv[3]) if sys.argv[3:] else 1000))
        return
    frame = pool(Path(os.environ["CURATE_TEST_DATA"]), 256)
    lines = [
        "# Does the student follow rationales?",
        "",
        "`CURATE_TEST_DATA=... python tests/bench/calibration.py`: four model-written solutions of",
        "GSM8K test questions, 64 questions with a right and a wrong one; AUC of right below wrong",
        "with 95 % bootstrap interval over questions; median RD as published. Rates are of two",
        "cores in float32, shared with other work, loading included.",
        "",
        (
            "| student | AUC masked | AUC unmasked | RD true | RD planted | RD bare "
            "| templates agree (Spearman) | follows | items/s |"
        ),
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for student in sys.argv[1:] or STUDENTS:
        facts = calibrate(student, frame)
        lines.append(
            f"| {student} | {interval(facts['auc_masked'])} | {interval(facts['auc_unmasked'])} "
            f"| {facts['median_rd_true']:.2f} | {facts['median_rd_planted']:.2f} "
            f"| {facts['median_rd_bare']:.2f} | {facts['template_spearman']:.2f} "
            f"| {facts['student_follows']} | {facts['items'] / facts['seconds']:.1f} |"
        )
        print(lines[-1], flush=True)
    if not sys.argv[1:]:
        TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
