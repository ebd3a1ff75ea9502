"""``curate scores``: every score of a run beside the others, in figures and in words."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from curate.errors import InputError
from curate.report.html.audit import Audit
from curate.report.scores.agreement import Table, against_length, agreement
from curate.report.scores.groups import Groups, teachers
from curate.report.scores.overlap import Overlap, overlap
from curate.report.scores.pool import Pool
from curate.report.scores.separation import Separation, separation
from curate.report.scores.variants import variants


class Comparison(BaseModel):
    """The scores of a run side by side; every figure with its 95 % interval over questions."""

    model_config = ConfigDict(frozen=True)

    title: str
    """Name and version of the run's release."""
    rows: int
    """Samples."""
    scored: int
    """Of them with any of the scores."""
    questions: int
    """With a scored sample."""
    scores: dict[str, str]
    """Names, each with its better side: ``lower``, ``higher`` or ``none``."""
    agreement: Table
    """By score and score: mean Spearman correlation inside questions."""
    overlap: Overlap | None
    """What each would take; None where nothing is to be chosen."""
    length: Table
    """By score and length: mean Spearman correlation inside questions."""
    separation: Separation
    """Right against wrong siblings."""
    teachers: Groups | None
    """None where there is one."""
    variants: tuple[Groups, ...] = ()
    """Levels, formats, and their combinations with teachers; none where no prompt says any."""

    @classmethod
    def of(cls, audit: Audit) -> Self | None:
        """Compare the scores of a run; None where none tells siblings apart."""
        pool = Pool.of(audit)
        if not pool.scores:
            return None
        scored = pool.rows.filter(pool.scored)
        return cls(
            title=audit.run.title,
            rows=pool.rows.height,
            scored=scored.height,
            questions=scored["question_id"].n_unique(),
            scores={score.name: score.score or "none" for score in pool.scores},
            agreement=agreement(pool),
            overlap=overlap(pool),
            length=against_length(pool),
            separation=separation(pool),
            teachers=teachers(pool),
            variants=variants(pool),
        )


def compare(reference: Path) -> Comparison:
    """Compare the scores of a finished run.

    Args:
        reference: a run folder, or ``runs/<name>``, whose latest run is meant.

    Raises:
        InputError: there is no such run, or none of its scores tells siblings apart.
    """
    audit = Audit.read(reference)
    comparison = Comparison.of(audit)
    if comparison is None:
        raise InputError(
            f"no score of {audit.run.title} tells the samples of a question apart, so there is "
            "nothing to compare; name a student under measures.score and a score under "
            "select.order_by, as `order_by: [rd_masked]`, and run it again"
        )
    return comparison
