"""The arms of a finished run, drawn from its audit: what each trains on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import polars as pl

from curate.errors import InputError
from curate.release.formats.wording import Wording, completion, prompt, wording_of
from curate.release.runs import Run
from curate.select.arms import ARMS, Arm, ArmKind, spelled
from curate.select.options import SelectOptions
from curate.select.select import SELECTED, redraw
from curate.store.keys import rank
from filters.columns import ARM_PREFIX, VERDICT_PREFIX

UNTRAINED: Final = "untrained"
ANSWER_ONLY: Final = "answer_only"
WRONG: Final = "wrong"
"""Wrong samples with their wrong answers: an arm that had better be found worse."""
_LONGEST: Final = Arm(
    ArmKind(word="longest", takes="as many a question as the selection, the longest",
            order=("-tokens",))
)  # fmt: skip
_WORDED: Final = ("question", "choices", "gold", "gold_type", "answer", "rationale")
_LENGTHS: Final = ("rationale_tokens", "completion_tokens", "rationale_words")
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Pool:
    """The samples of a run, from which arms are drawn.

    Attributes:
        run: finished.
        rows: its samples, with the columns by which arms are drawn and rows are worded.
        options: by which its selection was made.
        wording: how the student was scored, and so how it is trained.
    """

    run: Run
    rows: pl.DataFrame
    options: SelectOptions
    wording: Wording

    @classmethod
    def of(cls, run: Run) -> Self:
        """Read the samples of a run.

        Raises:
            InputError: its selection is empty.
        """
        names = run.columns
        right, later = pl.lit(None, pl.Boolean), [each.name for each in run.filters]
        if run.judge is not None:
            right = pl.col(f"{VERDICT_PREFIX}{run.judge.name}").struct.field("keep")
            later = later[later.index(run.judge.name) + 1 :]
        rows = (
            run.samples()
            .with_columns(
                right=right,
                tokens=pl.coalesce(name for name in _LENGTHS if name in names).cast(pl.Int32),
                live_correct=pl.col("rejected_by").is_null() | pl.col("rejected_by").is_in(later),
                nonempty=pl.col("raw_output").fill_null("").str.strip_chars() != "",
            )
            .drop("raw_output")
            .collect()
        )
        if not rows[SELECTED].any():
            raise InputError(f"{run.title} selected nothing, so there is nothing to train on")
        options = SelectOptions.model_validate(run.manifest["select"])
        return cls(run, rows, options, wording_of(run.manifest["measures"]))

    @property
    def questions(self) -> pl.Series:
        """The texts of all its questions."""
        return self.rows["question"].unique()

    def is_drawn(self, name: str) -> bool:
        """Tell whether an arm is another one for every training, since chance chooses it."""
        kind = ARMS.get(name.partition(":")[0])
        return name == WRONG or (kind is not None and kind.size == "selection" and not kind.order)

    def records(self, name: str, seed: int) -> list[Record]:
        """Word the rows of an arm: prompt and completion.

        Args:
            name: an arm as a recipe writes it, ``selected``, ``answer_only``, ``longest``,
                ``wrong``, or an arm of the run.
            seed: of the training; a random arm is drawn anew for each.

        Raises:
            InputError: there is no such arm, or it is empty.
        """
        rows = self._rows(name, seed)
        if rows.is_empty():
            raise InputError(f"arm {name!r} of {self.run.title} is empty; leave it out")
        return [
            {"prompt": prompt(row, self.wording), "completion": completion(row, self.wording)}
            for row in rows.iter_rows(named=True)
        ]

    def _rows(self, name: str, seed: int) -> pl.DataFrame:
        if name == ANSWER_ONLY:
            first = self.rows.filter(SELECTED).unique("question_id", maintain_order=True)
            silent = pl.lit(None, pl.String)
            return self._worded(first.with_columns(rationale=silent, answer=silent))
        if name == WRONG:
            wrong = self.rows.filter(~pl.col("right") & pl.col("nonempty"))
            lots = pl.Series(
                [rank(WRONG, seed, one) for one in wrong["sample_id"]], dtype=pl.UInt64
            )
            most = int(self.rows[SELECTED].sum())
            return self._worded(wrong.with_columns(lots=lots).sort("lots").head(most))
        column = name if name == SELECTED else ARM_PREFIX + spelled(name)
        if column in self.rows.columns and not self.is_drawn(name):
            return self._worded(self.rows.filter(column))
        arm = _LONGEST if name == "longest" else Arm.parse(name)
        if arm.kind.size == "budget":
            raise InputError(
                f"arm {name!r} can't be drawn from a finished run; name it under `arms` of the "
                "recipe and run that again"
            )
        return self._worded(self.rows.filter(redraw(self.rows, arm, self.options, seed)))

    def _worded(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Keep what is worded; an answer that was judged wrong is said as it is."""
        wrong = pl.when(~pl.col("right")).then("answer")
        return rows.select(
            *(pl.col(name) for name in _WORDED if name in rows.columns),
            wrong_answer=wrong,
            solution=pl.col("solution") if "solution" in rows.columns else pl.lit(None, pl.String),
        )
