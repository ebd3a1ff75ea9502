"""What the measures of diversity see, on real rationales; writes validity.md beside this file.

Run with ``make bench-validity``; the folder of rationales is named by CURATE_TEST_DATA. Truth is
read from GSM8K's calculator marks by code that the filters do not share, and the filters are given
the text without its marks.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score  # pyright: ignore[reportUnknownVariableType]

from filters.clusters import cosine_distances
from filters.diversity import Diversity
from filters.paths import path, path_distance
from filters.shingles import jaccard, shingles

TABLE: Final = Path(__file__).with_name("validity.md")
ENCODER: Final = "sentence-transformers/all-MiniLM-L6-v2"
RESAMPLES: Final = 200
MODELS: Final = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
_MARK: Final = re.compile(r"<<[^>]*?=([^=>]*)>>")
_OPERATOR: Final = re.compile(r"(?<=[\w)%])(\s*)([-+*/])(?=\s*\$?\d)")
_FLIPPED: Final = {"+": "-", "-": "+", "*": "/", "/": "*"}


class Pair(NamedTuple):
    """Two correct solutions of one question, each with a calculator mark."""

    question: str
    left: str
    right: str

    def differs(self) -> bool:
        """Whether the marks hold different intermediate results: the truth."""
        return results(self.left) != results(self.right)


def results(solution: str) -> frozenset[float | str]:
    """Read the intermediate results from the marks."""
    return frozenset(_value(text.strip()) for text in _MARK.findall(solution))


def _value(text: str) -> float | str:
    try:
        return round(float(text.replace(",", "")), 4)
    except ValueError:
        return text


def told(solution: str) -> str:
    """Leave what a teacher without a calculator would have written: no marks, no final line."""
    lines = re.sub(r"<<[^>]*>>", "", solution).split("\n")
    return "\n".join(line for line in lines if not line.startswith("A:"))


def solutions(data: Path) -> Iterator[tuple[str, list[str]]]:
    """Read each GSM8K question with its correct solutions."""
    for line in (data / "gsm8k" / "example_model_solutions.jsonl").read_text().splitlines():
        row: dict[str, Any] = json.loads(line)
        models = [row[name] for name in MODELS if name in row]
        yield row["question"], [given["solution"] for given in models if given["is_correct"]]


def sibling_pairs(data: Path) -> list[Pair]:
    """List the 1,782 pairs."""
    return [
        Pair(question, left, right)
        for question, correct in solutions(data)
        for left, right in combinations(correct, 2)
        if "<<" in left and "<<" in right
    ]


def path_distances(pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Grade each pair by its paths; 1.0 where only one parses, 0.0 where neither does."""
    found: list[float] = []
    for pair in pairs:
        left, right = (path(told(s), pair.question, None) for s in (pair.left, pair.right))
        one_parses = float((left is None) != (right is None))
        found.append(path_distance(left, right) if left and right else one_parses)
    return np.array(found)


def text_distances(pairs: Sequence[Pair]) -> NDArray[np.float64]:
    """Grade each pair by its word trigrams."""
    return np.array([1 - jaccard(shingles(told(p.left)), shingles(told(p.right))) for p in pairs])


