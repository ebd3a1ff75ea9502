"""Choose the texts a student is calibrated on."""

from typing import NamedTuple, cast

import polars as pl

from curate.measures.calibration import Kind
from curate.measures.masking import mask_value
from curate.measures.rows import Row, rows_of
from curate.models.students.pairs import Pair
from curate.store.keys import rank
from filters.answers import equal

_PLANTED = 16
"""Questions that also get a planted gold and a bare statement; a median needs no more."""


class Probe(NamedTuple):
    """A text to score, what it is, and the id of its question."""

    question: str
    kind: Kind
    pair: Pair


class _Siblings(NamedTuple):
    """A question's right and wrong sibling, the first of each by seeded hash."""

    right: Row | None
    wrong: Row | None


def choose_probes(pool: pl.DataFrame, questions: int, mask: str) -> list[Probe]:
    """Choose a right and a wrong sibling of each question, and more for a few.

    Args:
        pool: rows with the columns of `READS`, ``question_id`` and ``sample_id``, in any order.
        questions: at most so many, those with both siblings first, then by hash.
        mask: what a rationale's own final value is replaced by.
    """
    siblings = _siblings(pool)
    order = sorted(siblings, key=lambda question: rank("calibrate", question))
    both = [q for q in order if siblings[q].right and siblings[q].wrong][:questions]
    kinds: tuple[Kind, Kind] = ("right", "wrong")
    probes = [
        Probe(question, kind, pair)
        for question in both
        for kind, row in zip(kinds, siblings[question], strict=True)
        if row and (pair := row.pair(mask))
    ]
    rights = [(q, row) for q in (both or order) if (row := siblings[q].right)][:_PLANTED]
    donors = [row for _, row in rights]
    for (question, row), donor in zip(rights, donors[1:] + donors[:1], strict=True):
        pair = row.pair(mask)
        if pair is None:
            continue
        if donor is not row:
            probes.append(Probe(question, "planted", _told(pair, plant_answer(donor, pair.answer))))
        probes.append(Probe(question, "bare", _told(pair, f"It is {pair.answer}.")))
    return probes


def _siblings(pool: pl.DataFrame) -> dict[str, _Siblings]:
    """Find each question's siblings; rows that can't be judged or scored are passed over."""
    siblings: dict[str, _Siblings] = {}
    ids = pool.select("question_id", "sample_id").iter_rows()
    entries = sorted(
        zip(cast("list[tuple[str, str]]", list(ids)), rows_of(pool), strict=True),
        key=lambda entry: rank("calibrate", *entry[0]),
    )
    for (question, _), row in entries:
        if not (row.answer and row.gold and row.rationale and row.rationale.strip()):
            continue
        right = equal(row.answer, row.gold, row.kind, row.options)
        so_far = siblings.setdefault(question, _Siblings(None, None))
        if right is True and so_far.right is None:
            siblings[question] = so_far._replace(right=row)
        elif right is False and so_far.wrong is None:
            siblings[question] = so_far._replace(wrong=row)
    return siblings


def plant_answer(donor: Row, answer: str) -> str:
    """Make another question's rationale state an answer where it states its own."""
    text = (donor.rationale or "").strip()
    planted = mask_value(text, donor.answer, donor.kind, donor.options, answer)
    return planted if planted != text else f"{text} It is {answer}."


def _told(pair: Pair, rationale: str) -> Pair:
    """Put another rationale before the same answer; it is not scored masked."""
    return pair._replace(rationale=rationale, masked=rationale)
