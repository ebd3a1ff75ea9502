"""List where the typed verdict and a plain string comparison disagree, for reading by hand.

    CURATE_TEST_DATA=FOLDER python tests/bench/correctness_disagreements.py [NUMBER]

Prints, for each data set, the share the filter finds right, abstentions and disagreements, then
NUMBER (default 50) disagreements spread over the data sets, chosen by hash. The findings of one
reading are in ``correctness.md``.
"""

import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from curate.measures.parse import Parse
from curate.store.keys import rank
from filters.answers.reading import AnswerOptions, TextOptions
from filters.columns import GLOSSARY
from filters.correctness import Correctness

Row = dict[str, Any]
SEED = 17


def main(folder: Path, number: int) -> None:
    """Judge every data set and print what is worth reading."""
    found: list[Row] = []
    for name, load, options in SETS:
        table = judged(list(load(folder)), options)
        plain = pl.Series([same_string(row) for row in table.iter_rows(named=True)])
        kept = table["keep"].fill_null(value=False)
        apart = table.filter(kept != plain)
        reasons = dict(table["reason"].drop_nulls().value_counts().iter_rows())
        say(
            f"{name}: {table.height} rows, right {kept.mean():.4f}, as strings {plain.mean():.4f}, "
            f"abstained {table['keep'].null_count()}, {reasons}, disagreements {apart.height}"
        )
        found += [row | {"set": name} for row in apart.iter_rows(named=True)]
    found.sort(key=lambda row: rank(SEED, row["set"], row["raw_output"]))
    by_set = [[row for row in found if row["set"] == name] for name, _, _ in SETS]
    turns = itertools.zip_longest(*by_set)
    chosen = [row for turn in turns for row in turn if row][:number]
    chosen.sort(key=lambda row: [name for name, _, _ in SETS].index(row["set"]))
    for at, row in enumerate(chosen, 1):
        say(
            f"{at:2} {row['set']:12} kept={row['keep']} {row['reason'] or ''} gold={row['gold']!r} "
            f"answer={row['answer']!r} ...{first_question(row['raw_output'])[-110:]!r}"
        )


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")


def judged(rows: list[Row], options: TextOptions) -> pl.DataFrame:
    """Parse and judge rows that hold question, gold, gold_type, raw_output and maybe choices."""
    blank: Row = dict.fromkeys((*Parse.reads, "verify_outcome"))
    table = pl.DataFrame(
        [blank | row | {"source": "it"} for row in rows],
        schema={name: GLOSSARY[name].dtype for name in (*blank, "gold")},
    )
    table = table.hstack(Parse({"it": options}).derive(table))
    return table.hstack(Correctness().judge(table).select("keep", "reason"))


def same_string(row: Row) -> bool:
    """Compare as a first script would: what follows the last "answer is", else the last word."""
    text, gold = first_question(row["raw_output"]).casefold(), row["gold"].casefold()
    _, stated, tail = text.replace("answer choice is", "answer is").rpartition("answer is")
    tail = (tail if stated else text.split()[-1] if text else "").strip(' .:"\n')
    if row["gold_type"] == "number":
        return _bare(tail) == _bare(gold)
    if row["gold_type"] == "choice":
        letter, _, words = tail.partition(")")
        return gold in {letter.strip("( "), words.strip()}
    return tail == gold


def first_question(text: str) -> str:
    """Cut run-on text at the next invented question."""
    return text.split("\nQ:", maxsplit=1)[0].strip()


def _bare(expression: str) -> str:
    """Drop spaces, ``.0`` and outer brackets."""
    return re.sub(r"\.0\b|\s|[()]", "", expression)


def _mentor(name: str, gold_type: str) -> Callable[[Path], Iterator[Row]]:
    """Load six rationales of one teacher for each question."""

    def load(folder: Path) -> Iterator[Row]:
        for line in json.loads((folder / "mentor_kd" / name).read_text()):
            for text in line["output"]:
                yield {
                    "question": line["instruction"],
                    "gold": line["label"],
                    "gold_type": gold_type,
                    "raw_output": text,
                }

    return load


def _svamp(folder: Path) -> Iterator[Row]:
    """Load PaLM's word problems: consecutive pieces of one list, golds are expressions."""
    lines = (folder / "palm" / "svamp" / "svamp_train.json").read_text().splitlines()
    for line, text in zip(map(json.loads, lines), _palm(folder, "svamp", 2), strict=True):
        yield {
            "question": line["input"],
            "gold": line["label"],
            "gold_type": "number",
            "raw_output": text,
        }


def _cqa(folder: Path) -> Iterator[Row]:
    """Load PaLM's commonsense questions; more questions than rationales."""
    lines = (folder / "palm" / "cqa" / "cqa_train.json").read_text().splitlines()
    for line, text in zip(map(json.loads, lines), _palm(folder, "cqa", 5), strict=False):
        yield {
            "question": line["question"],
            "gold": line["answer"],
            "gold_type": "choice",
            "choices": line["choices"],
            "raw_output": text,
        }


def _palm(folder: Path, task: str, pieces: int) -> Iterator[str]:
    """Read the pieces of a list of completions in order."""
    for piece in range(pieces):
        yield from json.loads((folder / "palm" / task / f"train_CoT_{piece}.json").read_text())


RUN_ON = TextOptions(stop=("\nQ:",), answer=AnswerOptions())
SETS: tuple[tuple[str, Callable[[Path], Iterator[Row]], TextOptions], ...] = (
    ("dates", _mentor("date_understanding_6.json", "choice"), TextOptions()),
    ("last letters", _mentor("last_letter_concatenation_6.json", "string"), TextOptions()),
    ("palm svamp", _svamp, RUN_ON),
    ("palm cqa", _cqa, RUN_ON),
)

if __name__ == "__main__":
    main(Path(os.environ["CURATE_TEST_DATA"]), int(sys.argv[1]) if len(sys.argv) > 1 else 50)