def auc(pairs: Sequence[Pair], distances: NDArray[np.float64]) -> tuple[float, float, float]:
    """Give the AUC of telling different results, with a 95 % interval over questions."""
    truth = np.array([pair.differs() for pair in pairs])
    names = np.array([pair.question for pair in pairs])
    rows = {name: np.flatnonzero(names == name) for name in np.unique(names)}
    dice = np.random.default_rng(17)
    drawn: list[float] = []
    for _ in range(RESAMPLES):
        sample = np.concatenate([rows[name] for name in dice.choice(list(rows), len(rows))])
        drawn.append(_area(truth[sample], distances[sample]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return _area(truth, distances), float(low), float(high)


def _area(truth: NDArray[np.bool_], distances: NDArray[np.float64]) -> float:
    return float(cast("Any", roc_auc_score(truth, distances)))


def flipped(text: str, most: int) -> str:
    """Turn around the first `most` operators between numbers (0: all of them)."""
    return _OPERATOR.sub(lambda found: found[1] + _FLIPPED[found[2]], text, count=most)


def flips_seen(data: Path, most: int) -> tuple[int, float]:
    """Put every solution beside its flipped self: how many, and the share in two groups."""
    texts = [told(text) for _, correct in solutions(data) for text in correct]
    changed = [(text, flipped(text, most)) for text in dict.fromkeys(texts)]
    twins = [(text, other) for text, other in changed if text != other]
    groups = clusters([list(twin) for twin in twins], Diversity(by=("path",)))
    return len(twins), sum(len(set(group)) == 2 for group in groups) / len(twins)


def clusters(
    questions: Sequence[Sequence[str]],
    filter_: Diversity,
    asked: Sequence[str] | None = None,
    embeddings: Sequence[Sequence[Sequence[float]]] | None = None,
) -> list[list[int]]:
    """Cluster the rationales of each question with the filter itself."""
    rows = [
        {
            "sample_id": f"{number:06}-{sibling:02}",
            "question_id": f"{number:06}",
            "rationale": text,
            "question": asked[number] if asked else None,
            "embedding": embeddings[number][sibling] if embeddings else None,
        }
        for number, texts in enumerate(questions)
        for sibling, text in enumerate(texts)
    ]
    frame = pl.DataFrame(rows, schema_overrides={"embedding": pl.List(pl.Float32)})
    frame = frame.with_columns(choices=pl.lit(None, pl.List(pl.String)))
    found = frame.with_columns(filter_.settle(frame).judge(frame)["cluster"])
    return found.group_by("question_id", maintain_order=True).agg("cluster")["cluster"].to_list()


def rewrites(data: Path, level: str, form: str) -> tuple[int, int, int]:
    """Compare SVAMP solutions with their rewrites: pairs, pairs where both parse, same path."""
    plain, other = (_svamp(data, name) for name in (level, f"{level}_{form}"))
    shared = [question for question in plain if other.get(question)]
    paths = [(path(plain[q], q, None), path(other[q], q, None)) for q in shared]
    both = [(left, right) for left, right in paths if left and right]
    return len(shared), len(both), sum(left == right for left, right in both)


def _svamp(data: Path, name: str) -> dict[str, str]:
    rows = json.loads((data / "svamp_teachers" / f"{name}.json").read_text())
    cut = {row["instruction"]: row["output"].split("The answer is")[0].strip() for row in rows}
    return {question: text for question, text in cut.items() if text}


def mentor(data: Path, name: str) -> tuple[list[str], list[list[str]]]:
    """Read Mentor-KD's questions and their six samples."""
    rows = json.loads((data / "mentor_kd" / f"{name}_6.json").read_text())
    return [row["instruction"] for row in rows], [row["output"] for row in rows]


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Embed with MiniLM, each distinct text once."""
    from curate.models.encoder import Encoder
    from curate.models.references import resolve

    distinct = list(dict.fromkeys(texts))
    vectors = Encoder(resolve(ENCODER).path).encode(distinct)
    places = {text: place for place, text in enumerate(distinct)}
    return vectors[[places[text] for text in texts]]


def pair_lines(pairs: Sequence[Pair]) -> Iterator[str]:
    """Table how each measure tells different intermediate results."""
    lefts, rights = embed([told(p.left) for p in pairs]), embed([told(p.right) for p in pairs])
    cosine = np.array(
        [cosine_distances(np.stack(two))[0, 1] for two in zip(lefts, rights, strict=True)]
    )
    graded = path_distances(pairs)
    yield "| measure | AUC | 95 % over questions |"
    yield "| --- | --- | --- |"
    for name, distances in (
        ("path, graded (1 - Jaccard of steps)", graded),
        ("path, as the filter groups (equal or not)", (graded > 0).astype(float)),
        ("text (word trigrams)", text_distances(pairs)),
        ("embedding (MiniLM, cosine)", cosine),
    ):
        value, low, high = auc(pairs, distances)
        yield f"| {name} | {value:.3f} | {low:.3f} to {high:.3f} |"


def mentor_lines(data: Path) -> Iterator[str]:
    """Table in what share of the questions six samples of one teacher fall into one group."""
    yield "| data | path | text | embedding (auto) | path, then embedding (default) |"
    yield "| --- | --- | --- | --- | --- |"
    for name in ("last_letter_concatenation", "date_understanding"):
        asked, questions = mentor(data, name)
        flat = iter(embed([text for texts in questions for text in texts]).tolist())
        vectors = [[next(flat) for _ in texts] for texts in questions]
        shares: list[str] = []
        for by in (("path",), ("text",), ("embedding",), ("path", "embedding")):
            filter_ = Diversity.model_validate({"by": by})
            groups = clusters(questions, filter_, asked, vectors)
            single = sum(len(set(group)) == 1 for group in groups) / len(groups)
            shares.append(f"{single:.1%}")
        yield f"| {name} ({len(questions)} questions) | {' | '.join(shares)} |"


def report(data: Path) -> Iterator[str]:
    """Write the whole table, line by line."""
    pairs = sibling_pairs(data)
    differ = sum(pair.differs() for pair in pairs)
    yield "# What the measures of diversity see"
    yield ""
    yield "Made by `make bench-validity`."
    yield ""
    yield f"## Different intermediate results: {len(pairs)} correct sibling pairs of GSM8K"
    yield ""
    yield (
        f"{differ} pairs differ in the results of their calculator marks. The measures see the "
        "text without marks."
    )
    yield ""
    yield from pair_lines(pairs)
    yield ""
    yield "## An operator turned around"
    yield ""
    yield "| operators turned | solutions | in another group |"
    yield "| --- | --- | --- |"
    for most, what in ((1, "the first"), (0, "all")):
        count, share = flips_seen(data, most)
        yield f"| {what} | {count} | {share:.1%} |"
    yield ""
    yield "## Rewrites of one SVAMP solution"
    yield ""
    yield "| solution | rewrite | pairs | both parse | same path where both parse |"
    yield "| --- | --- | --- | --- | --- |"
    for level, form in combinations_of_rewrites():
        count, both, same = rewrites(data, level, form)
        yield f"| {level} | {form} | {count} | {both / count:.1%} | {same / both:.1%} |"
    yield ""
    yield "## Six samples of one teacher (Mentor-KD): questions with a single group"
    yield ""
    yield (
        "Whole outputs, final sentence included. Last letters hold nothing that a path is read "
        "from, so the path level leaves each question in one group for the next level."
    )
    yield ""
    yield from mentor_lines(data)


def combinations_of_rewrites() -> list[tuple[str, str]]:
    """List the solutions that teachers rewrote, and the forms they rewrote them in."""
    levels = ("chatgpt_level3", "chatgpt_level5")
    return [(level, form) for level in levels for form in ("BSM", "RaR", "SYM")]


def main() -> None:
    """Measure, print and write the table."""
    folder = os.environ.get("CURATE_TEST_DATA")
    if not folder:
        sys.exit("CURATE_TEST_DATA is not set: name the folder of real rationales")
    lines: list[str] = []
    for line in report(Path(folder)):
        print(line, flush=True)
        lines.append(line)
    TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
